"""Canonical JSON: the bytes of celltype `plain`, which also identify transformations and deep structures.

Written by our own rules, never by those of a JSON library, because another spelling of a number or a
character is another checksum. Reading is in `json_reader`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from json.encoder import encode_basestring

from seamless.celltypes.json_writer import (
    Fields,
    Unwritable,
    float_repr,
    int_repr,
    make_writer,
    numpy_scalar,
    raise_at,
)
from seamless.checksum import Checksum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# An empty list may be wrapped 253 times: 254 containers.
MAX_CONTAINERS = 254
_MIN_INT, _MAX_INT = -(2**63), 2**64 - 1


def respell(text: str) -> str:
    """Return the repr of a float that has an exponent in the canonical spelling.

    >>> respell("1e-05"), respell("-2.5e-07"), respell("1e+16")
    ('0.00001', '-2.5e-7', '1e+16')
    """
    mantissa, _, exponent_text = text.partition("e")
    if not exponent_text:
        raise Unwritable(
            f"the number {text} has no form under celltype 'plain': "
            "use None, or celltype 'mixed', which keeps NaN and the infinities",
            ValueError,
        )
    exponent = int(exponent_text)
    if exponent == -5:
        sign = "-" if mantissa[0] == "-" else ""
        return f"{sign}0.0000{mantissa.lstrip('-').replace('.', '')}"
    return f"{mantissa}e{exponent:+d}"


class PlainStyle:
    """Raw UTF-8, integers of 64 bit, keys of type str."""

    celltype = "plain"
    max_containers = MAX_CONTAINERS
    quote = staticmethod(encode_basestring)

    def float_text(self, value: float) -> str:
        text = float_repr(value)
        return respell(text) if "e" in text or "n" in text else text

    def floats_text(self, values: Sequence[float], separator: str) -> str:
        texts = list(map(float_repr, values))
        joined = separator.join(texts)
        if "n" in joined:
            raise_at(values, self.float_text)
        if "e" in joined:
            joined = separator.join([respell(text) if "e" in text else text for text in texts])
        return joined

    def int_text(self, value: int) -> str:
        if _MIN_INT <= value <= _MAX_INT:
            return int_repr(value)
        raise Unwritable(
            "an integer outside -2**63 ... 2**64-1 has no form under celltype 'plain': "
            "use celltype 'mixed', which keeps integers of any size, or a string"
        )

    def ints_text(self, values: Sequence[int], separator: str) -> str:
        if min(values) < _MIN_INT or max(values) > _MAX_INT:
            raise_at(values, self.int_text)
        return separator.join(map(int_repr, values))

    def key_text(self, key: Any) -> str:
        if isinstance(key, str):
            return encode_basestring(key)
        raise Unwritable(f"a dict key under celltype 'plain' is a str, not {type(key).__name__}")

    def reduce(self, value: Any) -> Any:
        if type(value) is Checksum:
            return value.hex()
        enum = sys.modules.get("enum")
        if enum is not None and isinstance(value, enum.Enum):
            return value.value
        for basic, exact in _EXACT:
            if isinstance(value, basic):
                return exact(value)
        result = numpy_scalar(value)
        if result is value:
            result = _reduce_rare(value)
        return result


# Subclasses are written as what they extend. Not by str(), int(): those ask the subclass.
_EXACT: tuple[tuple[type, Any], ...] = (
    (str, str.__str__),
    (int, int.__index__),
    (float, float.__float__),
    (dict, dict),
    (list, list),
    (tuple, list),
)


def _reduce_rare(value: Any) -> Any:
    module = sys.modules
    if "datetime" in module:
        datetime = module["datetime"]
        if isinstance(value, datetime.datetime):
            return value.replace(tzinfo=None).isoformat() + _offset_text(value.utcoffset())
        if isinstance(value, datetime.date) or (isinstance(value, datetime.time) and value.tzinfo is None):
            return value.isoformat()
    if "uuid" in module and isinstance(value, module["uuid"].UUID):
        return str(value)
    if hasattr(type(value), "__dataclass_fields__"):
        return _dataclass_fields(value)
    raise Unwritable(_not_plain(value))


def _offset_text(offset: Any) -> str:
    if offset is None:
        return ""
    seconds = round(offset.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("+", seconds)
    hours, rest = divmod(seconds, 3600)
    # Seconds are rounded into the minutes without a carry, so :60 occurs; it is in existing checksums.
    minutes = rest // 60 + (rest % 60 >= 30)
    return f"{sign}{hours:02d}:{minutes:02d}"


def _dataclass_fields(value: Any) -> Any:
    names = list(value.__dict__) if "__slots__" not in type(value).__dict__ else list(value.__dataclass_fields__)
    if not names:
        return {}
    return Fields((name, getattr(value, name)) for name in names if not name.startswith("_"))


def _not_plain(value: Any) -> str:
    name = type(value).__name__
    hint = {
        "bytes": "use celltype 'bytes', 'binary' or 'mixed'",
        "bytearray": "use celltype 'bytes'",
        "ndarray": "use celltype 'binary' or 'mixed', or .tolist()",
        "set": "use a sorted list",
        "frozenset": "use a sorted list",
    }.get(name, "expected None, bool, int, float, str, list, tuple or dict")
    return f"a value of type {name} has no form under celltype 'plain': {hint}"


_write = make_writer(PlainStyle())


def canonical_json(value: Any) -> bytes:
    """Return the canonical JSON of `value` and a newline.

    Raises TypeError for what has no JSON form (also nesting beyond 254 containers and circular values),
    ValueError for NaN and the infinities.
    """
    try:
        return (_write(value, "\n") + "\n").encode()
    except Unwritable as error:
        raise error.as_error() from None
    except UnicodeEncodeError as error:
        found = f"U+{ord(error.object[error.start]):04X}"
        raise TypeError(f"text with the lone surrogate {found} has no UTF-8 form under celltype 'plain'") from None
    except RecursionError:
        raise TypeError("the value is nested too deeply") from None
