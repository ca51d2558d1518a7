"""The bytes of large values in pieces, for who copies them to where they are wanted and hashes them on the way.

The pieces are those that `serialize` joins: the bytes are the same.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOST_ITEMS = 1000  # of a container that is looked through for something large


def pieces_of_large(value: Any, celltype: str, least: int) -> Iterator[Any] | None:
    """Return the bytes of `value` in bytes-like pieces, to be used before the value changes.

    None unless it has bytes or an array of at least `least` bytes, and is one that `serialize` takes; ask that, then.
    """
    kind = type(value)
    if kind is dict or kind is list or kind is tuple:
        items = value.values() if kind is dict else value
        if celltype != "mixed" or len(value) > _MOST_ITEMS or not any(_size(item) >= least for item in items):
            return None
        return _container(value)
    if _size(value) < least:
        return None
    from seamless.celltypes import npy

    if kind is bytes:
        if celltype == "mixed":
            return npy.bytes_pieces(value)
        return iter([value]) if celltype == "bytes" else None
    if celltype not in ("mixed", "binary"):
        return None
    try:
        return npy.pieces(*npy.array_parts(value))
    except TypeError:
        return None


def _size(value: Any) -> int:
    """Return the bytes of an array or of bytes; 0 for all else."""
    if type(value) is bytes:
        return len(value)
    numpy = sys.modules.get("numpy")
    return value.nbytes if numpy is not None and type(value) is numpy.ndarray else 0


def _container(value: Any) -> Iterator[Any] | None:
    from seamless.celltypes import npy
    from seamless.celltypes.json_writer import Unwritable
    from seamless.celltypes.mixed_form import stream_parts
    from seamless.celltypes.mixed_json import FoundBinaryError, mixed_json

    try:
        mixed_json(value)
    except FoundBinaryError:
        try:
            return npy.pieces(*stream_parts(value))
        except (Unwritable, RecursionError, TypeError):
            return None
    except (Unwritable, RecursionError, TypeError):
        return None
    return None
