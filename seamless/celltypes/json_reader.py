"""Reading JSON: strictly (celltype `plain` and the scalar celltypes) or as Python does (celltype `mixed`)."""

from __future__ import annotations

import math
from json import JSONDecodeError, JSONDecoder

from seamless.checksum import shorten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# A float literal overflows through its exponent, or by having more digits than this.
_MAX_FLOAT_DIGITS = 308
_HALF = _MAX_FLOAT_DIGITS // 2


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text[:60]} is too large for a float")
    return value


_LENIENT = JSONDecoder()
_STRICT = JSONDecoder(parse_constant=_refuse_constant)
# Same, but slower: a Python call for each float.
_STRICT_FLOATS = JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite_float)


def parse_lenient(text: str) -> Any:
    """Parse JSON as Python does: NaN and Infinity, lone surrogates, 1e400.

    Raises JSONDecodeError if it is not JSON, ValueError if it is too deeply nested.
    """
    try:
        return _LENIENT.decode(text)
    except RecursionError:
        raise ValueError("the JSON text is nested too deeply") from None


def parse_strict(data: Any) -> Any:
    """Parse UTF-8 bytes that must be JSON by the standard; integers of any size are exact.

    Raises ValueError, with line and column where they are known; UnicodeDecodeError.
    """
    text = str(data, "utf-8")
    # Letters e outside numbers only cost time.
    floats = "e" in text or "E" in text or (len(text) > _MAX_FLOAT_DIGITS and _has_long_number(text))
    try:
        value = (_STRICT_FLOATS if floats else _STRICT).decode(text)
        if "\\ud" in text or "\\uD" in text:
            _refuse_lone_surrogates(value)
        return value
    except JSONDecodeError as error:
        raise ValueError(
            f"not valid JSON: line {error.lineno}, column {error.colno}: {error.msg}; in: {shorten(text)}"
        ) from None
    except RecursionError:
        raise ValueError(f"not valid JSON: nested too deeply; in: {shorten(text)}") from None
    except ValueError as error:
        raise ValueError(f"not valid JSON: {error}; in: {shorten(text)}") from None


def _has_long_number(text: str) -> bool:
    """Tell whether `text` may have a run of more than 308 digits. Such a run covers a whole half-length step."""
    for position in range(0, len(text) - _HALF, _HALF):
        if text[position].isdigit() and text[position : position + _HALF].isdigit():
            return True
    return False


def _refuse_lone_surrogates(value: Any) -> None:
    from json import dumps

    try:
        dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"lone surrogate \\u{ord(error.object[error.start]):04x} in a string") from None
