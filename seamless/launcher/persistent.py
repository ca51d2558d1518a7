"""What is in data directories, whether or not a service runs: absent, empty or populated, how large, how old.

Goes by descriptors and never follows a link below the directory that was asked for, also not one that appears
meanwhile.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Sequence
from typing import Any

from seamless.launcher.errors import LauncherError
from seamless.launcher.guarded import Resolved
from seamless.launcher.safe_open import open_resolved

MAX_ROWS = 10_000
MAX_LEVEL = 16
SIZE_SECONDS = 10.0  # for adding up sizes, in all; after that a size is not known
MAX_SIZE_DEPTH = 200

Row = dict[str, Any]

_OPEN_BELOW = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def persistent_rows(
    roots: list[str],
    *,
    level: int = 0,
    file: str | None = None,
    marker: str | None = None,
    resolved: Sequence[Resolved] = (),
) -> list[Row]:
    """Return a row for each root, or for each directory `level` levels below: path, state, size, modified.

    `file`: the file that makes a directory populated, and whose size and time are given. `marker`: only directories
    that hold a file of this name are reported, and roots that do not exist. `resolved`: the roots as they were judged
    before. Raises LauncherError for a root that is no directory, or not the one that was judged.
    """
    search = _Search(file, marker)
    for i, root in enumerate(roots):
        if not os.path.lexists(root):
            search.rows.append(_row(root, "absent"))
            continue
        fd = open_resolved(resolved[i]) if resolved else _open_root(root)
        try:
            search.visit(fd, root, min(level, MAX_LEVEL))
        finally:
            os.close(fd)
    return search.rows[:MAX_ROWS]


def _open_root(root: str) -> int:
    try:
        try:
            return os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except PermissionError:
            return os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except NotADirectoryError:
        raise LauncherError(f"not a directory: {root}") from None
    except OSError as exc:
        raise LauncherError(f"cannot open {root}: {exc.strerror}") from exc


class _Search:
    """One walk through directories. `rows` is what it has found."""

    def __init__(self, file: str | None, marker: str | None):
        self.file, self.marker, self.rows = file, marker, list[Row]()
        self.deadline = time.monotonic() + SIZE_SECONDS

    def visit(self, fd: int, path: str, level: int) -> None:
        """Report the open directory, then those at most `level` levels below it, sorted."""
        if self.marker is None or _is_file(fd, self.marker):
            self.rows.append(_file_row(fd, path, self.file) if self.file else self._directory_row(fd, path))
        for name in _subdirectories(fd) if level > 0 else ():
            if len(self.rows) >= MAX_ROWS:
                return
            below = _open_below(fd, name)
            if below is None:
                continue
            try:
                self.visit(below, os.path.join(path, name), level - 1)
            finally:
                os.close(below)

    def _directory_row(self, fd: int, path: str) -> Row:
        try:
            populated = any(name != self.marker for name in os.listdir(fd))
        except OSError:
            return _row(path, "empty")
        size = _size(fd, self.deadline) if populated else None
        return _row(path, "populated" if populated else "empty", size, os.fstat(fd).st_mtime)


def _open_below(parent: int, name: str) -> int | None:
    """Open a directory in an open one; without the right to list it, for its facts. None if it is none any more."""
    try:
        return os.open(name, os.O_RDONLY | _OPEN_BELOW, dir_fd=parent)
    except OSError as exc:
        readable = not isinstance(exc, PermissionError)
    try:
        return None if readable else os.open(name, os.O_PATH | _OPEN_BELOW, dir_fd=parent)
    except OSError:
        return None


def _subdirectories(fd: int) -> list[str]:
    try:
        with os.scandir(fd) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []


def _is_file(fd: int, name: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _file_row(fd: int, path: str, file: str) -> Row:
    try:
        found = os.stat(file, dir_fd=fd, follow_symlinks=False)
    except OSError:
        return _row(path, "empty")
    return _row(path, "populated", found.st_size, found.st_mtime)


def _size(fd: int, deadline: float, depth: int = 0) -> int | None:
    """Return the sum of the apparent sizes of the files below an open directory, or None if that takes too long."""
    if depth > MAX_SIZE_DEPTH:
        return None
    total, directories = 0, []
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                if time.monotonic() > deadline:
                    return None
                if entry.is_dir(follow_symlinks=False):
                    directories.append(entry.name)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    except OSError:
        return total  # removed meanwhile, or not to be read: what can be seen is counted
    for name in directories:
        try:
            below = os.open(name, os.O_RDONLY | _OPEN_BELOW, dir_fd=fd)
        except OSError:
            continue
        try:
            size = _size(below, deadline, depth + 1)
        finally:
            os.close(below)
        if size is None:
            return None
        total += size
    return total


def _row(path: str, state: str, size: int | None = None, modified: float | None = None) -> Row:
    text = None if modified is None else time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(modified))
    return {"path": path, "state": state, "size": size, "modified": text}
