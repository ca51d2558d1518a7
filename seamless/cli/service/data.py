"""The data directories of services: which there are below a root, what is in them, and what clearing one removes.

A directory of a project may hold those of its subprojects and stages, and both buffers and a database: each of these
is counted, and cleared, by itself. Links are never followed.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator
from typing import NamedTuple

from seamless.config.names import PATTERN
from seamless.launcher.clearing import KEPT_FILES

MARKER = ".HASHSERVER_PREFIX"
DATABASE = "seamless.db"
SIZE_SECONDS = 10.0  # for adding up the sizes of a command; after that a size is not known
MAX_DEPTH = 16
MAX_DIRECTORIES = 10_000  # that are looked at
_TWO_DIGITS = re.compile(r"[0-9a-f]{2}")
_NAME = re.compile(PATTERN)
_BUFFER = re.compile(r"[0-9a-f]{64}(\.zst|\.gz)?")


class Content(NamedTuple):
    """What is in a data directory: absent, empty or populated; its size in bytes, None if not known."""

    state: str
    size: int | None = None


class Place(NamedTuple):
    """A data directory below a root: its path, and the project, subproject and stage that it is named after."""

    path: str
    project: str
    subproject: str | None
    stage: str | None


class Clearing(NamedTuple):
    """What clearing a data directory means: names that go, names of other data that stay, all names to be kept."""

    path: str
    remove: list[str]
    stay: list[str]
    keep: frozenset[str]


def look(service: str, path: str, deadline: float | None = None) -> Content:
    """Return what a hashserver or database has in its directory."""
    if service == "database":
        if not os.path.isdir(path):
            return Content("absent")
        sizes = [_file_size(os.path.join(path, name)) for name in (DATABASE, f"{DATABASE}-wal")]
        return Content("empty") if sizes[0] is None else Content("populated", sum(size or 0 for size in sizes))
    try:
        names = os.listdir(path)
    except OSError:
        return Content("absent" if not os.path.isdir(path) else "empty")
    own = [name for name in names if not name.startswith(".") and not _is_of_database(name) and _is_own(path, name)]
    if not own:
        return Content("empty")
    deadline = time.monotonic() + SIZE_SECONDS if deadline is None else deadline
    return Content("populated", _size([os.path.join(path, name) for name in own], deadline))


def _file_size(path: str) -> int | None:
    try:
        return os.lstat(path).st_size
    except OSError:
        return None


def places(root: str, service: str) -> Iterator[Place]:
    """Yield the data directories of a kind of service below that of all projects, sorted."""
    for parts in below(root, service):
        stage = parts[-1].removeprefix("STAGE-") if parts[-1].startswith("STAGE-") else None
        names = parts[:-1] if stage is not None else parts
        if names:
            yield Place(os.path.join(root, *parts), names[0], "/".join(names[1:]) or None, stage)


def below(directory: str, service: str) -> list[tuple[str, ...]]:
    """Return the data directories of a kind of service below another one, sorted, as the names that lead there."""
    return sorted(parts for parts in _scopes(directory) if _holds(service, os.path.join(directory, *parts)))


def _scopes(directory: str) -> list[tuple[str, ...]]:
    """Return all directories that may be those of a project, subproject or stage; the nearest if they are too many."""
    found: list[tuple[str, ...]] = [()]
    for parts in found:  # it grows meanwhile
        if len(parts) < MAX_DEPTH and not (parts and parts[-1].startswith("STAGE-")):
            names = nested(os.path.join(directory, *parts))
            found += [(*parts, name) for name in names if _NAME.fullmatch(name)]
        if len(found) > MAX_DIRECTORIES:
            break
    return found[1 : MAX_DIRECTORIES + 1]


def _holds(service: str, path: str) -> bool:
    if service == "database":
        return os.path.isfile(os.path.join(path, DATABASE))
    if os.path.isfile(os.path.join(path, MARKER)):
        return True
    return any(_TWO_DIGITS.fullmatch(name) or _BUFFER.fullmatch(name) for name in _names(path))


def nested(directory: str) -> list[str]:
    """Return the subdirectories that are not part of the data of a directory, but have data of their own, sorted."""
    return [name for name in _names(directory) if not name.startswith(".") and not _is_own(directory, name)]


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _is_own(directory: str, name: str) -> bool:
    """Tell whether an entry belongs to the data of the directory itself: a file, or a directory of buffers."""
    path = os.path.join(directory, name)
    if os.path.islink(path) or not os.path.isdir(path):
        return True
    if not _TWO_DIGITS.fullmatch(name):
        return False
    return not any(os.path.lexists(os.path.join(path, mark)) for mark in (MARKER, DATABASE))


def _is_link_to_directory(directory: str, name: str) -> bool:
    path = os.path.join(directory, name)
    return os.path.islink(path) and os.path.isdir(path)


def _is_of_database(name: str) -> bool:
    return name == DATABASE or name.startswith((DATABASE + "-", DATABASE + "."))


def _size(paths: list[str], deadline: float) -> int | None:
    """Return the sum of the apparent sizes of files, and of those in directories; None if that takes too long."""
    total, pending = 0, list(paths)
    while pending:
        if time.monotonic() > deadline:
            return None
        path = pending.pop()
        try:
            status = os.lstat(path)
            if stat.S_ISDIR(status.st_mode):
                with os.scandir(path) as entries:
                    for entry in entries:
                        if entry.is_dir(follow_symlinks=False):
                            pending.append(entry.path)
                        else:
                            total += entry.stat(follow_symlinks=False).st_size
            else:
                total += status.st_size
        except OSError:
            continue  # removed meanwhile, or not to be read: what can be seen is counted
    return total


def clearing(service: str, path: str) -> Clearing:
    """Return what clearing the directory of a service means; nothing is changed. Raises OSError.

    Data of subprojects and stages stay; in a directory with both buffers and a database so does the other one.
    """
    names = sorted(os.listdir(path))
    shared = MARKER in names or any(_TWO_DIGITS.fullmatch(name) or _BUFFER.fullmatch(name) for name in names)
    remove, stay = [], []
    for name in names:
        if name in KEPT_FILES:
            continue
        hidden = name.startswith(".")
        if hidden and os.path.isdir(os.path.join(path, name)):
            continue
        other = shared and not _is_of_database(name) if service == "database" else _is_of_database(name)
        nests = not hidden and (not _is_own(path, name) or _is_link_to_directory(path, name))
        if nests or (other and _is_of_database(name)):
            stay.append(name)
        elif other:
            if not hidden and "buffers" not in stay:
                stay.append("buffers")
        else:
            remove.append(name)
    return Clearing(path, remove, stay, frozenset(names) - frozenset(remove))
