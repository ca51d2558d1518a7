"""YAML with places: a file becomes a tree of nodes that know their line and column.

Safe YAML 1.1: anchors, aliases and merge keys work, tags that construct objects do not. Duplicate keys are
mistakes. Never raises for what a file contains: every mistake is a finding.
"""

from __future__ import annotations

import os
import stat

from seamless.config.errors import Finding, Place
from seamless.util.yaml_safety import CONSTRUCTION_ERRORS, fast_loader, is_too_deep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

MAX_NODES = 100_000  # aliases counted each time: a few lines can stand for billions of nodes
_MERGE = "tag:yaml.org,2002:merge"
_SCALARS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp")}
_VALUE_TAG = "tag:yaml.org,2002:value"  # a lone `=`


class Source:
    """A file and its lines."""

    __slots__ = ("lines", "path")

    def __init__(self, path: str, text: str):
        self.path, self.lines = path, text.splitlines()

    def place(self, line: int, column: int, length: int = 1) -> Place:
        """Return the place at a line and column counted from 0."""
        text = self.lines[line] if 0 <= line < len(self.lines) else ""
        return Place(self.path, line + 1, column + 1, length, text)


class Node:
    """A scalar, list or mapping of a file. `value`: the scalar, a list of nodes, or a list of (key, value) nodes."""

    __slots__ = ("column", "kind", "length", "line", "source", "text", "value")

    def __init__(self, kind: str, value: Any, source: Source, start: Any, end: Any, text: str = ""):
        self.kind, self.value, self.source, self.text = kind, value, source, text
        self.line, self.column = start.line, start.column
        self.length = end.column - start.column if end.line == start.line else 1

    @property
    def place(self) -> Place:
        """Where it is written."""
        return self.source.place(self.line, self.column, self.length)

    @property
    def is_null(self) -> bool:
        """Whether it is null, or nothing is written."""
        return self.kind == "scalar" and self.value is None

    def items(self) -> Iterator[tuple[Node, Node]]:
        """Yield the (key, value) pairs of a mapping, nothing for another node."""
        if self.kind == "mapping":
            yield from self.value

    def get(self, key: str) -> Node | None:
        """Return the value of a mapping's key, or None."""
        for name, value in self.items():
            if name.kind == "scalar" and name.value == key:
                return value
        return None

    def plain(self) -> Any:
        """Return it as scalars, lists and dicts. Keys that are not scalars are left out."""
        if self.kind == "list":
            return [child.plain() for child in self.value]
        if self.kind == "mapping":
            return {key.value: child.plain() for key, child in self.value if key.kind == "scalar"}
        return self.value

    def describe(self) -> str:
        """Return what it is, for a message.

        The text of a scalar is shown as it is written: `12:00:00` is 43200 to YAML.
        """
        if self.kind != "scalar":
            return f"a {self.kind}"
        if self.value is None:
            return "nothing (null)"
        if isinstance(self.value, str):
            return repr(self.value)
        names = {bool: "a boolean", int: "an integer", float: "a number"}
        return f"{self.text or repr(self.value)} ({names.get(type(self.value), 'a date')})"


