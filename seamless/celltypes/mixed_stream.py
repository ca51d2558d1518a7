"""Reading the stream of celltype `mixed`.

Every number in the data is checked against the data before it is used; what is malformed is a ValueError.
"""

from __future__ import annotations

import math
from typing import Any

from seamless.celltypes import npy
from seamless.celltypes.dtypes import aligned_struct, sub_shape
from seamless.celltypes.json_reader import parse_lenient
from seamless.celltypes.mixed import MAGIC_STREAM
from seamless.celltypes.mixed_form import MAGIC_INNER, MIXED_PLAIN, PURE_BINARY

_MAX_ITEMSIZE = 2**31 - 1
_MAX_DIMENSIONS = 64
_KINDS = {"boolean": (1,), "integer": (1, 2, 4, 8), "number": (2, 4, 8, 12, 16)}


def read_stream(data: Any, writable: bool = False) -> Any:
    """Return the value in a mixed stream. Raises ValueError."""
    form, start = read_form(data)
    return read_inner(data, start, form, writable)


def read_form(data: Any) -> tuple[Any, int]:
    """Return the form in a mixed stream, and where its inner part begins. Raises ValueError."""
    position = len(MAGIC_STREAM)
    name_length = data[position] if len(data) > position else -1
    name = _take(data, position + 1, name_length)
    if name != MIXED_PLAIN.encode():
        raise ValueError(f"mixed stream: unknown storage {name[:40]!r}")
    position += 1 + len(name)
    length = int.from_bytes(_take(data, position, 4), "little")
    return _json(_take(data, position + 4, length), "form"), position + 4 + length


def read_inner(data: Any, start: int, form: Any, writable: bool = False) -> Any:
    """Return the value in the inner part of a stream, which begins at `start`. Raises ValueError."""
    if _take(data, start, len(MAGIC_INNER)) != MAGIC_INNER:
        raise ValueError("mixed stream: the inner magic string is missing")
    start += len(MAGIC_INNER)
    json_size = int.from_bytes(_take(data, start, 8), "little")
    binary_size = int.from_bytes(_take(data, start + 8, 8), "little")
    content = _json(_take(data, start + 16, json_size), "skeleton")
    area = start + 16 + json_size
    if area + binary_size != len(data):
        raise ValueError(f"mixed stream: {len(data) - area} bytes of arrays, {binary_size} are announced")
    if not isinstance(content, list) or len(content) != 2:
        raise ValueError("mixed stream: expected [offsets, skeleton]")
    offsets, skeleton = content
    _check_offsets(offsets, binary_size)
    leaves = _Leaves(data, area, offsets, writable)
    try:
        value = _fill(form, skeleton, leaves)
    except RecursionError:
        raise ValueError("mixed stream: nested too deeply") from None
    if leaves.index != len(offsets) - 1:
        raise ValueError(f"mixed stream: {len(offsets) - 1} arrays, the form has {leaves.index}")
    return value


def _take(data: Any, start: int, length: int) -> bytes:
    if length < 0 or start + length > len(data):
        raise ValueError(f"mixed stream: truncated ({len(data)} bytes)")
    return bytes(data[start : start + length])


def _json(raw: bytes, what: str) -> Any:
    try:
        return parse_lenient(raw.decode())
    except ValueError as error:
        raise ValueError(f"mixed stream: the {what} is not JSON: {error}") from None


def _check_offsets(offsets: Any, size: int) -> None:
    if not isinstance(offsets, list) or not all(type(n) is int for n in offsets):
        raise ValueError("mixed stream: offsets must be integers")
    if not offsets or offsets[0] != 0 or offsets[-1] != size or sorted(offsets) != offsets:
        raise ValueError("mixed stream: offsets must rise from 0 to the size of the arrays")


class _Leaves:
    """Hands out the binary leaves in their order."""

    def __init__(self, data: Any, area: int, offsets: list[int], writable: bool):
        self.data, self.area, self.offsets, self.writable = data, area, offsets, writable
        self.index = 0
        self.numpy = npy.load_numpy("reading celltype 'mixed'")

    def next(self, dtype: Any, shape: tuple[int, ...]) -> Any:
        if self.index + 1 >= len(self.offsets):
            raise ValueError("mixed stream: the form has more arrays than there are data")
        start, end = self.offsets[self.index : self.index + 2]
        self.index += 1
        size = math.prod(shape) * dtype.itemsize
        if size != end - start:
            raise ValueError(f"mixed stream: an array of {size} bytes has {end - start} bytes of data")
        array = npy.view(self.numpy, self.data, self.area + start, self.area + end, dtype, shape)
        return array.copy() if self.writable else array


