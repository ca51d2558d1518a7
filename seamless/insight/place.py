"""A store as it lies on this machine: a buffer directory and the `seamless.db` that goes with it. Reads only."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple
from urllib.parse import quote

from seamless.checksum import Checksum
from seamless.errors import BufferCorruptionError, StoreError, UsageError
from seamless.stores.directory import BufferDirectory
from seamless.stores.embedded import DATABASE
from seamless.stores.layout import MARKER

_CHECKSUM = re.compile("[0-9a-f]{64}").fullmatch
_BOTH = slice(2)  # columns
_BUSY = 30.0  # seconds to wait for writers


class Place(NamedTuple):
    """Where a store is: the directory of its buffers, and the one of its database (often the same)."""

    buffers: str
    results: str
    label: str  # the project, for people

    @property
    def database(self) -> str:
        """The path of its database."""
        return os.path.join(self.results, DATABASE)

    def file(self, name: str) -> str:
        """Return the path of a file of ours that belongs to the store."""
        return os.path.join(self.results, name)

    def open_buffers(self, *, writable: bool = False) -> BufferDirectory:
        """Open the buffer directory, which must exist. Raises StoreError."""
        return BufferDirectory(self.buffers, writable=writable, create=False)


def checked_place(buffers: str, results: str | None = None, label: str = "") -> Place:
    """Return the store in these directories. Raises UsageError if there is none."""
    buffers = os.path.abspath(os.path.expanduser(buffers))
    results = os.path.abspath(os.path.expanduser(results)) if results else buffers
    if not os.path.isdir(buffers):
        raise UsageError(f"there is no store in {buffers}: the directory does not exist")
    place = Place(buffers, results, label or buffers)
    if not os.path.isfile(place.database) and not os.path.exists(os.path.join(buffers, MARKER)):
        raise UsageError(f"there is no store in {buffers}: it has neither {DATABASE} nor {MARKER}")
    return place


def places_below(root: str) -> list[Place]:
    """Return every store at or below a directory, each with its path relative to it as the label."""
    found = []
    for path, directories, files in os.walk(root):
        directories[:] = sorted(d for d in directories if len(d) != 2 and not d.startswith("."))
        if DATABASE in files or MARKER in files:
            found.append(Place(path, path, os.path.relpath(path, root)))
    return found


def read_buffer(buffers: BufferDirectory, checksum: str) -> bytes | None:
    """Return the verified bytes, or None if they are absent or damaged. Raises StoreError."""
    try:
        return buffers.get(Checksum(checksum))
    except BufferCorruptionError:
        return None


def connect(place: Place) -> closing[sqlite3.Connection]:
    """Open the database for reading, without any effect on it; an empty one if there is none. Raises StoreError."""
    if not os.path.isfile(place.database):
        return closing(sqlite3.connect(":memory:"))
    try:
        connection = sqlite3.connect(
            f"file:{quote(place.database)}?mode=ro", uri=True, timeout=_BUSY, isolation_level=None
        )
    except sqlite3.Error as exc:
        raise StoreError(f"cannot read the database {place.database}: {exc}") from exc
    return closing(connection)


def rows(
    connection: sqlite3.Connection, query: str, values: tuple[object, ...] = (), *, checksums: slice = slice(0)
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query; none where the table does not exist yet. Raises StoreError.

    `checksums`: the columns that hold checksums; a row in which others have left something else is left out.
    """
    try:
        for row in connection.execute(query, values):
            if all(isinstance(name, str) and _CHECKSUM(name) for name in row[checksums]):
                yield row
    except sqlite3.Error as exc:
        if "no such table" not in str(exc):
            raise StoreError(f"cannot read the database: {exc}") from exc


def all_results(place: Place) -> dict[str, str]:
    """Return the result (hex) of every transformation (hex) that has one."""
    with connect(place) as connection:
        return dict(rows(connection, "SELECT checksum, result FROM transformation", checksums=_BOTH))


def irreproducible_steps(place: Place) -> set[str]:
    """Return the transformations (hex) that have given more than one result."""
    found: set[str] = set()
    with connect(place) as connection:
        for table in ("irreproducible_transformation", "transformation_conflict"):
            query = f"SELECT DISTINCT checksum FROM {table}"
            found.update(name for (name,) in rows(connection, query, checksums=_BOTH))
    return found


def registered_results(place: Place) -> list[tuple[str, str, bool]]:
    """Return (transformation, result, whether that is its known result) of all steps that gave more than one result.

    The order is that of the transformations, and for each the known result first.
    """
    query = (
        "SELECT DISTINCT checksum, result FROM {} UNION SELECT t.checksum, t.result FROM transformation t "
        "JOIN {} i ON i.checksum = t.checksum"
    )
    found: set[tuple[str, str]] = set()
    with connect(place) as connection:
        for table in ("irreproducible_transformation", "transformation_conflict"):
            found.update(rows(connection, query.format(table, table), checksums=_BOTH))
        known: dict[str, str] = dict(rows(connection, "SELECT checksum, result FROM transformation", checksums=_BOTH))
    listed = [(step, result, known.get(step) == result) for step, result in found]
    return sorted(listed, key=lambda entry: (entry[0], not entry[2], entry[1]))
