"""The stores that commands work with: where the buffers and results of a project and stage are.

Commands get their stores here and nowhere else. They use what the protocols in `seamless.session` promise; what only
some stores can do, such as whole files in and out, is asked for by the functions below.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seamless.checksum import Checksum
    from seamless.session import BufferStore, ResultStore
    from seamless.stores.directory import BufferDirectory

_CHUNK = 1 << 20


class Storage:
    """A store of buffers and one of results; `where` names both in messages."""

    __slots__ = ("buffers", "results", "where")

    def __init__(self, buffers: BufferStore, results: ResultStore, where: str):
        self.buffers, self.results, self.where = buffers, results, where

    def close(self) -> None:
        """Release what has to be released: connections, the database."""
        for store in (self.results, self.buffers):
            close = getattr(store, "close", None)
            if close is not None:
                close()


def open_storage(*, project: str = "", stage: str = "") -> Storage:
    """Open the stores of a project and stage, given as `NAME[:SUBNAME]` or empty, and make them the active ones.

    Raises UsageError for a name that cannot be, StoreError for stores that cannot be used.
    """
    from seamless.config.embedded import activate_embedded

    names: list[str | None] = [None, None, None]
    if project or stage:
        from seamless.cli.run_options import split_scope

        names = [*split_scope(project, "--project"), split_scope(stage, "--stage")[0]]
    store = activate_embedded(project=names[0], subproject=names[1], stage=names[2])
    return Storage(store.buffers, store.results, store.directory)


def open_directory(path: str, *, writable: bool) -> Storage:
    """Open a buffer directory by itself: no configuration, no results.

    Its layout is that of its marker; without one, buffers lie in the directory itself. Raises StoreError.
    """
    from seamless.stores.directory import BufferDirectory
    from seamless.stores.layout import MARKER
    from seamless.stores.memory import MemoryResults

    path = os.path.abspath(os.path.expanduser(path))
    prefix = os.path.exists(os.path.join(path, MARKER))
    return Storage(BufferDirectory(path, writable=writable, create=writable, prefix=prefix), MemoryResults(), path)


def as_directory(store: BufferStore) -> BufferDirectory | None:
    """Return the store if it is a buffer directory of this machine, else None."""
    from seamless.stores.directory import BufferDirectory

    return store if isinstance(store, BufferDirectory) else None


def take_in(store: BufferStore, source: Any) -> tuple[Checksum, int]:
    """Store a file (a path, or an open binary file from where it stands); return its checksum and length.

    Constant memory. Raises OSError or ValueError for a file that cannot be read, StoreError.
    """
    ingest = getattr(store, "ingest", None)
    if ingest is not None:
        stored: tuple[Checksum, int] = ingest(source)
        return stored
    if hasattr(source, "read"):
        return _take_in_mapped(store, source)
    with open(source, "rb") as file:
        return _take_in_mapped(store, file)


def _take_in_mapped(store: BufferStore, source: Any) -> tuple[Checksum, int]:
    """Store by way of a temporary file that is mapped into memory: the store is given bytes, not a stream."""
    import mmap
    from tempfile import TemporaryFile

    from seamless.checksum import Checksum

    with TemporaryFile(prefix="seamless-") as copy:
        while chunk := source.read(_CHUNK):
            copy.write(chunk)
        copy.flush()
        length = copy.tell()
        if not length:
            checksum = Checksum.of(b"")
            store.put([(checksum, b"")])
            return checksum, 0
        with mmap.mmap(copy.fileno(), length, access=mmap.ACCESS_READ) as view:
            checksum = Checksum.of(view)
            store.put([(checksum, view)])
    return checksum, length


def put_file(store: BufferStore, checksum: Checksum, path: str) -> None:
    """Store a file whose checksum is known, in constant memory. Raises BufferCorruptionError if it has another."""
    from seamless.errors import BufferCorruptionError

    put = getattr(store, "put_file", None)
    if put is not None:
        put(checksum, path)
        return
    found, _ = take_in(store, path)
    if found != checksum:
        raise BufferCorruptionError(checksum.hex(), where=path, found=found.hex())


def copy_out(store: BufferStore, checksum: Checksum, path: str) -> bool:
    """Write the verified bytes to `path`, which is replaced in one step; False if absent.

    A device or pipe is written to. Raises OSError for a path that cannot be written, StoreError,
    BufferCorruptionError.
    """
    copy = getattr(store, "copy_to", None)
    if copy is not None:
        return bool(copy(checksum, path))
    stream = store.open(checksum)
    if stream is None:
        return False
    from seamless.cli.transfer.files import replacing

    with stream, replacing(path) as target:
        while chunk := stream.read(_CHUNK):
            target.write(chunk)
    return True
