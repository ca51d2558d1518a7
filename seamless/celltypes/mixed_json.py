"""JSON as celltype `mixed` writes it for plain values: ASCII, Python's spelling of numbers, NaN allowed.

It differs from celltype `plain` in non-ASCII text and in floats such as 0.00001, hence in the checksum.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from json.encoder import encode_basestring_ascii

from seamless.celltypes.json_writer import Unwritable, float_repr, int_repr, make_writer, numpy_scalar, sorted_items
from seamless.checksum import Checksum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# More than for `plain`; low enough to leave the interpreter's recursion limit to the caller.
MAX_CONTAINERS = 450

_SPECIAL = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


class FoundBinaryError(Exception):
    """The value holds an array or bytes: it is no JSON, but a mixed stream."""


class MixedStyle:
    """ASCII, integers of any size, NaN, keys that Python's json accepts."""

    celltype = "mixed"
    max_containers = MAX_CONTAINERS
    quote = staticmethod(encode_basestring_ascii)
    int_text = staticmethod(int_repr)

    def float_text(self, value: float) -> str:
        text = float_repr(value)
        return _SPECIAL[text] if "n" in text else text

    def floats_text(self, values: Sequence[float], separator: str) -> str:
        joined = separator.join(map(float_repr, values))
        return separator.join(map(self.float_text, values)) if "n" in joined else joined

    def ints_text(self, values: Sequence[int], separator: str) -> str:
        return separator.join(map(int_repr, values))

    def key_text(self, key: Any) -> str:
        return encode_basestring_ascii(key_string(key))

    def reduce(self, value: Any) -> Any:
        scalar = plain_scalar(value)
        if scalar is not value:
            return scalar
        if isinstance(value, dict):
            return dict(value)
        if isinstance(value, (list, tuple)):
            return list(value)
        if is_binary(value):
            raise FoundBinaryError
        raise Unwritable(not_mixed(value))


def key_string(key: Any) -> str:
    """Return the text of a dict key."""
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "true" if key else "false"
    if key is None:
        return "null"
    if isinstance(key, int):
        return int_repr(key)
    if isinstance(key, float):
        text = float_repr(key)
        return _SPECIAL.get(text, text)
    raise Unwritable(f"a dict key under celltype 'mixed' is a str, int, float, bool or None, not {type(key).__name__}")


def sorted_keys(value: dict[Any, Any]) -> list[Any]:
    """Return the keys in the order of the arrays in a stream. Raises Unwritable."""
    return [key for key, _ in sorted_items(value, MixedStyle.celltype)]


def plain_scalar(value: Any) -> Any:
    """Return a scalar of an uncommon type (subclass, numpy scalar, Checksum) as an exact one, else `value`."""
    if type(value) is Checksum:
        return value.hex()
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__index__(value)
    if isinstance(value, float):
        return float.__float__(value)
    return numpy_scalar(value)


def is_binary(value: Any) -> bool:
    """Tell whether `value` is bytes, an ndarray or a numpy record."""
    if isinstance(value, bytes):
        return True
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, (numpy.ndarray, numpy.void))


def not_mixed(value: Any) -> str:
    """Return the message for a value that celltype `mixed` cannot hold."""
    name = type(value).__name__
    hint = {
        "bytearray": "use bytes(value)",
        "memoryview": "use bytes(value)",
        "set": "use a sorted list",
        "frozenset": "use a sorted list",
    }.get(name, "expected None, bool, int, float, str, bytes, list, tuple, dict or a numpy array")
    return f"a value of type {name} has no form under celltype 'mixed': {hint}"


write_json = make_writer(MixedStyle())


def mixed_json(value: Any) -> bytes:
    """Return the JSON text of `value` and a newline.

    Raises FoundBinaryError at the first array or bytes, Unwritable for what has no form.
    """
    return (write_json(value, "\n") + "\n").encode()
