"""Directories opened component by component, never through a link, and compared with what was judged before.

So nobody who renames a directory or puts a link in its place between check and use redirects what follows.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from seamless.launcher.errors import LauncherError
from seamless.launcher.guarded import Resolved

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PASS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC  # needs no right to list what is on the way


def open_directory(path: str, expected: tuple[int, int] | None = None) -> int:
    """Return a descriptor of a directory given by an absolute path without links.

    `expected`: its device and inode. Raises OSError if a component is absent, a link or no directory; LauncherError
    if it is another directory than the expected one.
    """
    return _readable(_passed(path, expected))


def _passed(path: str, expected: tuple[int, int] | None = None) -> int:
    """Return a descriptor by which what is in a directory can be opened; raises what `open_directory` raises."""
    if not path.startswith("/") or ".." in path.split("/"):
        raise LauncherError(f"path must be absolute and without '..': {path}")
    fd = os.open("/", _PASS)
    try:
        for part in path.split("/"):
            if part not in ("", "."):
                fd = _exchanged(fd, os.open(part, _PASS, dir_fd=fd))
        found = os.fstat(fd)
        if expected is not None and (found.st_dev, found.st_ino) != expected:
            raise LauncherError(f"the directory was replaced after it had been checked: {path}")
    except BaseException:
        os.close(fd)
        raise
    return fd


def _readable(fd: int) -> int:
    """Return a descriptor by which the directory can be listed, too, for one that is closed."""
    try:
        return os.open(".", _OPEN, dir_fd=fd)
    finally:
        os.close(fd)


def open_resolved(resolved: Resolved, *, create: bool = False, mode: int = 0o777) -> int:
    """Return a descriptor of the directory that was judged. `create`: make what is missing of it.

    Raises LauncherError if it is another one now, or cannot be opened or made.
    """
    path, anchor = resolved.path, resolved.anchor
    if path != anchor and not path.startswith(anchor.rstrip("/") + "/"):
        raise LauncherError(f"{anchor} is not above {path}")
    try:
        fd = _passed(anchor, (resolved.device, resolved.inode))
        try:
            for part in path[len(anchor) :].split("/"):
                if part in ("", "."):
                    continue
                if create:
                    try:
                        os.mkdir(part, mode, dir_fd=fd)
                    except FileExistsError:
                        pass  # made by somebody else meanwhile; if it is a link, opening it fails
                fd = _exchanged(fd, os.open(part, _PASS, dir_fd=fd))
        except BaseException:
            os.close(fd)
            raise
        return _readable(fd)
    except OSError as exc:
        raise LauncherError(f"cannot open {path} without following links: {exc.strerror}") from exc


def resolve(path: str) -> Resolved:
    """Return what identifies an absolute path, with the links in it followed once, now. Raises LauncherError."""
    real = os.path.realpath(path)
    anchor = real
    while True:
        try:
            fd = _passed(anchor)
            break
        except FileNotFoundError:
            anchor = os.path.dirname(anchor)
        except OSError as exc:
            raise LauncherError(f"cannot use {path}: {anchor}: {exc.strerror}") from exc
    try:
        found = os.fstat(fd)
    finally:
        os.close(fd)
    return Resolved(real, anchor, found.st_dev, found.st_ino)


def has_marker(fd: int, names: Iterable[str]) -> bool:
    """Tell whether the open directory holds a regular file (no link) of this user under one of these names."""
    for name in names:
        try:
            found = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except OSError:
            continue  # absent, or not to be seen: no marker
        if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid():
            return True
    return False


def _exchanged(old: int, new: int) -> int:
    os.close(old)
    return new
