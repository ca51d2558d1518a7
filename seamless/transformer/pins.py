"""From an argument to a pin: what celltype it is stored with, and where its checksum comes from."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from seamless.buffer import Buffer
from seamless.celltypes import check_celltype, serialize
from seamless.checksum import Checksum
from seamless.transformer.execution import seam

if TYPE_CHECKING:
    from seamless.transformer.transformation import Transformation

DEEP_CELLTYPES = ("deepcell", "deepfolder", "folder")
RESULT_FORBIDDEN = ("deepfolder", "module")
_SUBCELLTYPES = ("checksum", "module")  # stored as `plain`
_PYTHON_TYPES = {int: "int", float: "float", bool: "bool", str: "str", bytes: "bytes"}
_TEXT_LIKE = frozenset({"text", "str", "bytes", "python", "ipython", "yaml", "int", "float", "bool"})
_HEX = frozenset("0123456789abcdefABCDEF")


class Nested(NamedTuple):
    """A container with transformations inside: its value is known once they have been computed."""

    value: Any
    transformations: tuple[Transformation, ...]


class Pin(NamedTuple):
    """One input. `source`: Buffer, Checksum, Transformation, Nested, or None for the value None."""

    celltype: str
    subcelltype: str | None
    source: Any
    leaves: tuple[Buffer, ...] = ()  # buffers that the source refers to, kept alive with the pin


def normalize_celltype(celltype: Any) -> str:
    """Return the celltype meant by a name, by a Python type, or by None (mixed). TypeError if unknown."""
    if celltype is None or celltype == "default":
        return "mixed"
    if isinstance(celltype, type) and celltype in _PYTHON_TYPES:
        return _PYTHON_TYPES[celltype]
    check_celltype(celltype)
    return str(celltype)


def known_checksum(text: str) -> Checksum | None:
    """Return the Checksum that `text` spells, if it is 64 hex digits of a buffer that can be had."""
    if len(text) != 64 or not _HEX.issuperset(text):
        return None
    from seamless.cache.resolve import is_known

    checksum = Checksum(text)
    return checksum if is_known(checksum) else None


def make_pin(name: str, celltype: str, value: Any) -> Pin:
    """Turn an argument into a pin; values are serialised now.

    Raises TypeError or ValueError, naming the pin, when the celltype cannot express the value.
    """
    stored, subcelltype = ("plain", celltype) if celltype in _SUBCELLTYPES else (celltype, None)
    if value is None:
        return Pin(stored, subcelltype, None)
    if isinstance(value, (Buffer, Checksum)) or is_transformation(value):
        return Pin(stored, subcelltype, value)
    if celltype == "checksum":
        if isinstance(value, str):
            return Pin(stored, subcelltype, Checksum(value))
        raise TypeError(f"argument '{name}': celltype 'checksum' needs a Checksum or its hex, not {_type(value)}")
    if celltype == "module":
        from seamless.transformer.modules import module_definition

        return Pin(stored, subcelltype, Buffer(module_definition(value), stored))
    if type(value) is str and len(value) == 64 and celltype not in _TEXT_LIKE:
        if (checksum := known_checksum(value)) is not None:
            warnings.warn(
                f"argument '{name}' is the checksum of a known buffer and is taken as that; pass Checksum(...) "
                "to say so, or declare celltype 'str' if it is text",
                stacklevel=4,
            )
            return Pin(stored, subcelltype, checksum)
    if type(value) in (dict, list, tuple):
        inner = tuple(find_transformations(value))
        if inner:
            return Pin(stored, subcelltype, Nested(value, inner))
    try:
        return _value_pin(stored, subcelltype, value)
    except (TypeError, ValueError, OverflowError) as exc:
        kind = TypeError if isinstance(exc, TypeError) else ValueError
        what = f"argument '{name}', {described(value)},"
        raise kind(f"{what} cannot be stored with celltype '{celltype}': {exc}") from exc


def _value_pin(celltype: str, subcelltype: str | None, value: Any) -> Pin:
    if celltype in DEEP_CELLTYPES:
        from seamless.transformer.deliver import pack_deep

        leaves: list[Buffer] = []

        def add(data: bytes) -> Checksum:
            leaves.append(Buffer(data))
            return leaves[-1].get_checksum()

        structure = Buffer(pack_deep(_hex_leaves(value), celltype, add))
        return Pin(celltype, subcelltype, structure, tuple(leaves))
    return Pin(celltype, subcelltype, seam.shared_buffer(value, celltype) or Buffer(serialize(value, celltype)))


def _hex_leaves(value: Any) -> Any:
    """Deep inputs are given as nested hex strings: take every 64-digit leaf as a Checksum."""
    from seamless.transformer.deliver import map_leaves

    def leaf(item: Any) -> Any:
        return Checksum(item) if isinstance(item, str) and len(item) == 64 and _HEX.issuperset(item) else item

    return map_leaves(value, leaf)


def _type(value: Any) -> str:
    return type(value).__name__


def described(value: Any) -> str:
    """Return what a value is, in words.

    >>> described({}), described(range)
    ('of type dict', 'of type type')
    """
    kind = type(value)
    return f"of type {kind.__name__}" if kind.__module__ == "builtins" else f"an object of class {kind.__name__}"


def is_transformation(value: Any) -> bool:
    """Tell whether `value` is a Transformation (without importing that module)."""
    return getattr(type(value), "_is_transformation", False)


def find_transformations(value: Any, depth: int = 4) -> Iterator[Transformation]:
    """Yield the transformations in nested lists, tuples and dicts (to a small depth: arguments are data)."""
    items = value.values() if type(value) is dict else value
    for item in items:
        if is_transformation(item):
            yield item
        elif depth and type(item) in (dict, list, tuple):
            yield from find_transformations(item, depth - 1)


def replace_transformations(value: Any, function: Callable[[Any], Any]) -> Any:
    """Return `value` with `function` applied to the transformations in it."""
    if is_transformation(value):
        return function(value)
    if type(value) is dict:
        return {key: replace_transformations(item, function) for key, item in value.items()}
    if type(value) in (list, tuple):
        return [replace_transformations(item, function) for item in value]
    return value


def format_entry(celltype: str) -> dict[str, Any]:
    """Return the `__format__` entry of a directory pin of the Python API."""
    return {"filesystem": {"mode": "directory"}, "celltype": celltype}
