"""The provenance of a result: the steps and buffers it comes from, and their picture as plain SVG."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from seamless.insight.dashboard.overview import View
from seamless.insight.place import connect, rows
from seamless.insight.sidecar import Sidecar

MOST = 40  # nodes that are drawn
_WIDTH, _HEIGHT, _ACROSS, _DOWN, _MARGIN = 190, 44, 250, 64, 16  # pixels
_SAG = 52  # pixels
_NOTE = 24  # pixels
_TEXT = 26  # characters in a box


@dataclass
class Node:
    """A step or a buffer. `depth`: how many steps back from what was asked for."""

    name: str
    kind: str  # "step" or "buffer"
    label: str
    depth: int


@dataclass
class Graph:
    """Nodes by (kind, checksum), edges from what was needed to what came of it with the name of the pin."""

    nodes: dict[str, Node]
    edges: list[tuple[str, str, str]]
    complete: bool


def provenance(view: View, name: str) -> Graph:
    """Return where a buffer, or the result of a step, comes from: at most 40 nodes. Raises StoreError."""
    graph = Graph({}, [], True)
    with connect(view.place) as database:
        query = "SELECT result FROM transformation WHERE checksum = ?"
        found = next(rows(database, query, (name,), checksums=slice(1)), None)
    is_step = found is not None or view.definition(name) is not None
    pending = [(str(found[0]) if found else "", name, 0) if is_step else (name, "", 0)]
    with Sidecar(view.place) as sidecar:
        sidecar.update()
        while pending:
            buffer, step, depth = pending.pop(0)
            if buffer:
                _add(graph, buffer, "buffer", _label(view, buffer), depth)
            step = step or next(iter(sidecar.giving(buffer)), "")
            if not step:
                continue
            if buffer:
                graph.edges.append((f"step:{step}", f"buffer:{buffer}", ""))
            if f"step:{step}" not in graph.nodes:
                pending += _add_step(graph, view, step, depth + 1)
    graph.edges = [edge for edge in dict.fromkeys(graph.edges) if edge[0] in graph.nodes and edge[1] in graph.nodes]
    _arrange(graph)
    return graph


def _arrange(graph: Graph) -> None:
    """Put everything before all that came of it. Ends also where buffers can be computed from one another."""
    for _ in graph.nodes:
        moved = False
        for source, target, _pin in graph.edges:
            wanted = graph.nodes[target].depth + 1
            if graph.nodes[source].depth < wanted <= len(graph.nodes):
                graph.nodes[source].depth, moved = wanted, True
        if not moved:
            return


def _add_step(graph: Graph, view: View, step: str, depth: int) -> list[tuple[str, str, int]]:
    """Add a step and its inputs; return those inputs that are new."""
    definition = view.definition(step)
    if definition is None:
        return []
    _add(graph, step, "step", view.title(step) or definition.language, depth)
    new = []
    for pin, value in definition.pins.items():
        if value.checksum is None or pin == "code":
            continue
        key = f"buffer:{value.checksum}"
        if key not in graph.nodes and len(graph.nodes) >= MOST:
            graph.complete = False
            continue
        if key not in graph.nodes:
            _add(graph, value.checksum, "buffer", _label(view, value.checksum), depth + 1)
            new.append((value.checksum, "", depth + 1))
        graph.edges.append((key, f"step:{step}", pin))
    return new


def _add(graph: Graph, name: str, kind: str, label: str, depth: int) -> None:
    graph.nodes.setdefault(f"{kind}:{name}", Node(name, kind, label, depth))


def _label(view: View, buffer: str) -> str:
    length = view.stored_length(buffer)
    return "not stored" if length is None else f"{length:,} bytes"


def picture(graph: Graph) -> str:
    """Return the graph as SVG, what was asked for at the right; every node is a link. All text is escaped."""
    deepest = max((node.depth for node in graph.nodes.values()), default=0)
    rows_used: dict[int, int] = {}
    places: dict[str, tuple[int, int]] = {}
    for key, node in graph.nodes.items():
        row = rows_used.get(node.depth, 0)
        rows_used[node.depth] = row + 1
        places[key] = (_MARGIN + (deepest - node.depth) * _ACROSS, _MARGIN + row * _DOWN)
    width = 2 * _MARGIN + deepest * _ACROSS + _WIDTH
    height = 2 * _MARGIN + max(rows_used.values(), default=1) * _DOWN + _SAG // 2 + (0 if graph.complete else _NOTE)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="group" aria-label="Provenance">'
    ]
    parts += [_edge(places[a], places[b], pin) for a, b, pin in graph.edges]
    parts += [_box(node, *places[key]) for key, node in graph.nodes.items()]
    if not graph.complete:
        said = f"Only the nearest {MOST} are drawn: open a buffer at the left to go on from there."
        parts.append(f'<text class="note" x="{_MARGIN}" y="{height - 4}">{said}</text>')
    return "".join([*parts, "</svg>"])


def _edge(start: tuple[int, int], end: tuple[int, int], pin: str) -> str:
    x, y, to, down = start[0] + _WIDTH, start[1] + _HEIGHT // 2, end[0], end[1] + _HEIGHT // 2
    sag = _SAG if to - x > _ACROSS else 0  # a long one passes below the boxes between
    bend = (x + to) // 2 if not sag else x + 50
    line = f'<path class="edge" d="M{x} {y} C{bend} {y + sag} {x + to - bend} {down + sag} {to} {down}"/>'
    height = down + 16 if sag else down - 5
    return line + (f'<text class="pin" x="{to - 6}" y="{height}">{escape(_cut(pin, 9))}</text>' if pin else "")


def _box(node: Node, x: int, y: int) -> str:
    title = f"<title>{escape(node.label)} {node.name}</title>"
    return (
        f'<a class="{node.kind}" href="#/{node.kind}/{node.name}">{title}'
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="{6 if node.kind == "step" else 22}"/>'
        f'<text x="{x + _WIDTH // 2}" y="{y + 18}">{escape(_cut(node.label, _TEXT))}</text>'
        f'<text class="sum" x="{x + _WIDTH // 2}" y="{y + 34}">{node.name[:12]}</text></a>'
    )


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
