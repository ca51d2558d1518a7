"""Buffers that travel with a message: small ones in it, large ones as descriptors of shared memory or of files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

from seamless.buffer import Buffer
from seamless.cache.access import Buffers
from seamless.cache.buffer_cache import find_in_memory, register_weakly
from seamless.checksum import Checksum
from seamless.checksum.calculate_checksum import TRIVIAL_CHECKSUMS
from seamless.errors import BufferCorruptionError, StoreError
from seamless.session import session
from seamless.transformer.workers.memory import SMALL, MappedBuffer, Segments, fill, map_file
from seamless.transformer.workers.protocol import MOST_FDS, close_all

Item = tuple[str, "bytes | None"]  # checksum, bytes; None: the next descriptor has them


class Parcel:
    """What goes with one message. `segments` keeps copies for the next message; without, each is made anew."""

    def __init__(self, segments: Segments | None = None) -> None:
        self.items: list[Item] = []
        self.fds: list[int] = []
        self._segments = segments
        self._to_close: list[int] = []
        self._to_release: list[Checksum] = []

    def add(self, checksum: Checksum, buffer: Buffer) -> bool:
        """Add a buffer; False if there is no room for another descriptor. OSError if there is no memory."""
        if len(buffer) <= SMALL:
            self.items.append((checksum.hex(), buffer.content))
            return True
        if len(self.fds) >= MOST_FDS:
            return False
        fd = buffer.segment() if isinstance(buffer, MappedBuffer) else None
        if fd is not None:
            self._to_close.append(fd)
        elif self._segments is not None:
            fd = self._segments.acquire(checksum, buffer.view)
            self._to_release.append(checksum)
        else:
            fd = fill(buffer.view)
            self._to_close.append(fd)
        self._add_fd(checksum, fd)
        return True

    def add_input(self, checksum: Checksum, buffers: Buffers) -> bool:
        """Add an input from where it is: memory, a file of a store, or whatever `buffers` does to get it."""
        if checksum.hex() in TRIVIAL_CHECKSUMS:
            return True  # everybody knows those
        buffer = find_in_memory(checksum)
        if buffer is None or not self._is_cheap(checksum, buffer):
            if len(self.fds) >= MOST_FDS:
                return False
            fd = _stored_file(checksum)
            if fd is not None:
                self._to_close.append(fd)
                self._add_fd(checksum, fd)
                return True
        return self.add(checksum, buffers.get(checksum) if buffer is None else buffer)

    def _is_cheap(self, checksum: Checksum, buffer: Buffer) -> bool:
        if len(buffer) <= SMALL or isinstance(buffer, MappedBuffer):
            return True
        return self._segments is not None and self._segments.has(checksum)

    def _add_fd(self, checksum: Checksum, fd: int) -> None:
        self.items.append((checksum.hex(), None))
        self.fds.append(fd)

    def sent(self) -> None:
        """Let go of everything: it is on its way, or never will be."""
        close_all(self._to_close)
        self._to_close.clear()
        while self._to_release:
            assert self._segments is not None
            self._segments.release(self._to_release.pop())


def _stored_file(checksum: Checksum) -> int | None:
    """Return a descriptor of the file that a store keeps a large buffer in, verified; None if there is none."""
    session.ensure_active()
    for store in session.buffer_stores:
        path_of: Callable[[Checksum], str | None] | None = getattr(store, "path_of", None)
        if path_of is None:
            continue
        try:
            if (store.length(checksum) or 0) <= SMALL:
                continue
            path = path_of(checksum)
            if path is not None:
                return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except (StoreError, BufferCorruptionError, OSError):
            continue  # who reads it in the ordinary way says what is wrong
    return None


def views(items: Sequence[Item], fds: Sequence[int]) -> Iterator[tuple[str, bytes | memoryview]]:
    """Give what was in a parcel as bytes or mapped memory; the descriptors are closed."""
    left = list(fds)
    try:
        for checksum, data in items:
            if data is None:
                fd = left.pop(0)
                try:
                    yield checksum, map_file(fd)
                finally:
                    os.close(fd)
            else:
                yield checksum, data
    finally:
        close_all(left)


def unpacked(items: Sequence[Item], fds: Sequence[int]) -> list[Buffer]:
    """Return what was in a parcel as buffers. Raises ValueError for bytes that do not have their checksum.

    Those in shared memory were hashed by the process that has sealed them.
    """
    left = list(fds)
    buffers: list[Buffer] = []
    try:
        for checksum, data in items:
            if data is not None:
                buffers.append(Buffer(data, checksum=checksum))
                continue
            buffers.append(MappedBuffer(left.pop(0), Checksum(checksum)))
            register_weakly(Checksum(checksum), buffers[-1])
        return buffers
    finally:
        close_all(left)