def read_file(path: str, findings: list[Finding]) -> Node | None:
    """Return the tree of a file, None if it is empty or unreadable; then, unless it is empty, a finding says why."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            findings.append(Finding("this is not a regular file", Place(path)))
            return None
        with open(path, "rb") as file:
            data = file.read()
    except OSError as exc:
        findings.append(Finding(f"cannot be read: {exc.strerror}", Place(path)))
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start)
        findings.append(
            Finding(f"this is not UTF-8 (byte {exc.start}: 0x{data[exc.start]:02x})", Place(path, line + 1))
        )
        return None
    return parse(text, path, findings)


def parse(text: str, path: str, findings: list[Finding]) -> Node | None:
    """Return the tree of a text, or None as `read_file` does."""
    import yaml

    loader_class = fast_loader()
    source = Source(path, text)
    try:
        if is_too_deep(text, loader_class):
            raise RecursionError
        loader = loader_class(text)
        try:
            root = loader.get_single_node()
            return None if root is None else _Builder(loader, source, findings).build(root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as exc:
        findings.append(_syntax_finding(exc, source))
    except yaml.YAMLError as exc:  # characters that YAML does not permit
        findings.append(Finding(f"YAML: {' '.join(str(exc).split())}", Place(path)))
    except RecursionError:
        findings.append(Finding("this is nested too deeply", Place(path)))
    return None


def _syntax_finding(exc: Any, source: Source) -> Finding:
    mark = exc.problem_mark or exc.context_mark
    problem = exc.problem or exc.context or "syntax error"
    line, column = (mark.line, mark.column) if mark is not None else (0, 0)
    line_text = source.lines[line] if line < len(source.lines) else ""
    if line_text[:column].strip(" ") == "" and line_text[column : column + 1] == "\t" or line_text.startswith("\t"):
        problem += "; indent with blanks, not with tabs"
    elif "single document" in str(exc) or "another document" in problem:
        problem = "expected a single document, but found another one; remove the '---' between them"
    return Finding(f"YAML: {problem}", source.place(line, column), code="yaml-syntax")


class _Builder:
    """Makes nodes of the nodes that PyYAML composes."""

    def __init__(self, loader: Any, source: Source, findings: list[Finding]):
        self._loader, self._source, self._findings = loader, source, findings
        self._built: dict[int, tuple[Node, int]] = {}  # by id of the YAML node: the node, and how many it stands for
        self._open: set[int] = set()

    def build(self, root: Any) -> Node | None:
        before = len(self._findings)
        node, count = self._node(root)
        if count > MAX_NODES:
            self._findings.append(
                Finding(f"the aliases of this file stand for more than {MAX_NODES} items", node.place)
            )
        return node if len(self._findings) == before else None

    def _fail(self, message: str, mark: Any, length: int = 1) -> None:
        self._findings.append(Finding(message, self._source.place(mark.line, mark.column, length), code="yaml-syntax"))

    def _node(self, node: Any) -> tuple[Node, int]:
        known = self._built.get(id(node))
        if known is not None:
            return known
        if id(node) in self._open:
            self._fail("this refers to itself", node.start_mark)
            return self._make("scalar", None, node), 1
        self._open.add(id(node))
        if node.id == "scalar":
            result = self._scalar(node), 1
        elif node.id == "sequence":
            children = [self._node(child) for child in node.value]
            result = self._make("list", [child for child, _ in children], node), 1 + sum(n for _, n in children)
        else:
            result = self._mapping(node)
        if node.id != "scalar" and node.tag not in ("tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"):
            self._fail(f"the tag {node.tag!r} is not permitted here", node.start_mark)
        self._open.discard(id(node))
        self._built[id(node)] = result
        return result

    def _make(self, kind: str, value: Any, node: Any, text: str = "") -> Node:
        return Node(kind, value, self._source, node.start_mark, node.end_mark, text)

    def _scalar(self, node: Any) -> Node:
        if node.tag == _VALUE_TAG:
            return self._make("scalar", node.value, node, node.value)
        value = None
        if node.tag not in _SCALARS:
            self._fail(f"the tag {node.tag!r} is not permitted here", node.start_mark)
        else:
            try:
                value = self._loader.construct_object(node)
            except CONSTRUCTION_ERRORS as exc:  # `!!int x`, the 30th of February
                self._fail(f"{node.value!r} cannot be read: {exc}", node.start_mark, len(node.value))
        return self._make("scalar", value, node, node.value)

    def _mapping(self, node: Any) -> tuple[Node, int]:
        pairs: list[tuple[Node, Node]] = []
        merged: list[tuple[Node, Node]] = []
        seen: dict[Any, Node] = {}
        count = 1
        for key_node, value_node in node.value:
            value, size = self._node(value_node)
            count += 1 + size
            if key_node.tag == _MERGE:
                merged += self._merged(value)
                continue
            key, _ = self._node(key_node)
            if key.kind == "scalar":
                first = seen.setdefault((type(key.value), key.value), key)
                if first is not key:
                    self._fail(
                        f"duplicate key {key.text!r}; it is already in line {first.line + 1}",
                        key_node.start_mark,
                        key.length,
                    )
                    continue
            pairs.append((key, value))
        for key, value in merged:  # what is written here wins, then the first of what is merged
            if key.kind == "scalar" and (type(key.value), key.value) not in seen:
                seen[type(key.value), key.value] = key
                pairs.append((key, value))
        return self._make("mapping", pairs, node), count

    def _merged(self, value: Node) -> list[tuple[Node, Node]]:
        mappings = value.value if value.kind == "list" else [value]
        pairs: list[tuple[Node, Node]] = []
        for mapping in mappings:
            if mapping.kind != "mapping":
                self._findings.append(Finding("'<<' expects a mapping or a list of mappings", value.place))
                return []
            pairs += mapping.value
        return pairs
