"""What must be in a store for a transformation to be executed elsewhere, or again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from seamless.buffer import Buffer
from seamless.cache.buffer_cache import get_buffer_cache
from seamless.checksum import Checksum
from seamless.session import session
from seamless.transformer.identity import transformation_buffer

if TYPE_CHECKING:
    from collections.abc import Iterator

_SMALL = 1 << 16  # bytes of all inputs of a step
_BUFFERS_OF_KEYS = ("__schema__", "__header__", "__compilation__")  # of compiled steps: each the checksum of a buffer


def inputs_in_memory(transformation: Mapping[str, Any], *, scratch: bool = False) -> list[Buffer]:
    """Return the inputs, code and identity buffer as far as they are in memory; scratch ones only if asked for."""
    cache = get_buffer_cache()
    found = [Buffer(transformation_buffer(transformation))]
    for checksum in buffer_checksums(transformation):
        buffer = cache.get(checksum)
        if buffer is not None and (scratch or not cache.is_scratch_ref(checksum)):
            found.append(buffer)
    return found


def store_members() -> None:
    """Have a store keep what is inside of the inputs, which waits for that. Raises StoreError."""
    from seamless.cache.buffer_writer import get_writer

    if session.writable_buffer_stores() and get_writer().pending():
        get_writer().flush()


def offer(tf: Checksum | None, transformation: Mapping[str, Any] | None) -> Checksum | None:
    """Have the stores that are active get, in the background, what others need to compute a transformation.

    Return its checksum `tf`.
    """
    if transformation is not None and not session.is_worker and any(store.writable for store in session.buffer_stores):
        for buffer in inputs_in_memory(transformation):
            buffer.tempref()
    return tf


def small_inputs(transformation: Mapping[str, Any], *, scratch: bool = False) -> list[Buffer] | None:
    """Return the inputs and code as far as they are in memory; None if they are too large to go along with a step."""
    found = inputs_in_memory(transformation, scratch=scratch)[1:]
    return found if sum(map(len, found)) <= _SMALL else None


def buffer_checksums(transformation: Mapping[str, Any]) -> Iterator[Checksum]:
    """Yield the checksums of all buffers that a transformation refers to."""
    for key, entry in transformation.items():
        hexadecimal = entry if key in _BUFFERS_OF_KEYS else None if key.startswith("__") else entry[2]
        if isinstance(hexadecimal, str):
            yield Checksum(hexadecimal)
