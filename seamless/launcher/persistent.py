"""What is in data directories, whether or not a service runs: absent, empty or populated, how large, how old.

Never follows a link below the directory that was asked for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

MAX_ROWS = 10_000
MAX_LEVEL = 16
SIZE_SECONDS = 10.0  # for adding up sizes, in all; after that a size is not known

Row = dict[str, Any]


def persistent_rows(
    roots: list[str], *, level: int = 0, file: str | None = None, marker: str | None = None
) -> list[Row]:
    """Return a row for each root, or for each directory `level` levels below: path, state, size, modified.

    `file`: the file that makes a directory populated, and whose size and time are given. `marker`: only directories
    that hold a file of this name are reported, and roots that do not exist.
    """
    deadline = time.monotonic() + SIZE_SECONDS
    rows: list[Row] = []
    for root in roots:
        if not os.path.lexists(root):
            rows.append({"path": root, "state": "absent", "size": None, "modified": None})
            continue
        for path in _below(root, min(level, MAX_LEVEL)):
            if marker is None or os.path.isfile(os.path.join(path, marker)):
                rows.append(_file_row(path, file) if file else _directory_row(path, marker, deadline))
            if len(rows) >= MAX_ROWS:
                return rows
    return rows


def _below(root: str, level: int) -> Iterator[str]:
    """Yield the directory and those at most `level` levels below it, sorted, each before what is in it."""
    yield root
    if level <= 0:
        return
    try:
        with os.scandir(root) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return
    for name in names:
        yield from _below(os.path.join(root, name), level - 1)


def _file_row(path: str, file: str) -> Row:
    try:
        stat = os.stat(os.path.join(path, file), follow_symlinks=False)
    except OSError:
        return {"path": path, "state": "empty", "size": None, "modified": None}
    return {"path": path, "state": "populated", "size": stat.st_size, "modified": _local_time(stat.st_mtime)}


def _directory_row(path: str, marker: str | None, deadline: float) -> Row:
    try:
        populated = any(name != marker for name in os.listdir(path))
        modified = _local_time(os.stat(path).st_mtime)
    except OSError:
        return {"path": path, "state": "empty", "size": None, "modified": None}
    size = _size(path, deadline) if populated else None
    return {"path": path, "state": "populated" if populated else "empty", "size": size, "modified": modified}


def _size(path: str, deadline: float) -> int | None:
    """Return the sum of the apparent sizes of the files below `path`, or None if that takes too long."""
    total, pending = 0, [path]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if time.monotonic() > deadline:
                        return None
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue  # removed meanwhile, or not to be read: what can be seen is counted
    return total


def _local_time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))
