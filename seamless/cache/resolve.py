"""From a checksum to its bytes: trivial buffers, memory, the active stores, recomputation."""

from __future__ import annotations

from seamless.buffer import Buffer
from seamless.cache.buffer_cache import find_in_memory, register_weakly
from seamless.checksum import Checksum
from seamless.checksum.calculate_checksum import TRIVIAL_CHECKSUMS
from seamless.errors import BufferCorruptionError, CacheMissError, StoreError
from seamless.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, BinaryIO


def find(checksum: Checksum) -> Buffer | None:
    """Return the buffer from memory or the first store that gives it, or None.

    Raises what a store has raised (StoreError, BufferCorruptionError) if no other has the buffer.
    """
    trivial = TRIVIAL_CHECKSUMS.get(checksum.hex())
    if trivial is not None:
        return Buffer.verified(trivial, checksum)
    buffer = find_in_memory(checksum)
    if buffer is not None:
        return buffer
    session.ensure_active()
    failure: Exception | None = None
    for store in session.buffer_stores:
        try:
            content = store.get(checksum)
        except (StoreError, BufferCorruptionError) as error:
            failure = failure or error
            continue
        if content is not None:
            buffer = Buffer.verified(content, checksum)
            register_weakly(checksum, buffer)
            return buffer
    if failure is not None:
        raise failure
    return None


def is_known(checksum: Checksum) -> bool:
    """Tell whether the buffer can be had without recomputation."""
    if checksum.hex() in TRIVIAL_CHECKSUMS or find_in_memory(checksum) is not None:
        return True
    session.ensure_active()
    return any(store.has([checksum])[0] for store in session.buffer_stores)


def open_buffer(checksum: Checksum) -> BinaryIO:
    """Return a binary file over the bytes, streamed from the store if they are not in memory.

    Raises CacheMissError.
    """
    import io

    buffer = find_in_memory(checksum)
    if buffer is None:
        session.ensure_active()
        for store in session.buffer_stores:
            try:
                stream = store.open(checksum)
            except (StoreError, BufferCorruptionError):
                break  # `find` asks the others, and raises this error if none has it
            if stream is not None:
                return stream
        buffer = find(checksum)
    if buffer is None:
        raise miss(checksum)
    return io.BytesIO(buffer.content)


def miss(checksum: Checksum) -> CacheMissError:
    """Return the error that says where the buffer has been looked for."""
    return CacheMissError(checksum, asked=("memory", *(s.name for s in session.buffer_stores)))


def resolve_buffer(checksum: Checksum) -> Buffer:
    """Return the buffer, or raise CacheMissError."""
    buffer = find(checksum)
    if buffer is None:
        raise miss(checksum)
    return buffer


def _parsed(buffer: Buffer, celltype: str | None) -> Any:
    return buffer if celltype is None else buffer.get_value(celltype)


def _checked(celltype: str | None) -> None:
    if celltype is not None:
        from seamless.celltypes import check_celltype

        check_celltype(celltype)


def resolve(checksum: Checksum, celltype: str | None = None) -> Any:
    """Return the Buffer, or with `celltype` the value. Blocks; raises CacheMissError, TypeError, ValueError."""
    _checked(celltype)
    return _parsed(resolve_buffer(checksum), celltype)


async def off_loop(function: Callable[..., Any], *args: Any) -> Any:
    """Run a blocking function in a thread while the event loop goes on."""
    import asyncio

    return await asyncio.get_running_loop().run_in_executor(None, function, *args)


async def resolution(checksum: Checksum, celltype: str | None = None) -> Any:
    """Do what `resolve` does, without blocking the event loop."""
    return await off_loop(resolve, checksum, celltype)


def fingertip_buffer(checksum: Checksum) -> Buffer:
    """Return the buffer, recomputing it if it is nowhere to be found. Raises CacheMissError."""
    buffer = find(checksum)
    if buffer is None and session.recompute is not None:
        buffer = session.recompute(checksum)
    if buffer is None:
        raise miss(checksum)
    return buffer


def fingertip_sync(checksum: Checksum, celltype: str | None = None) -> Any:
    """Return the Buffer or value, recomputing the buffer if need be. Blocks; raises CacheMissError."""
    _checked(celltype)
    return _parsed(fingertip_buffer(checksum), celltype)


async def fingertip(checksum: Checksum, celltype: str | None = None) -> Any:
    """Do what `fingertip_sync` does, without blocking the event loop."""
    return await off_loop(fingertip_sync, checksum, celltype)


# --- conversions, remembered as (checksum, source, target) -> checksum -----------------------

_conversions: dict[tuple[Checksum, str, str], Checksum] = {}
_CONVERSIONS_LIMIT = 100_000


def convert_buffer(buffer: Buffer, source: str, target: str) -> Buffer:
    """Return the buffer converted between celltypes. Raises SeamlessConversionError."""
    from seamless.celltypes import convert

    content = convert(buffer.content, source, target, resolve=lambda hex_: resolve_buffer(Checksum(hex_)).content)
    if content == buffer.content:
        return buffer
    converted = Buffer(content)
    _remember_conversion(buffer.get_checksum(), source, target, converted.get_checksum())
    return converted


def convert_checksum(checksum: Checksum, source: str, target: str) -> Checksum:
    """Return the checksum of the converted buffer, which a temporary reference keeps for a while."""
    known = _conversions.get((checksum, source, target))
    if known is not None and is_known(known):
        return known
    converted = convert_buffer(resolve_buffer(checksum), source, target)
    if not session.is_worker and not session.closed:
        converted.tempref()
    return converted.get_checksum()


def _remember_conversion(checksum: Checksum, source: str, target: str, result: Checksum) -> None:
    if len(_conversions) >= _CONVERSIONS_LIMIT:
        _conversions.clear()
    _conversions[checksum, source, target] = result
