"""Memory that processes share: sealed, anonymous files (memfd), handed on as descriptors.

They have no name, so whatever becomes of the processes, nothing is left behind. Once sealed nobody can change them.
"""

from __future__ import annotations

import _thread
import fcntl
import mmap
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from seamless.buffer import Buffer
from seamless.cache.buffer_cache import register_weakly
from seamless.checksum import Checksum
from seamless.stores.filesystem import flat, write_all
from seamless.stores.incoming import pump

T = TypeVar("T")

SMALL = 48 * 1024  # bytes up to which a buffer travels in a message
LARGE = 1 << 20  # bytes from which an array is put into shared memory as it becomes a buffer
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_PIECE = 1 << 30  # bytes of one write
_WORTH_MAPPING = 1 << 18  # bytes; less is copied: a mapping costs two system calls, and a descriptor
_MOST_MAPPINGS = 128  # each has a descriptor, and so has a buffer that can be handed on
_IDLE_SEGMENTS = 64
_WORTH_A_THREAD = 1 << 25  # bytes from which memory is given back in the background


def fill(data: Any) -> int:
    """Return the descriptor of a sealed segment with a copy of `data`. OSError if there is no memory for it."""

    def write(fd: int) -> None:
        view = memoryview(data).cast("B")
        while view:
            view = view[os.write(fd, view[:_PIECE]) :]

    return _sealed(write)[0]


