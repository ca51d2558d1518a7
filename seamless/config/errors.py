"""What can be wrong with a configuration, and how it is told: findings with a place, errors, warnings.

ConfigurationError          (UsageError, RuntimeError, ValueError) one or several findings
  ClusterDefinitionError    (TypeError) ... all of them about the definition of a cluster
SeamlessConfigWarning       (UserWarning) a choice that was made for the user; has a `code`
"""

from __future__ import annotations

import os

from seamless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Place:
    """Where something is written: file, line and column from 1, how long it is, and the text of the line."""

    __slots__ = ("column", "length", "line", "path", "text")

    def __init__(self, path: str, line: int = 1, column: int = 1, length: int = 1, text: str = ""):
        self.path, self.line, self.column, self.length, self.text = path, line, column, max(1, length), text

    def __str__(self) -> str:
        return f"{shown_path(self.path)}:{self.line}:{self.column}"

    def marked_line(self) -> str:
        """Return the line with a caret under what is meant; empty if the line is blank."""
        if not self.text.strip():
            return ""
        number = str(self.line)
        before = "".join("\t" if c == "\t" else " " for c in self.text[: self.column - 1])
        carets = "^" * max(1, min(self.length, len(self.text) - self.column + 1))
        return f"\n  {number} | {self.text}\n  {' ' * len(number)} | {before}{carets}"


class Finding:
    """One thing that is wrong, or doubtful (`severity` "warning"); `code` is a word for programs."""

    __slots__ = ("about_cluster", "code", "message", "place", "severity")

    def __init__(
        self,
        message: str,
        place: Place | None = None,
        *,
        code: str = "invalid",
        severity: str = "error",
        about_cluster: bool = False,
    ):
        self.message, self.place, self.code, self.severity = message, place, code, severity
        self.about_cluster = about_cluster

    def __repr__(self) -> str:
        return f"Finding({self.message!r}, {self.place and str(self.place)!r})"

    def __str__(self) -> str:
        return self.message if self.place is None else f"{self.place}: {self.message}{self.place.marked_line()}"

    def sort_key(self) -> tuple[str, int, int]:
        """Order by file and line; findings without a place come first."""
        return ("", 0, 0) if self.place is None else (self.place.path, self.place.line, self.place.column)


class ConfigurationError(UsageError, RuntimeError, ValueError):
    """The configuration cannot be used. `findings` has every mistake that was found, the text shows all of them."""

    def __init__(self, message: str = "", *, findings: Sequence[Finding] = ()):
        self.findings = tuple(findings) or (Finding(message),)
        super().__init__("\n".join(str(finding) for finding in self.findings))


class ClusterDefinitionError(ConfigurationError, TypeError):
    """The definition of a cluster is wrong."""


class SeamlessConfigWarning(UserWarning):
    """A configuration that can be used, but perhaps not as meant. `code` is stable, `where` may be None."""

    def __init__(self, message: str, code: str = "", where: str | None = None):
        super().__init__(message)
        self.message, self.code, self.where = message, code, where

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


def raise_findings(findings: Iterable[Finding]) -> None:
    """Raise the error for those findings that are errors, sorted by place; return if there are none."""
    errors = sorted((f for f in findings if f.severity == "error"), key=Finding.sort_key)
    if not errors:
        return
    unique = list({(f.message, f.sort_key()): f for f in errors}.values())
    kind = ClusterDefinitionError if all(f.about_cluster for f in unique) else ConfigurationError
    raise kind(findings=unique)


def shown_path(path: str) -> str:
    """Return `path` relative to the current directory if it is below it, else as it is."""
    try:
        here = os.getcwd()
    except OSError:  # the directory was removed
        return path
    prefix = here.rstrip("/") + "/"
    return path[len(prefix) :] if path.startswith(prefix) else path
