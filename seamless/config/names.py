"""The rule for names (project, subproject, cluster, stage, substage, queue), and suggestions for misspelt ones."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PATTERN = r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*"
KEY_PATTERN = r"[A-Za-z0-9._-]+"  # what may be in the key of a launched service
MAX_LENGTH = 100
_FIRST = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
_FURTHER = _FIRST | frozenset(".@+-")
_NEVER = ("--", "STAGE-", "/")  # they separate the parts of keys and directories


def complaint(what: str, name: str, *, nested: bool = False) -> str | None:
    """Return what is wrong with a name, or None. `nested`: components joined by `/` are permitted.

    >>> complaint("project", "a--b"), complaint("stage", "prod")
    ("project cannot contain '--' (found 'a--b')", None)
    """
    for forbidden in _NEVER:
        if forbidden in name and not (nested and forbidden == "/"):
            return f"{what} cannot contain '{forbidden}' (found {name!r})"
    for part in name.split("/") if nested else [name]:
        problem = _part_complaint(part)
        if problem:
            return f"{what} {name!r} is not a valid name: {problem}"
    return None


def plain_complaint(what: str, name: str) -> str | None:
    """Return what is wrong with a name that may contain `--` (queues, images), or None."""
    problem = _part_complaint(name)
    return f"{what} {name!r} is not a valid name: {problem}" if problem else None


def _part_complaint(part: str) -> str | None:
    if not part:
        return "it is empty"
    if len(part) > MAX_LENGTH:
        return f"it has {len(part)} characters, at most {MAX_LENGTH} are permitted"
    if part.startswith("__"):
        return "names that begin with '__' are reserved"
    if part[0] not in _FIRST:
        return "it must begin with a letter, a digit or '_'"
    for character in part:
        if character not in _FURTHER:
            return f"it contains {character!r}; permitted are letters, digits and any of _ . @ + -"
    return None


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return " (did you mean 'x'?)" for the nearest of `known`, or nothing.

    >>> suggestion("clutser", ["cluster", "queue"])
    " (did you mean 'cluster'?)"
    """
    import difflib

    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""


def listed(names: Iterable[str]) -> str:
    """Return names as an enumeration, or "none"."""
    return ", ".join(names) or "none"
