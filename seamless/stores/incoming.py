"""New files on their way into a buffer directory: written under a temporary name, made durable, then named.

A file has its final name only when all of its bytes are on disk, so that a crash leaves temporary files at
worst. Never looks at what is already there.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from seamless.checksum.sha256 import new_hash, quick
from seamless.stores.durability import disk_of
from seamless.stores.errors import store_error
from seamless.stores.filesystem import remove_file, write_all
from seamless.stores.layout import INCOMING, LENGTH, Layout, make_subdirectory
from seamless.stores.verify import State, Verdicts, state_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CHUNK = 1 << 20
_SMALL_CHUNK = 1 << 16
_CHUNKS = 4
_CONCURRENT = 1 << 22  # bytes from which hashing in a second thread pays

ReadInto = Callable[[memoryview], int | None]


def digest_while(data: Any, action: Callable[[], None]) -> bytes:
    """Run `action` and return the SHA-256 of `data`; both at once when `data` is large."""
    if len(data) < _CONCURRENT:
        action()
        return quick[0](data).digest()  # type: ignore[no-any-return]
    import threading

    hasher = new_hash()
    thread = threading.Thread(target=hasher.update, args=(data,), daemon=True)
    thread.start()
    try:
        action()
    finally:
        thread.join()
    return hasher.digest()


def pump(read_into: ReadInto, write: Callable[[memoryview], None] | None, *, small: bool = False) -> tuple[bytes, int]:
    """Read a source to its end, hashing in a second thread and writing in this one. Returns (digest, length).

    `small`: do without the thread.
    """
    if small:
        return _pump_alone(read_into, write)
    import threading
    from queue import SimpleQueue

    hasher = new_hash()
    free: SimpleQueue[memoryview] = SimpleQueue()
    full: SimpleQueue[tuple[memoryview, int] | None] = SimpleQueue()
    for _ in range(_CHUNKS):
        free.put(memoryview(bytearray(_CHUNK)))

    def hash_all() -> None:
        while (item := full.get()) is not None:
            view, n = item
            hasher.update(view[:n])
            free.put(view)

    thread = threading.Thread(target=hash_all, daemon=True)
    thread.start()
    length = 0
    try:
        # The hasher may give a chunk back while it is still being written here; it is taken again only after that.
        while n := read_into(view := free.get()):
            full.put((view, n))
            if write is not None:
                write(view[:n])
            length += n
    finally:
        full.put(None)
        thread.join()
    return hasher.digest(), length


def _pump_alone(read_into: ReadInto, write: Callable[[memoryview], None] | None) -> tuple[bytes, int]:
    view, hasher, length = memoryview(bytearray(_SMALL_CHUNK)), None, 0
    while n := read_into(rest := view[length:] if hasher is None else view):
        if write is not None:
            write(rest[:n])
        length += n
        if hasher is not None:
            hasher.update(rest[:n])
        elif length == _SMALL_CHUNK:
            hasher = new_hash(view)
    digest: bytes = (quick[0](view[:length]) if hasher is None else hasher).digest()
    return digest, length


def new_file(base: str, mode: int = 0o600) -> tuple[int, str]:
    """Create `<base>-<8 random>` for reading and writing; returns (descriptor, path)."""
    while True:
        path = f"{base}-{os.urandom(4).hex()}"
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), path
        except FileExistsError:
            continue


class Group:
    """Files that become durable and visible together, at the cost of few flushes of the disk.

    After an error call `abandon`: it removes what has no final name yet. What the system refuses becomes a StoreError.
    """

    def __init__(self, layout: Layout, verdicts: Verdicts, *, durable: bool):
        self.stored = 0  # buffers that have got their names
        self._layout, self._verdicts, self._durable = layout, verdicts, durable
        self._disk = disk_of(layout.root)
        self._pending: dict[str, tuple[int, str, bytes, str]] = {}  # temporary path -> (fd, hex, digest, form)
        self._directories: set[str] = set()
        self._named: list[tuple[State, bytes]] = []  # files whose names are not durable yet

    def __len__(self) -> int:
        return len(self._pending)

    def create(self, hexsum: str | None) -> tuple[int, str]:
        """Create a temporary file for a buffer (None: not yet known which); returns (descriptor, path)."""
        try:
            fd, path = self._new_file(hexsum)
        except OSError as exc:
            raise store_error(exc, self._layout.root) from exc
        self._pending[path] = (fd, "", b"", "")
        return fd, path

    def write(self, fd: int, data: Any) -> None:
        """Write to a file made by `create`."""
        try:
            write_all(fd, data)
        except OSError as exc:
            raise store_error(exc, self._layout.root, needed=len(data)) from exc

    def named(self, path: str, digest: bytes, form: str = "") -> None:
        """Say what the temporary file holds: a form (`.zst`, `.gz`) of the bytes with this digest."""
        self._pending[path] = (self._pending[path][0], digest.hex(), digest, form)

    def adopt(self, source: str, fd: int, digest: bytes) -> bool:
        """Take over a complete file, open as `fd`, by a second link to it; False where there can be none."""
        path = f"{self._layout.root}/{INCOMING}-{os.urandom(4).hex()}"
        try:
            os.link(source, path)
        except OSError:
            return False
        self._pending[path] = (os.dup(fd), digest.hex(), digest, "")
        return True

    def add(self, hexsum: str, data: Any) -> bytes:
        """Write `data` for the buffer `hexsum` and return the digest that it really has."""
        fd, path = self.create(hexsum)
        digest = digest_while(data, lambda: self.write(fd, data))
        if digest.hex() == hexsum:
            self.named(path, digest)
        else:
            self.discard(path)
        return digest

    def discard(self, path: str) -> None:
        """Remove a temporary file."""
        fd = self._pending.pop(path)[0]
        os.close(fd)
        remove_file(path)

    def also_durable(self, path: str, directory: str) -> None:
        """Make a file that another writer has just finished as durable as our own."""
        if not self._durable:
            return
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
            state = state_of(os.fstat(fd))
        finally:
            os.close(fd)
        if (verdict := self._verdicts.get(state)) is not None:
            self._named.append((state, verdict.digest))
        self._directories.add(directory)

    def commit(self) -> None:
        """Make all of it durable, then visible. Blocks for the disk."""
        try:
            self._write_back()
            for path in list(self._pending):
                self._name(path)
            if self._durable:
                self._disk.sync_directories(self._directories)
        except OSError as exc:
            raise store_error(exc, self._layout.root) from exc
        self._directories.clear()
        # Only now may others rely on these files: before, or after an error above, they make sure themselves.
        for state, digest in self._named:
            self._verdicts.add(state, digest, durable=self._durable)
        self._named.clear()

    def abandon(self) -> None:
        """Remove every file that has no final name."""
        for path in list(self._pending):
            self.discard(path)

    def _new_file(self, hexsum: str | None) -> tuple[int, str]:
        if hexsum is None:
            return new_file(f"{self._layout.root}/{INCOMING}")
        try:
            return new_file(self._layout.base(hexsum))
        except FileNotFoundError:
            self._make_directory(hexsum)
            return new_file(self._layout.base(hexsum))

    def _write_back(self) -> None:
        for fd, *_ in self._pending.values():
            os.fchmod(fd, 0o444)
        if self._durable:
            self._disk.sync_files([fd for fd, *_ in self._pending.values()])

    def _name(self, path: str) -> None:
        fd, hexsum, digest, form = self._pending[path]
        final = self._layout.base(hexsum) + form
        try:
            os.rename(path, final)
        except FileNotFoundError:
            self._make_directory(hexsum)
            os.rename(path, final)
        del self._pending[path]
        self.stored += 1
        self._directories.add(self._layout.directory(hexsum))
        state = state_of(os.fstat(fd))
        os.close(fd)
        self._verdicts.add(state, digest)
        self._named.append((state, digest))
        if not form:
            self._remove_length(final + LENGTH)

    def _remove_length(self, path: str) -> None:
        """Remove what told the length before the file itself does, unless it is another user's."""
        try:
            remove_file(path)
        except PermissionError:  # in a directory with the sticky bit; it goes on telling the same
            return

    def _make_directory(self, hexsum: str) -> None:
        make_subdirectory(self._layout.directory(hexsum))
        self._directories.add(self._layout.root)
