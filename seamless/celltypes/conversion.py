"""Conversion between celltypes, on bytes: the table of all pairs, and the functions behind it.

Classes: `trivial` same bytes; `reinterpret` same bytes, if they parse; `reformat`, `possible`, `values` have a
function here; `chain:Z` goes through Z; `as:X>Y` is done like X to Y; `forbidden`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from seamless.celltypes import DEEP_CELLTYPES, parse, serialize
from seamless.celltypes.mixed import MAGIC_NUMPY as MAGIC
from seamless.celltypes.mixed import MAGIC_STREAM
from seamless.celltypes.npy import array_data, load_numpy, write_bytes_array
from seamless.celltypes.plain_json import canonical_json
from seamless.celltypes.text import load_yaml, transform_ipython
from seamless.errors import SeamlessConversionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TARGETS = ("binary", "mixed", "text", "python", "ipython", "plain", "yaml", "str", "bytes", "int", "float", "bool")
_SHORT = {"T": "trivial", "R": "reinterpret", "F": "reformat", "P": "possible", "V": "values", "X": "forbidden"}
# One row a source, one column a target, in the order of _TARGETS; `>z` is a chain through z, `=` is `as:`.
_ROWS = {
    "binary": ". T >plain >text >text V >text >bytes F P P P",
    "mixed": "R . >plain >text >text R >text P F P P P",
    "text": ">mixed =text>str . R R F R F T >plain >plain >plain",
    "python": "=text>binary =text>str T . T =text>str X =text>str =python>text X X X",
    "ipython": "=text>binary =text>str T F . =text>str X =text>str =ipython>text X X X",
    "plain": "V T F >text >text . T P T P P P",
    "yaml": ">plain =text>str T X X F . =text>str =text>bytes >plain >plain >plain",
    "str": "=plain>binary T F =str>text =str>text T =str>text . =plain>bytes P P P",
    "bytes": "F F R >text >text R >text >plain . >plain >plain >plain",
    "int": "=plain>binary =int>plain =plain>text X X T >plain F =plain>bytes . F F",
    "float": "=plain>binary =float>plain =plain>text X X T >plain F =plain>bytes F . F",
    "bool": "=plain>binary =bool>plain =plain>text X X T >plain F =plain>bytes F F .",
    "checksum": "V V V V V V V V V V V V",
}


def _table() -> dict[str, dict[str, str]]:
    table: dict[str, dict[str, str]] = {}
    for source, row in _ROWS.items():
        table[source] = {}
        for target, mark in zip(_TARGETS, row.split(), strict=True):
            if mark != ".":
                head, rest = mark[0], mark[1:]
                table[source][target] = (
                    f"chain:{rest}" if head == ">" else f"as:{rest}" if head == "=" else _SHORT[mark]
                )
        if source != "checksum":
            table[source]["checksum"] = "values"
    return table


CONVERSIONS = _table()

_MAX_SCALAR_BYTES = 1000
_SCALARS = ("int", "float", "bool")
_IPYTHON_CALL = re.compile(r"^(?=get_ipython\(\)\.run_)", re.MULTILINE)

Resolve = Callable[[str], "Any"]


def convert_bytes(data: Any, source: str, target: str, resolve: Resolve | None = None) -> bytes:
    """Do `seamless.celltypes.convert`, for valid celltypes. The deep celltypes count as `plain`."""
    data = bytes(data)
    source, target = (("plain" if name in DEEP_CELLTYPES else name) for name in (source, target))
    if source == target:
        return data
    if target in _SCALARS and len(data) > _MAX_SCALAR_BYTES:
        raise SeamlessConversionError(
            f"cannot convert {source} to {target}: {len(data)} bytes, a scalar has at most {_MAX_SCALAR_BYTES}"
        )
    try:
        return _convert(data, source, target, resolve)
    except SeamlessConversionError as error:
        raise SeamlessConversionError(f"cannot convert {source} to {target}: {error}") from None
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise SeamlessConversionError(f"cannot convert {source} to {target}: {error}") from error


def _convert(data: bytes, source: str, target: str, resolve: Resolve | None) -> bytes:
    if source == target:
        return data
    rule = CONVERSIONS[source][target]
    if rule == "trivial":
        return data
    if rule == "reinterpret":
        parse(data, target)
        return data
    if rule == "forbidden":
        raise SeamlessConversionError("there is no such conversion")
    if rule.startswith("chain:"):
        middle = rule.removeprefix("chain:")
        return _convert(_convert(data, source, middle, resolve), middle, target, resolve)
    if rule.startswith("as:"):
        source, _, target = rule.removeprefix("as:").partition(">")
        return _convert(data, source, target, resolve)
    if source == "checksum":
        return _dereference(data, target, resolve)
    if target == "checksum":
        return _to_checksum(data, source)
    if target in _SCALARS:
        return _to_scalar(data, source, target)
    return _FUNCTIONS[source, target](data)


def _dereference(data: bytes, target: str, resolve: Resolve | None) -> bytes:
    value = parse(data, "checksum")
    if not isinstance(value, str):
        if target not in ("plain", "mixed"):
            raise SeamlessConversionError(f"a {type(value).__name__} of checksums can only become plain")
        return canonical_json(value)
    if resolve is None:
        raise SeamlessConversionError("the checksum must be resolved, and no `resolve` was given")
    content = bytes(resolve(value))
    parse(content, target)
    return content


def _to_checksum(data: bytes, source: str) -> bytes:
    if source in ("binary", "mixed"):
        data = _array_to_bytes(data)
    return serialize(parse(data, "checksum"), "checksum")


def _to_scalar(data: bytes, source: str, target: str) -> bytes:
    """Cast as Python does; only a single number or text can be cast."""
    value = parse(data, source)
    if hasattr(value, "dtype"):
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode()
    if not isinstance(value, (str, int, float)) and not (value is None and target == "bool"):
        raise SeamlessConversionError(f"a value of type {type(value).__name__} is not a single number")
    return serialize(value, target)


def _scalar_to_str(data: bytes) -> bytes:
    """Return a JSON string unchanged, another JSON scalar as its Python text."""
    value = parse(data, "plain")
    if isinstance(value, str):
        return canonical_json(value)
    if value is None or isinstance(value, (list, dict)):
        raise SeamlessConversionError(f"a value of type {type(value).__name__} is no text")
    return canonical_json(str(value))


def _mixed_to_str(data: bytes) -> bytes:
    if data.startswith(MAGIC):
        return _scalar_to_str(_array_to_bytes(data))
    value = parse(data, "mixed")
    if isinstance(value, str):
        return canonical_json(value)
    return _scalar_to_str(data)


def _array_to_bytes(data: bytes) -> bytes:
    """Return the content of a 0-dimensional `S` array in npy bytes, other data as they are."""
    if data.startswith(MAGIC):
        value = parse(data, "binary")
        if value.dtype.kind == "S" and not value.shape:
            return array_data(value)
    return data


def _binary_to_plain(data: bytes) -> bytes:
    return canonical_json(parse(data, "binary").tolist())


def _plain_to_binary(data: bytes) -> bytes:
    value = parse(data, "plain")
    if not isinstance(value, (bool, int, float, list)):
        raise SeamlessConversionError(f"a value of type {type(value).__name__} is no number or list of numbers")
    array = load_numpy("celltype 'binary'").array(value)
    if array.dtype.kind not in "biuf":
        raise SeamlessConversionError("the list is not one of numbers only")
    return serialize(array, "binary")


def _plain_to_text(data: bytes) -> bytes:
    value = parse(data, "plain")
    return serialize(value, "text") if isinstance(value, str) else data


def _text_to_plain(data: bytes) -> bytes:
    try:
        parse(data, "plain")
    except ValueError:
        return canonical_json(parse(data, "text"))
    return data


def _text_to_str(data: bytes) -> bytes:
    return canonical_json(parse(data, "text"))


def _yaml_to_plain(data: bytes) -> bytes:
    return canonical_json(_with_text_keys(load_yaml(parse(data, "text"))))


def _with_text_keys(value: Any) -> Any:
    """Return YAML data with keys as JSON has them: numbers, booleans and null become text."""
    if isinstance(value, list):
        return [_with_text_keys(item) for item in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for key, item in value.items():
        if not isinstance(key, str):
            if key is not None and not isinstance(key, (bool, int, float)):
                raise SeamlessConversionError(f"a YAML key of type {type(key).__name__} is no JSON key")
            key = canonical_json(key).decode().rstrip("\n")
        if key in result:
            raise SeamlessConversionError(f"two YAML keys become the same JSON key {key!r}")
        result[key] = _with_text_keys(item)
    return result


def _ipython_to_python(data: bytes) -> bytes:
    python = transform_ipython(parse(data, "text"))
    return serialize(_IPYTHON_CALL.sub("_ = ", python), "python")


def _bytes_to_binary(data: bytes) -> bytes:
    if data.startswith(MAGIC):
        parse(data, "binary")
        return data
    return write_bytes_array(data)


def _bytes_to_mixed(data: bytes) -> bytes:
    if data.startswith((MAGIC, MAGIC_STREAM)):
        parse(data, "mixed")
        return data
    try:
        str(data, "utf-8")
    except UnicodeDecodeError:
        return write_bytes_array(data)
    return data


_FUNCTIONS: dict[tuple[str, str], Callable[[bytes], bytes]] = {
    ("binary", "plain"): _binary_to_plain,
    ("binary", "bytes"): _array_to_bytes,
    ("mixed", "str"): _mixed_to_str,
    ("mixed", "bytes"): _array_to_bytes,
    ("text", "plain"): _text_to_plain,
    ("text", "str"): _text_to_str,
    ("ipython", "python"): _ipython_to_python,
    ("plain", "binary"): _plain_to_binary,
    ("plain", "text"): _plain_to_text,
    ("plain", "str"): _scalar_to_str,
    ("yaml", "plain"): _yaml_to_plain,
    ("str", "text"): _plain_to_text,
    ("bytes", "binary"): _bytes_to_binary,
    ("bytes", "mixed"): _bytes_to_mixed,
    ("int", "str"): _scalar_to_str,
    ("float", "str"): _scalar_to_str,
    ("bool", "str"): _scalar_to_str,
}
