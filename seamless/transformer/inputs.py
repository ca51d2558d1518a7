"""What must be in a store for a transformation to be executed elsewhere, or again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from seamless.buffer import Buffer
from seamless.cache.buffer_cache import get_buffer_cache
from seamless.checksum import Checksum
from seamless.transformer.identity import transformation_buffer

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUFFERS_OF_KEYS = ("__schema__", "__header__", "__compilation__")  # of compiled steps: each the checksum of a buffer


def inputs_in_memory(transformation: Mapping[str, Any], *, scratch: bool = False) -> list[Buffer]:
    """Return the inputs, code and identity buffer as far as they are in memory; scratch ones only if asked for."""
    cache = get_buffer_cache()
    found = [Buffer(transformation_buffer(transformation))]
    for checksum in _checksums(transformation):
        buffer = cache.get(checksum)
        if buffer is not None and (scratch or not cache.is_scratch_ref(checksum)):
            found.append(buffer)
    return found


def _checksums(transformation: Mapping[str, Any]) -> Iterator[Checksum]:
    for key, entry in transformation.items():
        hexadecimal = entry if key in _BUFFERS_OF_KEYS else None if key.startswith("__") else entry[2]
        if isinstance(hexadecimal, str):
            yield Checksum(hexadecimal)