def _sealed(write: Callable[[int], T]) -> tuple[int, T]:
    """Return the descriptor of a segment that `write` has filled, sealed, and what `write` has returned."""
    fd = os.memfd_create("seamless", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        done = write(fd)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd, done


def buffer_of_large(value: Any, celltype: str) -> Buffer | None:
    """Return the buffer of a value with large arrays or bytes, made in shared memory; None for all other values.

    None also if there is no memory for it. Whoever changes an array meanwhile changes what is hashed and shared alike.
    """
    from seamless.celltypes.large import pieces_of_large

    pieces = pieces_of_large(value, celltype, LARGE)
    if pieces is None:
        return None
    try:
        fd, digest = _sealed(lambda fd: pump(_Reader(pieces), lambda view: write_all(fd, view))[0])
    except OSError:
        return None
    buffer = MappedBuffer(fd, Checksum(digest))
    register_weakly(buffer.get_checksum(), buffer)
    return buffer


class _Reader:
    """Copies pieces into the memory that it is given, one after the other, as `readinto` of a file does."""

    def __init__(self, pieces: Iterator[Any]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def __call__(self, into: memoryview) -> int:
        filled = 0
        while filled < len(into):
            if not self._left:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._left = flat(piece)
                continue
            count = min(len(into) - filled, len(self._left))
            into[filled : filled + count] = self._left[:count]
            self._left = self._left[count:]
            filled += count
        return filled


class _Map(mmap.mmap):
    """A mapping that is counted; it goes when the last view of it goes."""

    def __del__(self) -> None:
        _mappings.discard(id(self))


_mappings: set[int] = set()  # operations on it are atomic


def map_file(fd: int) -> memoryview:
    """Return the content of a segment or file, to be read: mapped if it is large. The descriptor may be closed then."""
    size = os.fstat(fd).st_size
    if size >= _WORTH_MAPPING and len(_mappings) < _MOST_MAPPINGS:
        # Private: a shared mapping of a sealed file is refused by kernels before 6.7.
        mapping = _Map(fd, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
        _mappings.add(id(mapping))
        return memoryview(mapping)
    content = bytearray(size)
    view = memoryview(content)
    while view and (count := os.preadv(fd, [view[:_PIECE]], size - len(view))):
        view = view[count:]
    if view:
        raise OSError(f"a file of {size} bytes has become shorter while it was read")
    return memoryview(content).toreadonly()


class MappedBuffer(Buffer):
    """A buffer whose bytes are in shared memory; copied into this process only if they are asked for as `bytes`."""

    __slots__ = ("_bytes", "_fd", "_mapped")

    def __init__(self, fd: int, checksum: Checksum) -> None:  # not as the base class: made from a segment only
        """Take over a sealed segment that has this checksum."""
        self._bytes: bytes | None = None
        self._fd = -1
        self._checksum = checksum
        try:
            self._mapped: memoryview = map_file(fd)
            if isinstance(self._mapped.obj, _Map):
                self._fd = fd
        finally:
            if self._fd != fd:
                os.close(fd)

    @property
    def _content(self) -> bytes:  # type: ignore[override]
        if self._bytes is None:
            self._bytes = bytes(self._mapped)
            self._mapped = memoryview(self._bytes)
            self._close()
        return self._bytes

    @property
    def view(self) -> bytes | memoryview:
        """The bytes, where they are."""
        return self._mapped

    def __len__(self) -> int:
        return len(self._mapped)

    def segment(self) -> int | None:
        """Return a new descriptor of the shared memory, or None if this buffer has none (any more)."""
        return os.dup(self._fd) if self._fd >= 0 else None

    def share(self, other: Buffer) -> None:
        """Use the bytes of an equal Buffer, and keep it alive."""
        self._equal = other
        self._checksum = other._checksum or self._checksum
        self._mapped = memoryview(other.view)
        self._close()

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) < 0:
            return
        if len(self._mapped) >= _WORTH_A_THREAD:
            held = [self._mapped, self._fd]
            try:
                # Not with `threading`, which takes locks: this may be called while this thread has them.
                _thread.start_new_thread(_let_go, (held,))
            except RuntimeError:  # the interpreter is about to end
                self._close()
        else:
            self._close()


def _let_go(held: list[Any]) -> None:
    """Close a descriptor and give up a mapping: it takes the system a while to free all those pages."""
    os.close(held.pop())
    held.clear()


class _Segment:
    __slots__ = ("fd", "filling", "size", "users")

    def __init__(self, size: int) -> None:
        self.fd, self.size, self.users = -1, size, 0
        self.filling = threading.Lock()


class Segments:
    """Copies of large buffers in shared memory, by checksum, for as long as a step uses them and a while longer.

    `idle_bytes`: how much may be kept that nobody uses. Thread-safe.
    """

    def __init__(self, idle_bytes: int) -> None:
        self.idle_bytes = idle_bytes
        self._lock = threading.Lock()
        self._segments: OrderedDict[Checksum, _Segment] = OrderedDict()
        self._idle = 0

    def has(self, checksum: Checksum) -> bool:
        """Tell whether there is a copy already."""
        return checksum in self._segments

    def acquire(self, checksum: Checksum, data: Any) -> int:
        """Return the descriptor of a segment with `data`, open until `release`. It is filled once for all."""
        with self._lock:
            segment = self._segments.get(checksum)
            if segment is None:
                segment = self._segments[checksum] = _Segment(len(data))
            elif not segment.users:
                self._idle -= segment.size
            segment.users += 1
            self._segments.move_to_end(checksum)
        try:
            with segment.filling:
                if segment.fd < 0:
                    segment.fd = fill(data)
        except BaseException:
            self.release(checksum)
            raise
        return segment.fd

    def release(self, checksum: Checksum) -> None:
        """Give one `acquire` back."""
        with self._lock:
            segment = self._segments[checksum]
            segment.users -= 1
            if segment.users:
                return
            self._idle += segment.size
            if segment.fd < 0:
                self._drop(checksum)
            self._shrink()

    def clear(self) -> None:
        """Give the idle ones up."""
        with self._lock:
            for checksum in [c for c, s in self._segments.items() if not s.users]:
                self._drop(checksum)

    def _shrink(self) -> None:
        idle = [c for c, s in self._segments.items() if not s.users]
        while idle and (self._idle > self.idle_bytes or len(idle) > _IDLE_SEGMENTS):
            self._drop(idle.pop(0))

    def _drop(self, checksum: Checksum) -> None:
        segment = self._segments.pop(checksum)
        self._idle -= segment.size
        if segment.fd >= 0:
            os.close(segment.fd)
