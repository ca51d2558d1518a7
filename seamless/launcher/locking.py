"""One exclusive lock per key: at most one process at a time changes the state of a service or starts it.

`flock` on `KEY.lock`; on file systems without it, a file `KEY.lock.owner` that only one process can create and that
is broken when its owner is dead. A lock file is never removed: its removal would let two owners in.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator
from typing import NamedTuple

from seamless.launcher.errors import LauncherError
from seamless.launcher.paths import make_private, server_directory
from seamless.launcher.processes import boot_id, host_name, is_same_process, start_time
from seamless.launcher.statefile import MalformedStateError, read_state, remove_file

WAIT_SECONDS = 60.0  # an owner needs less than a second, unless it stops a service
_POLL_SECONDS = 0.02
_UNSUPPORTED = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL})
_HALF_WRITTEN_SECONDS = 10.0


@contextlib.contextmanager
def key_lock(key: str, *, wait: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the lock of `key` on this machine. Blocks at most `wait` seconds, then raises LauncherError."""
    with file_lock(os.path.join(server_directory(), f"{key}.lock"), key, wait=wait):
        yield


@contextlib.contextmanager
def file_lock(path: str, key: str = "", *, wait: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the lock file `path`, which is made if need be. Blocks at most `wait` seconds, then raises LauncherError."""
    make_private(os.path.dirname(path))
    lock = _Lock(path, key, time.monotonic() + wait)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        supported = _flock(fd, lock)
        if supported:
            yield
            return
    finally:
        os.close(fd)  # gives the lock back
    _own(path + ".owner", lock)
    try:
        yield
    finally:
        remove_file(path + ".owner")


class _Lock(NamedTuple):
    path: str
    key: str
    deadline: float


def _flock(fd: int, lock: _Lock) -> bool:
    """Lock the open file; False if the file system cannot."""
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _pause(lock)
        except OSError as exc:
            if exc.errno in _UNSUPPORTED:
                return False
            raise
        else:
            return True


def _own(path: str, lock: _Lock) -> None:
    """Create the owner file, after its last owner is gone."""
    while True:
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            if not _break_stale(path):
                _pause(lock)
            continue
        owner = {"host": host_name(), "boot_id": boot_id(), "pid": os.getpid(), "start_time": start_time(os.getpid())}
        with os.fdopen(fd, "w") as f:
            json.dump(owner, f)
        return


def _break_stale(path: str) -> bool:
    """Remove the owner file if its owner is certainly dead; tell whether it is gone."""
    try:
        owner = read_state(path)
    except MalformedStateError:
        try:
            if time.time() - os.stat(path).st_mtime < _HALF_WRITTEN_SECONDS:
                return False  # being written
        except FileNotFoundError:
            return True
    else:
        if owner is None:
            return True
        if owner.get("boot_id") != boot_id():
            if owner.get("host") != host_name():
                return False  # another machine: it cannot be known
        elif is_same_process(owner.get("pid"), owner.get("start_time")):
            return False
    # The rename lets one process of several break the lock, and only the lock that was looked at.
    aside = f"{path}.{os.getpid()}"
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return True
    remove_file(aside)
    return True


def _pause(lock: _Lock) -> None:
    if time.monotonic() >= lock.deadline:
        name = lock.key or os.path.basename(lock.path)
        raise LauncherError(
            f"{name}: another process has been changing the state of this service for too long",
            key=lock.key,
            hint=f"look for a process that hangs (fuser {lock.path})",
        )
    time.sleep(_POLL_SECONDS)
