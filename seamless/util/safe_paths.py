"""Relative paths that come from data: which are allowed, and how to write below a directory without leaving it.

Index keys and pin names may come from a stranger's buffer. Nothing here follows a link below the root.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import Any

from seamless.errors import UsageError


def key_parts(key: Any) -> list[str]:
    """Split a relative path with `/` into its components.

    Raises UsageError unless it stays below its root in every file system: no leading or trailing slash,
    no empty component, no `.` or `..`, no NUL, encodable as UTF-8. A backslash is an ordinary character.
    """
    if not isinstance(key, str):
        raise UsageError(f"a path inside a directory must be a string, not {type(key).__name__}: {key!r}")
    parts = key.split("/")
    reason = None
    if not key:
        reason = "is empty"
    elif key[0] == "/":
        reason = "is absolute"
    elif "\0" in key:
        reason = "contains a NUL character"
    elif "" in parts:
        reason = "has an empty component"
    elif ".." in parts or "." in parts:
        reason = f"has the component {'..' if '..' in parts else '.'!r}"
    elif not _encodable(key):
        reason = "cannot be encoded as UTF-8"
    if reason:
        raise UsageError(f"unsafe path {key!r}: it {reason}; expected a relative path such as 'sub/file.txt'")
    return parts


def _encodable(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_keys(keys: Iterable[Any]) -> None:
    """Raise UsageError if a key is unsafe, or if one names a file and another the same path as a directory."""
    files: set[str] = set()
    directories: dict[str, str] = {}
    for key in keys:
        parts = key_parts(key)
        files.add(key)
        for n in range(1, len(parts)):
            directories.setdefault("/".join(parts[:n]), key)
    for key in files:
        if key in directories:
            raise UsageError(f"the paths {key!r} and {directories[key]!r} exclude each other: a file is no directory")


class SafeRoot:
    """A directory below which files are written; remembers which subdirectories it has checked.

    Protects against hostile names and links that are there already, not against another process that
    changes the tree at the same time.
    """

    def __init__(self, root: str | os.PathLike[str]):
        """Create `root` if it is missing. A link is followed here: the caller chose it."""
        os.makedirs(root, exist_ok=True)
        self.path = os.path.realpath(root)
        self._checked: set[str] = set()

    def place(self, key: str, *, replace: bool = False) -> str:
        """Return the path for the file `key`, with its parent directories created.

        Raises UsageError for an unsafe key or a link among the parents; NotADirectoryError or
        IsADirectoryError when a file is in the place of a directory or the reverse, unless `replace`,
        which removes the obstacle.
        """
        *parents, base = key_parts(key)
        directory = self.path
        for n, part in enumerate(parents, start=1):
            directory = os.path.join(directory, part)
            if directory not in self._checked:
                self._make_directory(directory, "/".join(parents[:n]), key, replace)
                self._checked.add(directory)
        path = os.path.join(directory, base)
        mode = _mode(path)
        if mode is not None and stat.S_ISDIR(mode):
            if not replace:
                raise IsADirectoryError(21, "is a directory, but a file is to be written there", path)
            remove(path)
        return path

    def _make_directory(self, path: str, relative: str, key: str, replace: bool) -> None:
        mode = _mode(path)
        if mode is not None and stat.S_ISLNK(mode):
            raise UsageError(f"refusing to write {key!r} below {self.path!r}: {relative!r} there is a symbolic link")
        if mode is not None and not stat.S_ISDIR(mode):
            if not replace:
                raise NotADirectoryError(20, f"is not a directory, but {key!r} is to be written below it", path)
            remove(path)
            mode = None
        if mode is None:
            os.mkdir(path)


def _mode(path: str) -> int | None:
    """Return the mode of what is at `path` itself, or None if there is nothing."""
    try:
        return os.lstat(path).st_mode
    except FileNotFoundError:
        return None


def remove(path: str) -> None:
    """Remove a file, a link (never its target) or a directory with all that is in it."""
    mode = _mode(path)
    if mode is None:
        return
    if not stat.S_ISDIR(mode):
        os.unlink(path)
        return
    import shutil

    shutil.rmtree(path)