def _fill(form: Any, skeleton: Any, leaves: _Leaves) -> Any:
    """Put the leaves below a value of mixed storage into its skeleton, and return it."""
    kind = form.get("type") if isinstance(form, dict) else None
    if kind == "object":
        properties = form.get("properties")
        if not isinstance(properties, dict) or not isinstance(skeleton, dict) or properties.keys() != skeleton.keys():
            raise ValueError("mixed stream: the keys of form and skeleton differ")
        for key in sorted(properties):
            child = properties[key]
            storage = child.get("storage") if isinstance(child, dict) else None
            if storage == PURE_BINARY:
                skeleton[key] = _leaf(child, leaves)
            elif storage is not None:
                _require_mixed(storage)
                skeleton[key] = _fill(child, skeleton[key], leaves)
        return skeleton
    if kind != "array" or not isinstance(skeleton, list) or form.get("shape") != [len(skeleton)]:
        raise ValueError("mixed stream: form and skeleton differ")
    items = form.get("items")
    if isinstance(items, list) and len(items) != len(skeleton):
        raise ValueError("mixed stream: a list has not as many forms as items")
    for index in range(len(skeleton)):
        child = items[index] if isinstance(items, list) else items
        storage = child.get("storage") if isinstance(child, dict) else None
        if storage == PURE_BINARY:
            skeleton[index] = _leaf(child, leaves)
        elif storage is not None:
            _require_mixed(storage)
            skeleton[index] = _fill(child, skeleton[index], leaves)
    return skeleton


def _require_mixed(storage: Any) -> None:
    if storage != MIXED_PLAIN:
        raise ValueError(f"mixed stream: unknown storage {str(storage)[:40]!r}")


def _leaf(form: dict[str, Any], leaves: _Leaves) -> Any:
    try:
        if form.get("type") == "object":
            return leaves.next(_struct(form), ())[()]
        if form.get("type") != "array":
            raise ValueError("mixed stream: an array has an unknown form")
        shape = form.get("shape")
        if not isinstance(shape, list) or len(shape) > _MAX_DIMENSIONS:
            raise ValueError("mixed stream: the shape of an array is not a list of up to 64 integers")
        if not all(type(n) is int and 0 <= n < 2**63 for n in shape):
            raise ValueError("mixed stream: the shape of an array is not a list of sizes")
        return leaves.next(_element(form.get("items")), tuple(shape))
    except (TypeError, OverflowError, MemoryError, SyntaxError) as error:
        raise ValueError(f"mixed stream: impossible array: {error}") from None


def _element(form: Any) -> Any:
    """Return the dtype of an element form."""
    if not isinstance(form, dict):
        raise ValueError("mixed stream: an array has an unknown form")
    kind = form.get("type")
    if kind == "object":
        return _struct(form)
    import numpy

    if kind == "tuple":
        dtype = numpy.dtype((_element(form.get("items")), sub_shape(form.get("shape"))))
        return _sized(dtype)
    size = form.get("bytesize")
    if type(size) is not int or not 0 < size <= _MAX_ITEMSIZE:
        raise ValueError("mixed stream: bytesize is not a size")
    if kind == "string":
        return numpy.dtype(f"S{size}")
    if not isinstance(kind, str) or size not in _KINDS.get(kind, ()):
        raise ValueError(f"mixed stream: unknown element {str(kind)[:40]!r} of {size} bytes")
    letter = {"boolean": "b", "number": "f"}.get(kind) or ("u" if form.get("unsigned") is True else "i")
    return numpy.dtype(f"{letter}{size}")


def _struct(form: dict[str, Any]) -> Any:
    properties, order = form.get("properties"), form.get("order")
    if not isinstance(properties, dict) or not isinstance(order, list) or not order or "" in properties:
        raise ValueError("mixed stream: a structured array without fields")
    if not all(isinstance(name, str) for name in order) or sorted(order) != sorted(properties):
        raise ValueError("mixed stream: order and fields of a structured array differ")
    dtype = aligned_struct([(name, _element(properties[name])) for name in order])
    if dtype.itemsize != form.get("bytesize"):
        raise ValueError("mixed stream: a structured array has another bytesize than its fields")
    return _sized(dtype)


def _sized(dtype: Any) -> Any:
    if not 0 < dtype.itemsize <= _MAX_ITEMSIZE:
        raise ValueError("mixed stream: an element without a size")
    return dtype
