"""The kinds of values in the command lines of the helpers, and what is wrong with one that is none.

Looks at no file.
"""

from __future__ import annotations

import json
import re
from typing import Any

from seamless.errors import UsageError
from seamless.launcher.grammar_table import Option
from seamless.launcher.paths import is_key

Value = str | int | float | bool

MAX_PATH, MAX_NAME = 4096, 255

_HOST = re.compile(r"(?!-)[A-Za-z0-9._:%-]{1,253}|\[[0-9A-Fa-f:.%]{2,60}\]")
_URL = re.compile(r"https?://[^/?#\s]+([/?#]\S*)?", re.IGNORECASE)
_INTEGER = re.compile(r"-?[0-9]{1,18}")


class GrammarError(UsageError):
    """A command line that is not well-formed. `shared`: its text begins with `rhl:`, whatever the helper."""

    def __init__(self, text: str, *, shared: bool = False):
        super().__init__(text)
        self.shared = shared

    def complaint(self, helper: str) -> str:
        """Return the line that the helper writes."""
        return f"{'rhl' if self.shared else helper}: {self}"


def check_word(word: str) -> None:
    """Raise GrammarError if a word has control characters or was not UTF-8."""
    for character in word:
        code = ord(character)
        if code < 32 or 127 <= code < 160:
            raise GrammarError(f"control characters are not allowed: {word[:120]!r}")
        if 0xD800 <= code < 0xE000:
            raise GrammarError(f"not UTF-8: {word[:120]!r}")


def parse_value(option: Option, text: str) -> Value:
    """Return the value of an option. Raises GrammarError."""
    name, kind = f"--{option.name}", option.kind
    if kind == "count":
        if not _INTEGER.fullmatch(text):
            raise GrammarError(f"{name} requires an integer", shared=True)
        if int(text) < 0:
            raise GrammarError(f"{name} must be >= 0")
        return int(text)
    if not text:
        raise GrammarError(f"{name} requires a value")
    if kind == "seconds":
        return _seconds(name, text)
    if kind in ("object", "handshake"):
        _check_json(name, text, (dict, str) if kind == "handshake" else (dict,))
        return text
    if kind == "filename":
        if "/" in text or text in (".", "..") or len(text.encode()) > MAX_NAME:
            raise GrammarError(f"{name} requires a simple filename")
        return text
    if option.choices and text not in option.choices:
        raise GrammarError(f"{name} must be one of: {', '.join(option.choices)}")
    if kind == "environment":
        _check_environment(name, text)
    return parse_word(kind, text)


def parse_word(kind: str, text: str) -> str:
    """Return a word in its one form. Raises GrammarError."""
    if kind == "key" and not is_key(text):
        raise GrammarError(f"invalid key '{text[:300]}' (only letters, digits, . _ - allowed)", shared=True)
    if kind == "pid":
        if not _INTEGER.fullmatch(text) or int(text) <= 0:
            raise GrammarError("PID must be a positive integer")
        return str(int(text))
    if kind == "port":
        if not _INTEGER.fullmatch(text):
            raise GrammarError("port must be an integer")
        if not 1 <= int(text) <= 65535:
            raise GrammarError("port must be in [1, 65535]")
        return str(int(text))
    if kind == "host" and not _HOST.fullmatch(text):
        raise GrammarError("invalid host")
    if kind == "url" and not _URL.fullmatch(text):
        raise GrammarError("URL must use http or https and include a host")
    if kind == "path":
        _check_path(text)
    return text


def _check_path(text: str) -> None:
    if not text:
        raise GrammarError("a path must not be empty")
    if len(text.encode()) > MAX_PATH or any(len(part.encode()) > MAX_NAME for part in text.split("/")):
        raise GrammarError(f"path is too long: {text[:120]}...")


def _check_environment(name: str, text: str) -> None:
    if ("/" in text and not text.startswith("/")) or ".." in text.split("/"):
        raise GrammarError(f"{name} must be the name or the absolute prefix of an environment")
    _check_path(text)


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf") or "_" in text:
        raise GrammarError(f"{name} must be a number of seconds greater than 0")
    return seconds


def _check_json(name: str, text: str, types: tuple[type, ...]) -> None:
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        raise GrammarError(f"{name} must be valid JSON: {exc}") from exc
    if not isinstance(value, types):
        raise GrammarError(f"{name} must be a JSON object" + (" or string" if str in types else ""))


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")
