"""Checksums in paths and bodies, and the answer (status 400) to those that are none."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from seamless.checksum import Checksum

_CHECKSUM = re.compile("[0-9a-f]{64}").fullmatch
_NOT_HEX = re.compile("[^0-9a-fA-F]").search
_SHOWN = 10_000  # characters of a wrong value up to which it is sent back


class InvalidDataError(Exception):
    """The request is not what was agreed. `answer` is the JSON body of the 400."""

    def __init__(self, kind: str, loc: list[Any], msg: str, value: Any):
        super().__init__(msg)
        self.answer = {
            "message": "Invalid data",
            "exception": {"type": kind, "loc": loc, "msg": msg, "input": value},
        }


def checksum_in(text: Any, *loc: Any) -> Checksum:
    """Return the checksum that `text` is; upper-case digits are accepted. Raises InvalidDataError."""
    if not isinstance(text, str):
        raise InvalidDataError("string_type", list(loc), "Input should be a valid string", _shown(text))
    if len(text) != 64:
        raise InvalidDataError("value_error", list(loc), "Value error, Wrong length", _shown(text))
    if wrong := _NOT_HEX(text):
        where = f"non-hexadecimal number found in fromhex() arg at position {wrong.start()}"
        raise InvalidDataError("value_error", list(loc), f"Value error, {where}", text)
    return Checksum(text)


def checksums_in(body: bytes) -> list[Checksum]:
    """Return the checksums in the JSON list `body`. Raises InvalidDataError."""
    if not body:
        raise InvalidDataError("missing", ["body"], "Field required", None)
    try:
        items = json.loads(body, parse_constant=_refuse)
    except RecursionError:
        raise InvalidDataError("json_invalid", ["body", 0], "JSON decode error", {}) from None
    except ValueError as exc:
        position = getattr(exc, "pos", getattr(exc, "start", 0))
        raise InvalidDataError("json_invalid", ["body", position], "JSON decode error", {}) from None
    if not isinstance(items, list):
        raise InvalidDataError("list_type", ["body"], "Input should be a valid list", _shown(items))
    try:
        if all(map(_CHECKSUM, items)):
            return list(map(Checksum, items))
    except TypeError:  # an item that is no string: found again, with its place, below
        pass
    return [checksum_in(item, "body", i) for i, item in enumerate(items)]


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _shown(value: Any) -> Any:
    """Return the wrong value if it is small, else the beginning of its text."""
    text = value if isinstance(value, str) else json.dumps(value)
    return value if len(text) <= _SHOWN else text[:100] + "..."
