"""Parsing buffers by the names that other code uses; the work is in `seamless.celltypes`."""

from __future__ import annotations

from typing import Any

from seamless.celltypes import parse
from seamless.checksum import Checksum


def parse_buffer_sync(buffer: Any, checksum: Checksum | None, celltype: str, copy: bool = True) -> Any:
    """Return the value of a Buffer or bytes-like object under `celltype`.

    Nothing is remembered under `checksum`. Every call gives a new value, also without `copy`; its arrays
    are read-only views of the buffer.
    """
    return parse(getattr(buffer, "content", buffer), celltype)


async def parse_buffer(buffer: Any, checksum: Checksum | None, celltype: str, copy: bool = True) -> Any:
    """Do what `parse_buffer_sync` does. Runs in the calling thread."""
    return parse_buffer_sync(buffer, checksum, celltype, copy)
