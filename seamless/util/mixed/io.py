"""The format of celltype `mixed` under the names that other code imports; storage is told with the value."""

from __future__ import annotations

from typing import Any

from seamless.celltypes.mixed import parse_mixed, write_mixed
from seamless.util.mixed import from_stream, get_form, to_stream


def serialize(data: Any, *, storage: str | None = None, form: Any = None) -> bytes:
    """Return the bytes of a value under celltype `mixed`; storage and form follow from it. Raises TypeError."""
    return write_mixed(data)


def deserialize(data: Any) -> tuple[Any, str]:
    """Return (value, storage) of bytes of celltype `mixed`. Raises ValueError.

    The storage is `pure-plain`, `pure-binary`, `mixed-plain` or `mixed-binary`.
    """
    value = parse_mixed(data)
    return value, get_form(value)[0]


__all__ = ["deserialize", "from_stream", "get_form", "serialize", "to_stream"]
