"""The format of celltype `mixed` in its parts: storage, form, stream. For code that uses it by these names."""

from __future__ import annotations

from typing import Any

from seamless.celltypes.json_writer import Unwritable
from seamless.celltypes.mixed import MAGIC_NUMPY, parse_mixed, write_mixed
from seamless.celltypes.mixed import MAGIC_STREAM as MAGIC_SEAMLESS_MIXED
from seamless.celltypes.mixed_form import MAGIC_INNER as MAGIC_SEAMLESS
from seamless.celltypes.mixed_form import MIXED_PLAIN, Tree
from seamless.celltypes.mixed_stream import read_inner
from seamless.celltypes.npy import join_chunks


def get_form(value: Any) -> tuple[str, Any]:
    """Return (storage, form) of `value`. Raises TypeError."""
    try:
        return Tree().build(value, 1)[:2]
    except Unwritable as error:
        raise error.as_error() from None
    except RecursionError:
        raise TypeError("the value is nested too deeply") from None


def to_stream(value: Any, storage: str | None = None, form: Any = None) -> bytes:
    """Return the bytes of `value` without the header that tells storage and form. Raises TypeError."""
    if storage is None:
        storage = get_form(value)[0]
    if storage != MIXED_PLAIN:
        return write_mixed(value)
    tree = Tree()
    try:
        skeleton = tree.build(value, 1)[2]
    except Unwritable as error:
        raise error.as_error() from None
    return join_chunks(tree.inner_head(skeleton), tree.leaves)


def from_stream(stream: bytes, storage: str, form: Any) -> Any:
    """Return the value of what `to_stream` returned. Raises ValueError."""
    return read_inner(stream, 0, form) if storage == MIXED_PLAIN else parse_mixed(stream)


def serialize(value: Any) -> bytes:
    """Return the bytes of `value` under celltype `mixed`. Raises TypeError."""
    return write_mixed(value)


def deserialize(data: Any) -> Any:
    """Return the value in bytes of celltype `mixed`; its arrays are read-only. Raises ValueError."""
    return parse_mixed(data)


__all__ = [
    "MAGIC_NUMPY",
    "MAGIC_SEAMLESS",
    "MAGIC_SEAMLESS_MIXED",
    "deserialize",
    "from_stream",
    "get_form",
    "serialize",
    "to_stream",
]
