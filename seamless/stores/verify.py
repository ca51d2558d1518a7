"""Whether the bytes in a file are what its name says: hashing, remembered verdicts, locks of other writers, quarantine.

A verdict holds for one state of one file: (device, inode, size, mtime).
"""

from __future__ import annotations

import io
import os
import stat
import threading
import time
from collections.abc import Callable

from seamless.checksum.sha256 import file_digest, new_hash
from seamless.errors import StoreError
from seamless.stores.errors import NotAFileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CHUNK = 1 << 20
_LIMIT = 50_000  # verdicts; about 10 MB

State = tuple[int, int, int, int]
NewHash = Callable[[], "Any"]  # a hash function of `hashlib`


class Mismatch(Exception):
    """Internal: the file has other bytes than its name says; `found` is their checksum (None: not readable as such)."""

    def __init__(self, found: bytes | None):
        super().__init__(found)
        self.found = found


class Bad:
    """A file with wrong bytes, in the state in which it was read."""

    __slots__ = ("found", "path", "state")

    def __init__(self, path: str, state: State, found: bytes | None):
        self.path, self.state, self.found = path, state, found


class Verdict:
    """What was found in a file: the digest of the (decompressed) bytes; whether this process made it durable."""

    __slots__ = ("digest", "durable")

    def __init__(self, digest: bytes, durable: bool):
        self.digest, self.durable = digest, durable


def state_of(status: os.stat_result) -> State:
    """Return what tells one state of a file from another."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


class Verdicts:
    """The digests found in files, so that an unchanged file is hashed once per process. Thread-safe, bounded."""

    def __init__(self, limit: int = _LIMIT):
        self._known: dict[State, Verdict] = {}
        self._limit = limit
        self._lock = threading.Lock()

    def get(self, state: State) -> Verdict | None:
        """Return the verdict on a file in this state, if there is one."""
        with self._lock:
            verdict = self._known.pop(state, None)
            if verdict is not None:
                self._known[state] = verdict  # now the most recently used
            return verdict

    def add(self, state: State, digest: bytes, *, durable: bool = False) -> None:
        """Remember a verdict; the least recently used one goes when there are too many."""
        with self._lock:
            self._known.pop(state, None)
            self._known[state] = Verdict(digest, durable)
            if len(self._known) > self._limit:
                del self._known[next(iter(self._known))]


def open_regular(path: str) -> io.FileIO | None:
    """Open a file for reading without ever blocking on a pipe; None if there is none.

    Raises NotAFileError if it is not a regular file, StoreError if it may not be read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise StoreError(f"cannot read the buffer {path}: {exc.strerror}") from exc
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise NotAFileError(f"cannot read the buffer {path}: it is not a regular file; move it away")
    return io.FileIO(fd, closefd=True)


def digest_of(raw: io.FileIO, suffix: str, new: NewHash = new_hash) -> bytes:
    """Hash all (decompressed) bytes of a file in constant memory; its position is 0 afterwards.

    Raises Mismatch if the compressed data is damaged.
    """
    if new is new_hash and not suffix:
        digest = file_digest(raw)
        raw.seek(0)
        return digest
    hasher = new()
    try:
        with decompressed(io.FileIO(os.dup(raw.fileno())), suffix) as source:
            view = memoryview(bytearray(CHUNK))
            while n := source.readinto(view):
                hasher.update(view[:n])
    except (ValueError, EOFError) as exc:
        raise Mismatch(None) from exc
    finally:
        raw.seek(0)
    return hasher.digest()


def decompressed(raw: io.FileIO, suffix: str) -> io.BufferedReader | io.FileIO:
    """Return a file with the decompressed bytes of `raw`, which it owns: `raw` itself for the plain form."""
    if not suffix:
        return raw
    from seamless.compression_utils import open_decompressed

    return open_decompressed(raw, suffix)  # type: ignore[return-value]


def fresh_lock(base: str, directory: str, timeout: float) -> bool:
    """Tell whether another writer holds a lock, younger than `timeout` seconds, on the buffer or its directory."""
    for path in (base + ".LOCK", directory + "/.LOCK"):
        try:
            if time.time() - os.stat(path).st_mtime < timeout:
                return True
        except (FileNotFoundError, NotADirectoryError):
            continue
    return False


def unchanged(bad: Bad) -> bool:
    """Tell whether the path still leads to the file, in the state, that was found to be bad."""
    try:
        return state_of(os.stat(bad.path)) == bad.state
    except FileNotFoundError:
        return False


def move_aside(bad: Bad) -> str | None:
    """Rename a bad file to `<path>.CORRUPT` (or `.CORRUPT-<n>`); None if that is not permitted or it is gone."""
    target, n = bad.path + ".CORRUPT", 1
    while os.path.lexists(target):
        n += 1
        target = f"{bad.path}.CORRUPT-{n}"
    try:
        os.rename(bad.path, target)
    except OSError:
        return None
    if state_of(os.stat(target)) == bad.state:
        return target
    # Another writer has put a new file there in the meantime: give it back unless there is yet another one.
    try:
        os.link(target, bad.path)
    except FileExistsError:
        pass
    except OSError:  # a file system without second names
        os.rename(target, bad.path)
        return None
    os.unlink(target)
    return None
