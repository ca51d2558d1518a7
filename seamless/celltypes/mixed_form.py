"""The form of a value of celltype `mixed` (its shape, as JSON), and writing the stream that has it."""

from __future__ import annotations

import math
from json import dumps

from seamless.celltypes import npy
from seamless.celltypes.dtypes import require_storable
from seamless.celltypes.json_writer import Unwritable, too_deep
from seamless.celltypes.mixed import MAGIC_STREAM
from seamless.celltypes.mixed_json import (
    MAX_CONTAINERS,
    is_binary,
    key_string,
    not_mixed,
    plain_scalar,
    sorted_keys,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAGIC_INNER = b"\x93SEAMLESS"

PURE_PLAIN = "pure-plain"
PURE_BINARY = "pure-binary"
MIXED_PLAIN = "mixed-plain"

_SCALAR_FORMS: dict[type, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
}
# Below this length, looking for a common type costs more than it saves.
_BULK = 8


def write_stream(value: Any) -> bytes:
    """Return the stream of a container that holds an array or bytes. Raises Unwritable, TypeError."""
    return npy.join_chunks(*stream_parts(value))


def stream_parts(value: Any) -> tuple[list[bytes], list[Any]]:
    """Return what makes up the stream of such a container, for `npy.join_chunks` or `npy.pieces`."""
    tree = Tree()
    storage, form, skeleton = tree.build(value, 1)
    name, form_json = storage.encode(), dumps(form).encode()
    head = [MAGIC_STREAM, bytes([len(name)]), name, len(form_json).to_bytes(4, "little"), form_json]
    return head + tree.inner_head(skeleton), tree.leaves


class Tree:
    """The form and skeleton of a value, and its binary leaves in stream order (keys sorted)."""

    def __init__(self) -> None:
        self.leaves: list[Any] = []

    def inner_head(self, skeleton: Any) -> list[bytes]:
        """Return what precedes the leaves: magic, lengths, offsets and skeleton."""
        offsets = [0]
        for leaf in self.leaves:
            offsets.append(offsets[-1] + (len(leaf) if isinstance(leaf, bytes) else leaf.nbytes))
        text = dumps([offsets, skeleton]).encode()
        return [MAGIC_INNER, len(text).to_bytes(8, "little"), offsets[-1].to_bytes(8, "little"), text]

    def build(self, value: Any, depth: int) -> tuple[str, Any, Any]:
        """Return storage, form and skeleton of `value`, in a container `depth` deep."""
        kind = type(value)
        scalar_form = _SCALAR_FORMS.get(kind)
        if scalar_form is not None:
            return PURE_PLAIN, scalar_form, value
        if kind is not dict and kind is not list and kind is not tuple:
            scalar = plain_scalar(value)
            if scalar is not value:
                return PURE_PLAIN, _SCALAR_FORMS[type(scalar)], scalar
            if is_binary(value):
                return PURE_BINARY, self._leaf_form(value), 0
            if not isinstance(value, (dict, list, tuple)):
                raise Unwritable(not_mixed(value))
        if depth > MAX_CONTAINERS:
            raise too_deep(MAX_CONTAINERS)
        return self._build_dict(value, depth) if isinstance(value, dict) else self._build_list(value, depth)

    def _build_dict(self, value: dict[Any, Any], depth: int) -> tuple[str, Any, Any]:
        if not value:
            return PURE_PLAIN, {"type": "object"}, {}
        built: dict[Any, tuple[str, Any, Any]] = {}
        for key in sorted_keys(value):
            try:
                built[key] = self.build(value[key], depth + 1)
            except Unwritable as error:
                error.path.append(key)
                raise
        names = [key_string(key) for key, (storage, _, _) in built.items() if storage != PURE_PLAIN]
        if names != sorted(names):
            raise Unwritable(
                f"the keys {', '.join(names[:5])} of arrays sort differently as text, so that readers would "
                "mix the arrays up: use str keys under celltype 'mixed'"
            )
        properties, skeleton = {}, {}
        for key in value:  # the insertion order is part of the bytes
            storage, form, child = built[key]
            text = key_string(key)
            properties[text], skeleton[text] = _with_storage(form, storage), child
        return MIXED_PLAIN if names else PURE_PLAIN, {"type": "object", "properties": properties}, skeleton

    def _build_list(self, value: Any, depth: int) -> tuple[str, Any, Any]:
        if len(value) >= _BULK:
            kinds = set(map(type, value))
            form = _SCALAR_FORMS.get(kinds.pop()) if len(kinds) == 1 else None
            if form is not None:
                return PURE_PLAIN, _list_form(form, True, len(value)), value
        built: list[tuple[str, Any, Any]] = []
        for item in value:
            try:
                built.append(self.build(item, depth + 1))
            except Unwritable as error:
                error.path.append(len(built))
                raise
        if not built:
            return PURE_PLAIN, _list_form(None, True, 0), []
        first_storage, first_form = built[0][:2]
        if all(storage == first_storage and form == first_form for storage, form, _ in built):
            items: Any = _with_storage(first_form, first_storage)
            identical = True
        else:
            items = [_with_storage(form, storage) for storage, form, _ in built]
            identical = False
        storage = PURE_PLAIN if all(child[0] == PURE_PLAIN for child in built) else MIXED_PLAIN
        return storage, _list_form(items, identical, len(built)), [child[2] for child in built]

    def _leaf_form(self, value: Any) -> dict[str, Any]:
        if isinstance(value, bytes):
            self.leaves.append(bytes(value) or b"\0")
            return _array_form({"type": "string", "bytesize": len(value) or 1}, (), None)
        numpy = npy.load_numpy("celltype 'mixed'")
        array = numpy.asanyarray(value)
        require_storable(array)
        array = numpy.asarray(array)
        self.leaves.append(array)
        element = element_form(array.dtype)
        if isinstance(value, numpy.void):
            return element
        return _array_form(element, array.shape, _strides(array))


def _with_storage(form: Any, storage: str) -> Any:
    return form if storage == PURE_PLAIN else {**form, "storage": storage}


def _list_form(items: Any, identical: bool, length: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "identical": identical, "shape": [length]}


def _array_form(element: dict[str, Any], shape: tuple[int, ...], strides: list[int] | None) -> dict[str, Any]:
    form = {"type": "array", "items": element, "identical": True, "shape": list(shape), "contiguous": strides is None}
    if strides is not None:
        form["strides"] = strides
    return form


def _strides(array: Any) -> list[int] | None:
    """Return the strides that the form records, or None if they are those of a C-contiguous array.

    An empty array always gets those of a newly made one, so that equal empty arrays have one checksum.
    """
    if array.ndim and array.size == 0:
        return [0] * array.ndim
    expected = [array.itemsize * math.prod(array.shape[axis + 1 :]) for axis in range(array.ndim)]
    return None if list(array.strides) == expected else list(array.strides)


def element_form(dtype: Any) -> dict[str, Any]:
    """Return the form of one element of `dtype`."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return {"type": "tuple", "items": element_form(base), "identical": True, "shape": list(shape)}
    if dtype.names is not None:
        properties = {name: element_form(dtype.fields[name][0]) for name in dtype.names}
        return {"type": "object", "properties": properties, "bytesize": dtype.itemsize, "order": list(dtype.names)}
    name = {"b": "boolean", "i": "integer", "u": "integer", "f": "number", "S": "string"}[dtype.kind]
    form = {"type": name, "bytesize": dtype.itemsize}
    if name == "integer":
        form["unsigned"] = dtype.kind == "u"
    return form
