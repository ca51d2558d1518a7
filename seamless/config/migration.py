"""Rewrite files that were written for an earlier version: deprecated spellings, and conda environments to images.

Edits the text at the places of the nodes, so that comments and layout stay.
"""

from __future__ import annotations

import re

from seamless.config.commands import BLOCKS, INHERIT
from seamless.config.errors import raise_findings
from seamless.config.nodes import Node, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from seamless.config.errors import Finding

Edit = tuple[int, int, int, str, str]  # line, column, length, replacement, what it does


def migrate(text: str, path: str, images: Mapping[str, str] | None = None) -> tuple[str, list[str]]:
    """Return the text of a file as it is written now, and one line for each change.

    `images`: for conda environments the images that take their place. Raises ConfigurationError if it is not YAML.
    """
    findings: list[Finding] = []
    root = parse(text, path, findings)
    raise_findings(findings)
    if root is None:
        return text, []
    edits = sorted(set(_project_edits(root) if root.kind == "list" else _cluster_edits(root, images or {})))
    lines = text.splitlines(keepends=True)
    for line, column, length, replacement, _ in reversed(edits):
        lines[line] = lines[line][:column] + replacement + lines[line][column + length :]
    return "".join(lines), [f"{path}:{line + 1}:{column + 1}: {what}" for line, column, _, _, what in edits]


def _replace(node: Node, replacement: str, what: str) -> Edit:
    return node.line, node.column, node.length, replacement, what


def _project_edits(items: Node) -> Iterator[Edit]:
    for item in items.value:
        for key, value in item.items():
            command = key.value if isinstance(key.value, str) else ""
            glued = re.fullmatch(rf"({'|'.join(BLOCKS)})(\S+)", command)
            if value.kind == "list" and glued and command.split()[0] not in BLOCKS:
                kind = "substage" if command.startswith("substage") else "stage"
                spelling = f"{kind} {command[len(kind) :]}"
                yield _replace(key, spelling, f"'{command}' -> '{spelling}'")
            if command == INHERIT and value.value is False:
                yield _replace(value, "true", f"'{INHERIT}: false' was read as true; write 'false' if you meant it")
            if value.kind == "list":
                yield from _project_edits(value)
            elif command == "clusters":
                yield from _cluster_edits(value, {})


def _cluster_edits(clusters: Node, images: Mapping[str, str]) -> Iterator[Edit]:
    for _, cluster in clusters.items():
        frontends = cluster.get("frontends")
        for frontend in frontends.value if frontends is not None and frontends.kind == "list" else []:
            for _, service in frontend.items():
                yield from _image_edits(service, images)
        queues = cluster.get("queues")
        for _, queue in queues.items() if queues is not None else ():
            yield from _image_edits(queue, images)
            for key, _value in queue.items():
                if isinstance(key.value, str) and "-" in key.value:
                    spelling = key.value.replace("-", "_")
                    yield _replace(key, spelling, f"'{key.value}' -> '{spelling}'")


def _image_edits(mapping: Node, images: Mapping[str, str]) -> Iterator[Edit]:
    for key, value in mapping.items():
        if key.value == "conda" and value.value in images:
            image = images[value.value]
            what = f"'conda: {value.value}' -> 'image: {image}'"
            yield _replace(key, "image", what)
            yield _replace(value, image, what)
