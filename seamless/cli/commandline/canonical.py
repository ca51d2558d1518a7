"""Canonical commands: one code for all calls of a tool, with what differs between the calls as variables."""

from __future__ import annotations

from seamless.cli.commandline.interface import Canonical, Interface
from seamless.cli.commandline.quoting import NotBashError, unquote
from seamless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}


def match_canonical(interface: Interface, command: str) -> tuple[str, dict[str, tuple[str, Any]]] | None:
    """Return the first canonical command that `command` is a case of, with the values of its variables.

    Raises UsageError if a value does not have the celltype of its variable.
    """
    words = command.split()
    for canonical in interface.canonical:
        values = _match(canonical.command.split(), words)
        if values is not None:
            return canonical.command.strip(), {
                name: (canonical.variables[name], _convert(value, canonical.variables[name], name, canonical))
                for name, value in values.items()
            }
    return None


def _match(pattern: list[str], words: list[str]) -> dict[str, str] | None:
    if len(pattern) != len(words):
        return None
    values: dict[str, str] = {}
    for expected, word in zip(pattern, words, strict=True):
        if not expected.startswith("$"):
            if expected != word:
                return None
            continue
        try:
            value, expands = unquote(word)
        except NotBashError:  # a quoted word with a blank in it
            return None
        if expands or values.setdefault(expected[1:], value) != value:
            return None
    return values


def _convert(text: str, celltype: str, name: str, canonical: Canonical) -> Any:
    try:
        if celltype == "bool":
            return BOOLEANS[text.lower()]
        return {"int": int, "float": float, "str": str}[celltype](text)
    except (ValueError, KeyError):
        raise UsageError(
            f"the value '{text}' of the variable '{name}' is not of celltype {celltype}, as {canonical.place} demands"
        ) from None
