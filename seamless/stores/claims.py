"""Claims: the right to execute a transformation, held by one thread of one process at a time.

Between processes it is a lock (flock) on a file in `.running/`, which the system drops when its holder dies.
Where no such lock can be had, threads of one process still exclude one another.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DIRECTORY = ".running"


class _Entry:
    """The lock of one claim: how many hold or await it, and how often its holder has claimed it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.users = 0
        self.depth = 0


class ThreadClaims:
    """Claims between the threads of this process. The thread that holds one may claim it again."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, _Entry] = {}

    @contextmanager
    def hold(self, name: str) -> Iterator[int]:
        """Hold the claim; gives how many times this thread holds it. Blocks; Ctrl-C ends the waiting."""
        with self._guard:
            entry = self._locks.setdefault(name, _Entry())
            entry.users += 1
        try:
            with entry.lock:
                entry.depth += 1
                try:
                    yield entry.depth
                finally:
                    entry.depth -= 1
        finally:
            with self._guard:
                entry.users -= 1
                if not entry.users and self._locks.get(name) is entry:  # not so in a forked child
                    del self._locks[name]


class FileClaims(ThreadClaims):
    """Claims between processes that use one directory."""

    def __init__(self, directory: str, *, writable: bool):
        super().__init__()
        self._parent = directory
        self._directory = os.path.join(directory, DIRECTORY)
        self._writable = writable
        self._held: dict[int, str] = {}  # descriptor -> path
        self._watched = False

    @contextmanager
    def hold(self, name: str) -> Iterator[int]:
        """Hold the claim; gives how many times this thread holds it. Blocks; Ctrl-C ends the waiting."""
        with super().hold(name) as depth:
            fd = self._acquire(name) if depth == 1 and self._writable else None
            try:
                yield depth
            finally:
                if fd is not None:
                    self._release(fd)

    def running(self, name: str) -> dict[str, Any] | None:
        """Return who executes it: `pid`, `host`, `start` (seconds since the epoch); None if nobody does."""
        import fcntl
        import json

        try:
            fd = os.open(self._path(name), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            try:
                holder = json.loads(os.read(fd, 4096))
            except (ValueError, RecursionError):  # taken this instant: not written yet
                return {}
            return holder if isinstance(holder, dict) else {}
        except OSError:
            return None
        finally:
            os.close(fd)
        return None  # left by a process that died

    def _path(self, name: str) -> str:
        return f"{self._directory}/{name}.lock"

    def _acquire(self, name: str) -> int | None:
        """Return the descriptor of a locked file that still has its name; None where there are no such locks."""
        import fcntl

        self._watch_forks()
        path = self._path(name)
        while True:
            try:
                fd = self._open(path)
            except OSError:
                return None
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
            except OSError:
                os.close(fd)
                return None
            except BaseException:
                os.close(fd)
                raise
            # The holder before us removes the file before it unlocks: then ours is a file without a name.
            if _same_file(fd, path):
                break
            os.close(fd)
        self._held[fd] = path
        _describe(fd)
        return fd

    def _open(self, path: str) -> int:
        flags = os.O_RDWR | os.O_CLOEXEC
        try:
            return os.open(path, flags)
        except FileNotFoundError:
            pass
        try:
            return os.open(path, flags | os.O_CREAT, 0o666)
        except FileNotFoundError:
            self._make_directory()
            return os.open(path, flags | os.O_CREAT, 0o666)

    def _make_directory(self) -> None:
        """Create the directory for whoever may write beside it."""
        try:
            os.mkdir(self._directory)
            os.chmod(self._directory, os.stat(self._parent).st_mode & 0o2777)
        except FileExistsError:
            pass

    def _release(self, fd: int) -> None:
        import fcntl

        path = self._held.pop(fd, None)
        if path is None:
            return  # in a forked child: the claim is that of the parent
        try:
            os.unlink(path)
        except OSError:  # it may be another user's, or the directory may be gone: unlocking is what counts
            pass
        fcntl.flock(fd, fcntl.LOCK_UN)
        os.close(fd)

    def _watch_forks(self) -> None:
        """Have forked children let go of our locks, which would otherwise outlive this process in them."""
        if self._watched:
            return
        self._watched = True
        reference = weakref.ref(self)

        def forget() -> None:
            claims = reference()
            if claims is not None:
                claims._forget()

        os.register_at_fork(after_in_child=forget)

    def _forget(self) -> None:
        held, self._held = self._held, {}
        for fd in held:
            os.close(fd)
        self._reset()


def _same_file(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except OSError:
        return False


def _describe(fd: int) -> None:
    """Write down who holds the lock. Only for people to read: a full disk must not stop the work."""
    import json

    holder = {"pid": os.getpid(), "host": os.uname().nodename, "start": time.time()}
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps(holder).encode() + b"\n", 0)
    except OSError:
        pass
