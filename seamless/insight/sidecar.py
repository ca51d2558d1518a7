"""The index beside a database, `seamless-insight.db`: what each known transformation refers to.

Only a help for searching: it is brought up to date before each use, made again when it is damaged or of another
version, and may be deleted at any time. Never touches `seamless.db`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import NamedTuple

from seamless.errors import StoreError
from seamless.insight.definition import definition_of, features_of, members_of
from seamless.insight.place import Place, connect, read_buffer, rows
from seamless.stores.directory import BufferDirectory
from seamless.stores.filesystem import remove_file

NAME = "seamless-insight.db"
_VERSION = "1"
_BATCH = 10_000
_CACHE = 64_000  # kB of pages: a new index is written in the order of its checksums, not of its pages
_NAMES = slice(1, 3)  # the columns after the row number
_FEATURE_LIMIT = 20_000  # steps that are looked at for one feature, the latest first
_GIVING_LIMIT = 10  # steps that are named as the origin of a buffer
_TABLES = """
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS step (
 id INTEGER PRIMARY KEY, checksum BLOB NOT NULL UNIQUE, deep_result INTEGER NOT NULL, needs BLOB NOT NULL,
 deep BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS feature (number INTEGER, step INTEGER, PRIMARY KEY (number, step)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS members (checksum BLOB PRIMARY KEY, names BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS part (checksum BLOB, step BLOB, PRIMARY KEY (checksum, step)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS removed (checksum BLOB PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
"""

Notify = Callable[[int], object]  # called with a number of steps just indexed


class Step(NamedTuple):
    """An indexed transformation; checksums as bytes."""

    checksum: bytes
    deep_result: bool
    needs: list[bytes]
    deep: frozenset[bytes]  # those of `needs` whose buffers name other buffers


class Sidecar:
    """The index of a store, up to date after `update`. In memory where no file can be written."""

    def __init__(self, place: Place):
        self.place, self.path = place, place.file(NAME)
        self._buffers = place.open_buffers()
        self._connection = self._open()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Sidecar:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def update(self, notify: Notify = lambda n: None) -> int:
        """Index the transformations that have come since the last time; returns how many."""
        try:
            return self._update(notify)
        except sqlite3.DatabaseError as exc:
            if not _is_damaged(exc):
                raise StoreError(f"cannot use the index {self.path}: {exc}") from exc
            self.rebuild()
            return self._update(notify)

    def rebuild(self) -> None:
        """Throw the file away and begin a new one."""
        self._connection.close()
        for tail in ("", "-journal"):
            remove_file(self.path + tail)
        self._connection = self._open()

    # --- questions ---------------------------------------------------------------------------

    def candidates(self, features: Iterable[int], limit: int) -> list[str]:
        """Return the transformations (hex) that have most in common with these features: the most, then the latest."""
        shared: dict[int, int] = {}
        query = "SELECT step FROM feature WHERE number = ? ORDER BY step DESC LIMIT ?"
        for number in features:
            for (step,) in self._connection.execute(query, (number, _FEATURE_LIMIT)):
                shared[step] = shared.get(step, 0) + 1
        best = sorted(shared, key=lambda step: (shared[step], step), reverse=True)[:limit]
        found = []
        for step in best:
            row = self._connection.execute("SELECT checksum FROM step WHERE id = ?", (step,)).fetchone()
            if row is not None:
                found.append(row[0].hex())
        return found

    def giving(self, checksum: str) -> list[str]:
        """Return the transformations (hex) that are known to give a buffer (hex), as their result or a part of it."""
        with connect(self.place) as database:
            query = "SELECT checksum FROM rev_transformation WHERE result = ? ORDER BY id DESC LIMIT ?"
            values = (checksum, _GIVING_LIMIT)
            found = [name for (name,) in rows(database, query, values, checksums=slice(1))]
        query = "SELECT step FROM part WHERE checksum = ? LIMIT ?"
        parts = self._connection.execute(query, (bytes.fromhex(checksum), _GIVING_LIMIT))
        return list(dict.fromkeys([*found, *(step.hex() for (step,) in parts)]))

    def steps(self) -> Iterator[Step]:
        """Yield every indexed transformation. Some may have lost their results meanwhile."""
        for checksum, deep_result, needs, deep in self._connection.execute(
            "SELECT checksum, deep_result, needs, deep FROM step"
        ):
            yield Step(checksum, bool(deep_result), _split(needs), frozenset(_split(deep)))

    def members(self, checksum: bytes) -> list[bytes] | None:
        """Return the members of a deep buffer, also of one that is gone if it was seen before; None if unknown."""
        row = self._connection.execute("SELECT names FROM members WHERE checksum = ?", (checksum,)).fetchone()
        if row is not None:
            return _split(row[0])
        data = _quick_read(self._buffers, self.place.buffers, checksum.hex())
        if data is None:
            return None
        names = b"".join(map(bytes.fromhex, members_of(data)))
        self._connection.execute("INSERT OR REPLACE INTO members VALUES (?, ?)", (checksum, names))
        return _split(names)

    def transaction(self) -> sqlite3.Connection:
        """Return the connection as a context: what is noted in it becomes durable together."""
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def note_removed(self, checksums: Iterable[bytes], at: float) -> None:
        """Note that buffers were removed on purpose, at `at` seconds since the epoch. Raises StoreError."""
        try:
            with self.transaction():
                self._connection.executemany(
                    "INSERT OR REPLACE INTO removed VALUES (?, ?)", ((checksum, at) for checksum in checksums)
                )
        except sqlite3.Error as exc:
            raise StoreError(f"cannot write the index {self.path}: {exc}; make room, or delete that file") from exc

    def removed_at(self, checksum: bytes) -> float | None:
        """Return when a buffer was removed on purpose, in seconds since the epoch; None if it was not."""
        row = self._connection.execute("SELECT at FROM removed WHERE checksum = ?", (checksum,)).fetchone()
        return None if row is None else float(row[0])

    # --- keeping it up to date -----------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        writable = os.access(self.place.results, os.W_OK)
        try:
            return _prepared(self.path if writable else ":memory:")
        except sqlite3.DatabaseError as exc:
            if not _is_damaged(exc):
                raise StoreError(f"cannot use the index {self.path}: {exc}; try again later") from exc
            remove_file(self.path)  # it only repeats what is elsewhere
            return _prepared(self.path)

    def _update(self, notify: Notify) -> int:
        new = self._new_names()
        count = 0
        for start in range(0, len(new), _BATCH):
            batch = new[start : start + _BATCH]
            features: list[tuple[int, int]] = []
            with self.transaction():
                count += sum(self._add(name, result, features) for _, name, result in batch)
                self._connection.executemany("INSERT OR IGNORE INTO feature VALUES (?, ?)", sorted(features))
                self._set_last(*batch[-1][:2])
            notify(len(batch))
        return count

    def _new_names(self) -> list[tuple[int, str, str]]:
        """Return (row, hex, hex of the result) of the transformations that came after the last indexed one."""
        found = self._connection.execute("SELECT value FROM fact WHERE name = 'last'").fetchone()
        row, _, name = (found[0] if found else "0 ").partition(" ")
        with connect(self.place) as database:
            same = next(rows(database, "SELECT checksum FROM transformation WHERE rowid = ?", (int(row),)), None)
            if name and same != (name,):
                # That row has gone, so its number may have been used again: whatever is not indexed is new.
                known = {checksum.hex() for (checksum,) in self._connection.execute("SELECT checksum FROM step")}
                query = "SELECT rowid, checksum, result FROM transformation ORDER BY rowid"
                every = rows(database, query, checksums=_NAMES)
                return [(r, c, result) for r, c, result in every if c not in known]
            query = "SELECT rowid, checksum, result FROM transformation WHERE rowid > ? ORDER BY rowid"
            return list(rows(database, query, (int(row),), checksums=_NAMES))

    def _set_last(self, row: int, name: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO fact VALUES ('last', ?)", (f"{row} {name}",))

    def _add(self, name: str, result: str, features: list[tuple[int, int]]) -> int:
        """Index one transformation; its features are added to `features`. Returns 1, or 0 if there is no definition."""
        data = _quick_read(self._buffers, self.place.buffers, name)
        definition = definition_of(data) if data is not None else None
        if definition is None:
            return 0
        needs = dict(definition.references())
        cursor = self._connection.execute(
            "INSERT OR IGNORE INTO step (checksum, deep_result, needs, deep) VALUES (?, ?, ?, ?)",
            (
                bytes.fromhex(name),
                int(definition.deep_result),
                b"".join(map(bytes.fromhex, needs)),
                b"".join(bytes.fromhex(checksum) for checksum, deep in needs.items() if deep),
            ),
        )
        if not cursor.rowcount:
            return 0
        features += [(number, cursor.lastrowid or 0) for number in features_of(definition)]
        if definition.deep_result:
            parts = self.members(bytes.fromhex(result)) or ()
            self._connection.executemany(
                "INSERT OR IGNORE INTO part VALUES (?, ?)", [(part, bytes.fromhex(name)) for part in parts]
            )
        return 1


def _is_damaged(exc: sqlite3.DatabaseError) -> bool:
    """Tell whether the file is no index of this version, rather than in use or not to be reached."""
    return not isinstance(exc, sqlite3.OperationalError) or "malformed" in str(exc) or "no such" in str(exc)


def _prepared(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30.0, isolation_level=None)
    try:
        # Losing the end of it in a power failure costs nothing: it is made again.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"PRAGMA cache_size = -{_CACHE}")
        connection.executescript(_TABLES)
        connection.execute("INSERT OR IGNORE INTO fact VALUES ('version', ?)", (_VERSION,))
        (version,) = connection.execute("SELECT value FROM fact WHERE name = 'version'").fetchone()
        if version != _VERSION:
            raise sqlite3.DatabaseError(f"version {version}")
    except BaseException:
        connection.close()
        raise
    return connection


def _quick_read(buffers: BufferDirectory, root: str, name: str) -> bytes | None:
    """Return the verified bytes of a buffer. A plain file is read by the shortest way, and does not count as used."""
    try:
        fd = os.open(f"{root}/{name[:2]}/{name}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOATIME)
    except OSError:
        return read_buffer(buffers, name)
    try:
        data = os.read(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)
    return data if sha256(data).hexdigest() == name else read_buffer(buffers, name)


def _split(data: bytes) -> list[bytes]:
    return [data[i : i + 32] for i in range(0, len(data), 32)]
