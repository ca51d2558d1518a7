"""How several small files become durable: each by itself, or all by one call for their whole file system.

The latter waits for what others have written there, too. So it is taken on local disks only, while little else is to be
written, and as long as it turns out to be the faster way. Bytes, then names, are on disk on return in either case.
"""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Callable, Collection

from seamless.stores.filesystem import file_system_type, fsync_directory

# Where one call for all costs as much as one for a file. Not overlay: there the call hides errors of the disk below.
_LOCAL = frozenset({"ext3", "ext4", "xfs"})
_REPORTS_ERRORS = (5, 17)  # the Linux from which on that call tells of bytes and of names that could not be written
_MOST_PENDING = 1 << 26  # bytes of files that the system has yet to write
_PENDING = re.compile(rb"^(?:Dirty|Writeback):\s+(\d+) kB", re.MULTILINE)
_LEAST = 8  # files for which it may be worth it
_PAUSE = 20.0  # after a call that took longer than single files do: so many times as long the latter are preferred


class Disk:
    """The file system of one directory. Thread-safe: what it remembers are estimates."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._seconds = 0.0  # for one file by itself, from the last group
        self._not_before = 0.0  # in terms of time.perf_counter()
        self._syncfs: Callable[[int], int] | None = None
        self._looked = False

    def sync_files(self, fds: Collection[int]) -> None:
        """Make the bytes of open files durable. Raises OSError."""
        if self._all_at_once(fds, next(iter(fds), -1)):
            return
        began = time.perf_counter()
        if len(fds) > 1:
            for fd in fds:
                # Starts the writing of all of them, so that the disk works on more than one at a time.
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        for fd in fds:
            os.fsync(fd)
        if fds:
            self._seconds = (time.perf_counter() - began) / len(fds)

    def sync_directories(self, paths: Collection[str]) -> None:
        """Make the names in directories durable. Raises OSError."""
        if len(paths) >= _LEAST:
            fd = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                if self._all_at_once([fd, *paths], fd):
                    return
            finally:
                os.close(fd)
        for path in paths:
            fsync_directory(path)

    def _all_at_once(self, things: Collection[int] | Collection[int | str], fd: int) -> bool:
        """Sync the file system of `fd` if that is faster; False if it is not, or if not all the things are there."""
        if len(things) < _LEAST:
            return False
        if not self._looked:
            self._syncfs = _syncfs() if file_system_type(self._root) in _LOCAL else None
            self._looked = True
        began = time.perf_counter()
        if self._syncfs is None or not self._seconds or began < self._not_before or pending_bytes() > _MOST_PENDING:
            return False
        if len({os.stat(thing).st_dev for thing in things}) > 1:
            return False  # a subdirectory may be a link to another disk
        if self._syncfs(fd):
            return False  # each file says whether it is concerned
        seconds = time.perf_counter() - began
        if seconds > len(things) * self._seconds:
            self._not_before = began + _PAUSE * seconds
        return True


def pending_bytes() -> int:
    """Return how many bytes of files the system has yet to write, to any disk."""
    with open("/proc/meminfo", "rb", buffering=0) as file:
        return 1024 * sum(map(int, _PENDING.findall(file.read(4096))))


@functools.cache
def disk_of(root: str) -> Disk:
    """Return what is known of the file system of a directory."""
    return Disk(root)


def _syncfs() -> Callable[[int], int] | None:
    """Return the call of the C library; None where there is none that tells of errors."""
    import ctypes
    import platform

    release = tuple(map(int, re.findall(r"\d+", platform.release())[:2]))
    if release < _REPORTS_ERRORS:
        return None
    return getattr(ctypes.CDLL(None), "syncfs", None)
