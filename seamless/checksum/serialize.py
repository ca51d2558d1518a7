"""Serialising by the names that other code uses; the work is in `seamless.celltypes`."""

from __future__ import annotations

from typing import Any

from seamless.celltypes import serialize as serialize_sync


async def serialize(value: Any, celltype: str) -> bytes:
    """Return the bytes of `value` under `celltype`. Runs in the calling thread."""
    return serialize_sync(value, celltype)


__all__ = ["serialize", "serialize_sync"]
