"""Types of the values in configuration files: each checks a node and has a JSON Schema.

One declaration serves both, so that what an editor accepts is what is accepted here. A check never raises: it adds
findings and returns None.
"""

from __future__ import annotations

from seamless.config import names, units
from seamless.config.errors import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from seamless.config.nodes import Node


class Report:
    """Collects findings; `about_cluster` marks them as being about a cluster's definition."""

    def __init__(self, *, about_cluster: bool = False):
        self.findings: list[Finding] = []
        self.about_cluster = about_cluster

    def error(self, message: str, node: Node | None, *, code: str = "invalid") -> None:
        """Add a mistake."""
        place = None if node is None else node.place
        self.findings.append(Finding(message, place, code=code, about_cluster=self.about_cluster))

    def warning(self, message: str, node: Node | None, *, code: str) -> None:
        """Add something doubtful."""
        place = None if node is None else node.place
        self.findings.append(Finding(message, place, code=code, severity="warning", about_cluster=self.about_cluster))

    @property
    def failed(self) -> bool:
        """Whether there is a mistake among the findings."""
        return any(finding.severity == "error" for finding in self.findings)


class Type:
    """A type of value. `expected` names it in messages."""

    expected = "a value"

    def read(self, node: Node, what: str, report: Report) -> Any:
        """Return the value of `node`, or None after a finding. `what` names it in messages."""
        raise NotImplementedError

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema."""
        raise NotImplementedError

    def refuse(self, node: Node, what: str, report: Report) -> None:
        """Add the finding that `node` is not of this type."""
        report.error(f"{what} expects {self.expected}, found {node.describe()}", node)


class Bool(Type):
    """A real boolean; numbers and strings are none."""

    expected = "true or false"

    def read(self, node: Node, what: str, report: Report) -> Any:
        if node.kind == "scalar" and isinstance(node.value, bool):
            return node.value
        return self.refuse(node, what, report)

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class Int(Type):
    """An integer in a range."""

    def __init__(self, minimum: int, maximum: int | None = None):
        self.minimum, self.maximum = minimum, maximum
        self.expected = f"an integer of at least {minimum}"
        if maximum is not None:
            self.expected = f"an integer from {minimum} to {maximum}"

    def read(self, node: Node, what: str, report: Report) -> Any:
        value = node.value
        if isinstance(value, int) and not isinstance(value, bool) and value >= self.minimum:
            if self.maximum is None or value <= self.maximum:
                return value
        return self.refuse(node, what, report)

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "integer", "minimum": self.minimum}
        return schema if self.maximum is None else {**schema, "maximum": self.maximum}


class Number(Type):
    """An integer or a float, not below 0."""

    expected = "a number of at least 0"

    def read(self, node: Node, what: str, report: Report) -> Any:
        if isinstance(node.value, (int, float)) and not isinstance(node.value, bool) and 0 <= node.value < float("inf"):
            return node.value
        return self.refuse(node, what, report)

    def schema(self) -> dict[str, Any]:
        return {"type": "number", "minimum": 0}


class Str(Type):
    """A string. `check` returns what is wrong with it, or None; `pattern` is for the JSON Schema.

    `complete`: what `check` returns names the value itself. `lines`: it may have several lines.
    """

    def __init__(
        self,
        expected: str = "a string",
        check: Callable[[str], str | None] | None = None,
        *,
        pattern: str | None = None,
        lines: bool = False,
        complete: bool = False,
    ):
        self.expected, self._check, self._pattern = expected, check, pattern
        self._lines, self._complete = lines, complete

    def read(self, node: Node, what: str, report: Report) -> Any:
        value = node.value
        if not isinstance(value, str):
            hint = ""
            if node.kind == "scalar" and value is not None and node.text:
                hint = f"; write it in quotes: '{node.text}'"
            report.error(f"{what} expects {self.expected}, found {node.describe()}{hint}", node)
            return None
        if "\0" in value or (not self._lines and ("\n" in value or "\r" in value)):
            report.error(f"{what} expects {self.expected} of one line, found {value!r}", node)
            return None
        problem = self._check(value) if self._check is not None else None
        if problem is not None:
            report.error(problem if self._complete else f"{what}: {problem}", node)
            return None
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "string"} if self._pattern is None else {"type": "string", "pattern": self._pattern}


def name(what: str, *, nested: bool = False) -> Str:
    """Return the type of a name that follows the name rule."""
    part = names.PATTERN
    pattern = f"^{part}(/{part})*$" if nested else f"^{part}$"
    return Str("a string", lambda text: names.complaint(what, text, nested=nested), pattern=pattern, complete=True)


def _parsed(expected: str, parse: Callable[[str], float], pattern: str, least: str) -> Str:
    def check(text: str) -> str | None:
        try:
            if parse(text) > 0:
                return None
        except ValueError:
            return f"expected {expected}, found {text!r}"
        return f"expected {least}, found {text!r}"

    return Str(expected, check, pattern=pattern)


def duration() -> Str:
    """Return the type of a length of time."""
    return _parsed(
        "a duration such as '10m' or '90s'", units.seconds, r"^\s*[0-9.]+\s*[A-Za-z]*\s*$", "a duration above 0"
    )


def walltime() -> Str:
    """Return the type of the time that a batch job may take."""
    return _parsed(
        "a walltime 'HH:MM:SS', 'D-HH:MM:SS' or such as '10m'",
        units.walltime_seconds,
        r"^(([0-9]+-)?[0-9]+:[0-9]{1,2}:[0-9]{1,2}|\s*[0-9.]+\s*[A-Za-z]+\s*)$",
        "a walltime above 0",
    )


def memory() -> Str:
    """Return the type of an amount of memory."""
    return _parsed(
        "an amount of memory such as '32000MB' or '64GiB'",
        units.bytes_of,
        r"^\s*[0-9.]+\s*[A-Za-z]*\s*$",
        "more than 0 bytes",
    )


class OneOf(Type):
    """One of a few strings."""

    def __init__(self, *values: str):
        self.values = values
        self.expected = f"one of: {', '.join(values)}"

    def read(self, node: Node, what: str, report: Report) -> Any:
        if isinstance(node.value, str) and node.value in self.values:
            return node.value
        near = names.suggestion(node.value, self.values) if isinstance(node.value, str) else ""
        report.error(f"{what} must be {self.expected}; found {node.describe()}{near}", node)
        return None

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.values)}


class Nullable(Type):
    """Null, or another type."""

    def __init__(self, inner: Type):
        self.inner = inner
        self.expected = f"{inner.expected}, or null"

    def read(self, node: Node, what: str, report: Report) -> Any:
        return None if node.is_null else self.inner.read(node, what, report)

    def schema(self) -> dict[str, Any]:
        inner = self.inner.schema()
        if "enum" in inner:
            return {"enum": [None, *inner["enum"]]}
        return {**inner, "type": [inner["type"], "null"]} if isinstance(inner.get("type"), str) else _or_null(inner)


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}
