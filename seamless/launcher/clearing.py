"""Empty a data directory, given by an absolute path: by descriptors, so that no rename can redirect a removal.

Links are removed, never followed. Directories whose name begins with a dot stay, with what is in them and the
directories above them; so does the file that says how a buffer directory is laid out.
"""

from __future__ import annotations

import os
import shlex
import stat
from typing import NamedTuple

from seamless.launcher.errors import LauncherError
from seamless.launcher.guarded import Resolved
from seamless.launcher.paths import SYSTEM_ROOTS, base_directory, expand_home, server_directory
from seamless.launcher.processes import recorded_process
from seamless.launcher.safe_open import has_marker, open_directory, open_resolved
from seamless.launcher.statefile import State, read_state_or_none

KEPT_FILES = frozenset({".HASHSERVER_PREFIX"})
DATA_FILES = frozenset({"seamless.db"})
_NEVER = SYSTEM_ROOTS | {"/tmp", "/var/tmp", "/dev/shm"}
_NEVER_BELOW = ("/etc", "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/boot", "/sys", "/proc", "/dev")
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Cleared(NamedTuple):
    """How many items of the directory are gone, and a message for each that could not be removed."""

    removed: int
    problems: list[str]


def checked_path(text: str) -> str:
    """Return the absolute path of a directory that may be cleared. Raises LauncherError with the reason."""
    path = expand_home(text)
    if not os.path.isabs(path):
        raise LauncherError(f"path must be absolute: {text}")
    if ".." in path.split("/"):
        raise LauncherError(f"path must not contain '..': {text}")
    path = os.path.normpath(path)
    if not os.path.lexists(path):
        raise LauncherError(f"path does not exist: {text}")
    if not os.path.isdir(path):
        raise LauncherError(f"not a directory: {text}")
    real = os.path.realpath(path)
    below_system = any(_is_at_or_above(root, real) for root in _NEVER_BELOW) and not real.startswith("/dev/shm/")
    if real in _NEVER or below_system:
        raise LauncherError(f"refusing to operate on system directory: {text}")
    base, home = os.path.realpath(base_directory()), os.path.realpath(os.path.expanduser("~"))
    if _is_at_or_above(real, home):
        raise LauncherError(f"refusing to operate on the home directory or what contains it: {text}")
    if _is_at_or_above(real, base) or _is_at_or_above(base, real):
        raise LauncherError(f"refusing to operate on the launcher's own directory: {text}")
    return real


def _is_at_or_above(upper: str, lower: str) -> bool:
    return lower == upper or lower.startswith(upper.rstrip("/") + "/")


def users_of(path: str) -> list[str]:
    """Return the keys of the living services that use `path` (a real path), or what is below or above it.

    What a service uses is its work directory and the paths in its command.
    """
    try:
        names = sorted(os.listdir(server_directory()))
    except OSError:
        return []
    found = []
    for name in names:
        state = read_state_or_none(os.path.join(server_directory(), name)) if name.endswith(".json") else None
        if state is None or recorded_process(state) is None:
            continue
        for used in {os.path.realpath(expand_home(text)) for text in _paths(state)}:
            if _is_at_or_above(path, used) or (_is_at_or_above(used, path) and used not in _NEVER):
                found.append(name[:-5])
                break
    return found


def _paths(state: State) -> list[str]:
    """Return the absolute paths in a state: the work directory, and words (or values of options) of the command."""
    try:
        words = shlex.split(str(state.get("command", "")))
    except ValueError:
        words = []
    texts = [str(state.get("workdir", "")), *(word.partition("=")[2] or word for word in words)]
    return [text for text in texts if expand_home(text).startswith("/")]


def clear_directory(
    text: str,
    *,
    force: bool = False,
    keep: frozenset[str] = KEPT_FILES,
    resolved: Resolved | None = None,
    markers: frozenset[str] = frozenset(),
) -> Cleared:
    """Remove what is in the directory. Raises LauncherError if refused.

    Refuses a directory that a living service uses, unless `force`. `keep`: names of files in it that stay.
    `resolved`: the directory that was judged. `markers`: names of files of which the directory must have one; they
    stay, too, but emptied if they hold data.
    """
    path = checked_path(text)
    if not force:
        for key in users_of(path):
            raise LauncherError(f"service {key} is running in {text}", key=key, hint=f"stop it first: rhl-stop {key}")
    fd = _open(path) if resolved is None else open_resolved(resolved)
    try:
        if markers and not has_marker(fd, markers):
            names = ", ".join(sorted(markers))
            raise LauncherError(f"path does not contain required marker file ({names}): {text}")
        problems: list[str] = []
        removed = 0
        for name in sorted(os.listdir(fd)):
            if name in markers & DATA_FILES:
                removed += _empty(fd, name, f"{path}/{name}", problems)
            elif name not in keep | markers:
                removed += _remove(fd, name, f"{path}/{name}", problems)
        return Cleared(removed, problems)
    finally:
        os.close(fd)


def _open(path: str) -> int:
    try:
        return open_directory(path)
    except OSError as exc:
        raise LauncherError(f"cannot open {path}: {exc.strerror}") from exc


def _empty(parent: int, name: str, shown: str, problems: list[str]) -> bool:
    """Put an empty file in the place of a file of the open directory; tell whether something was removed."""
    try:
        if os.stat(name, dir_fd=parent, follow_symlinks=False).st_size == 0:
            return False
        os.unlink(name, dir_fd=parent)
        os.close(
            os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=parent)
        )
    except OSError as exc:
        problems.append(f"cannot empty {shown}: {exc.strerror}")
        return False
    return True


def _remove(parent: int, name: str, shown: str, problems: list[str]) -> bool:
    """Remove one entry of the open directory `parent`; tell whether it is gone."""
    try:
        if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=parent)
            return True
        if name.startswith("."):
            return False
        fd = os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
        try:
            gone = [_remove(fd, child, f"{shown}/{child}", problems) for child in sorted(os.listdir(fd))]
        finally:
            os.close(fd)
        if all(gone):
            os.rmdir(name, dir_fd=parent)
            return True
    except FileNotFoundError:
        return True
    except (OSError, RecursionError) as exc:
        problems.append(f"cannot remove {shown}: {getattr(exc, 'strerror', None) or exc}")
    return False
