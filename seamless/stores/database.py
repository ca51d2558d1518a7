"""seamless.db: which result belongs to which transformation, with the record of its computation.

Results are written once: the first one stays until it is deleted or contested. The file is that of the
reference. Buffers are not its business: store them first, then write the result.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, contextmanager

from seamless.checksum import Checksum
from seamless.errors import StoreError
from seamless.stores import records
from seamless.stores.claims import FileClaims
from seamless.stores.connection import Database, absent_table, rows
from seamless.stores.errors import ConflictError, UnknownResultError
from seamless.stores.facts import BufferFacts
from seamless.stores.values import sound_checksum, sound_checksums, sound_json
from seamless.util.whoami import user_at_host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from sqlite3 import Connection
    from typing import Any, TypeVar

    T = TypeVar("T")

    from seamless.stores.keeping import Keeping

_RESULT = "transformation.result"
_QUERY_BATCH, _INSERT_BATCH = 512, 256  # powers of 2; SQLite before 3.32 allows 999 variables


class ResultDatabase(BufferFacts):
    """A result store in a SQLite file; any number of threads and processes may use one at once.

    `writable` becomes False where the file or its directory may not be written. Raises StoreError if the file cannot
    be used. Methods raise StoreError, StoreFullError, StoreReadOnlyError, and what they name.
    """

    def __init__(self, path: str | os.PathLike[str], *, writable: bool = True, create: bool = True):
        self._database = Database(os.fspath(path), writable=writable, create=create)
        self.name = self._database.path
        self.writable = self._database.writable
        self._claims = FileClaims(os.path.dirname(self.name), writable=self.writable)
        self._keeping: Keeping | None = None

    def __repr__(self) -> str:
        return f"ResultDatabase({self.name!r}, writable={self.writable})"

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._database.close()

    # --- results -----------------------------------------------------------------------------

    def get_result(self, transformation: Checksum) -> Checksum | None:
        """Return the result, or None if there is none."""
        key = (transformation.hex(),)
        found = self._read(
            lambda c: c.execute("SELECT result FROM transformation WHERE checksum = ?", key).fetchone(), None
        )
        return None if found is None else sound_checksum(found[0], _RESULT)

    def get_results(self, transformations: Sequence[Checksum]) -> list[Checksum | None]:
        """Return the result of each transformation, or None."""
        names = [t.hex() for t in transformations]
        nothing: dict[str, str] = {}
        results = self._read(lambda c: _results(c, names), nothing)
        return [sound_checksum(results[name], _RESULT) if name in results else None for name in names]

    def set_result(self, transformation: Checksum, result: Checksum) -> bool:
        """Keep the result; True if it is now, or was already, the stored one.

        If another result is stored, that one stays, the attempt is noted, and False is returned.
        """
        return self.set_results([(transformation, result)])[0]

    def set_results(
        self, items: Iterable[tuple[Checksum, Checksum]], *, clients: Sequence[object] | None = None
    ) -> list[bool]:
        """Do what `set_result` does for each pair, in one transaction.

        `clients`: for each, whose text is noted if another result is stored; this process if left out.
        """
        pairs = [(t.hex(), r.hex()) for t, r in items]
        senders = clients or [""] * len(pairs)
        if len(pairs) == 1 and self.get_result(Checksum(pairs[0][0])) == pairs[0][1]:
            return [True]  # nothing to write, so no need to wait for other writers
        return self._database.transaction(lambda c: _set_results(c, pairs, senders)) if pairs else []

    def delete_result(self, transformation: Checksum, *, client: str = "") -> bool:
        """Forget the result and its record; False if there was none. Who did so is noted: `client`, or this process."""
        name = transformation.hex()

        def write(connection: Connection) -> bool:
            stored = _result(connection, name)
            if stored is None:
                return False
            _delete(connection, name, stored)
            connection.execute(
                "INSERT INTO transformation_deletion (checksum, result, deleted_at, client) VALUES (?, ?, ?, ?)",
                (name, stored, _now(), client or _this_process()),
            )
            return True

        return self._database.transaction(write)

    def get_transformations(self, result: Checksum) -> list[Checksum]:
        """Return the transformations known to give `result`, in the order in which they became known."""
        query = "SELECT checksum FROM rev_transformation WHERE result = ? ORDER BY id"
        found: list[tuple[str]] = self._read(lambda c: rows(c, query, [result.hex()]), [])
        return list(dict.fromkeys(sound_checksums(found, "rev_transformation.checksum")))

    def add_reverse(self, transformation: Checksum, parts: Iterable[Checksum]) -> None:
        """Note that `transformation` gives these buffers as parts of its result: `get_transformations` finds it."""
        name, values = transformation.hex(), [part.hex() for part in parts]

        def write(connection: Connection) -> None:
            new = [(value, name) for value in values if not _has_reverse(connection, name, value)]
            connection.executemany("INSERT INTO rev_transformation (result, checksum) VALUES (?, ?)", new)

        self._database.transaction(write)

    def get_conflicts(self, transformation: Checksum) -> list[Checksum]:
        """Return the results that were refused because another one was stored."""
        query = "SELECT result FROM transformation_conflict WHERE checksum = ? ORDER BY seen_at"
        found: list[tuple[str]] = self._read(lambda c: rows(c, query, [transformation.hex()]), [])
        return sound_checksums(found, "transformation_conflict.result")

    def get_deletions(self, transformation: Checksum) -> list[dict[str, str]]:
        """Return the results that were deleted: `result` (hex), `deleted_at` (UTC), `client`; the oldest first."""
        query = "SELECT result, deleted_at, client FROM transformation_deletion WHERE checksum = ? ORDER BY id"
        found: list[tuple[str, str, str]] = self._read(lambda c: rows(c, query, [transformation.hex()]), [])
        texts = [row for row in found if all(isinstance(value, str) for value in row)]
        return [{"result": result, "deleted_at": when, "client": client} for result, when, client in texts]

    # --- records -----------------------------------------------------------------------------

    def get_record(self, transformation: Checksum) -> dict[str, Any] | None:
        """Return the record of the computation of the stored result, or None."""
        query = "SELECT metadata FROM meta_data WHERE checksum = ?"
        found = self._read(lambda c: c.execute(query, [transformation.hex()]).fetchone(), None)
        return None if found is None else sound_json(found[0], dict, "meta_data.metadata")

    def set_record(self, transformation: Checksum, result: Checksum, record: dict[str, Any]) -> bool:
        """Keep the record, and the result if it is not yet known; False if there is a different record already.

        Raises MalformedValueError for a record that is not one of this transformation and result, ConflictError if
        another result is stored or the result has been contested.
        """
        name, value = transformation.hex(), result.hex()
        records.check_record(record, name, value)
        text = records.record_text(record)

        def write(connection: Connection) -> bool:
            if rows(connection, "SELECT 1 FROM irreproducible_transformation WHERE checksum = ? LIMIT 1", [name]):
                raise ConflictError(records.IRREPRODUCIBLE)
            stored = _sound_result(connection, name)
            if stored not in (None, value):
                raise ConflictError(records.OTHER_RESULT)
            present = _sound_record(connection, name)
            if present is not None and present[0] != value:
                raise ConflictError(records.OTHER_RECORD_RESULT)
            if present is not None and records.record_value(present[1]) != records.record_value(text):
                return False
            if stored is None:
                connection.execute("INSERT INTO transformation (checksum, result) VALUES (?, ?)", (name, value))
            if not _has_reverse(connection, name, value):
                connection.execute("INSERT INTO rev_transformation (result, checksum) VALUES (?, ?)", (value, name))
            if present is None:
                connection.execute(
                    "INSERT INTO meta_data (checksum, result, metadata) VALUES (?, ?, ?)", (name, value, text)
                )
            return True

        return self._database.transaction(write)

    def keep(self, transformation: Checksum, result: Checksum, record: dict[str, Any]) -> bool:
        """Keep a new result and its record, in one transaction, which threads share that come at the same time.

        False, and nothing is kept, if anything about the transformation is stored already, or the two cannot be written
        together: `set_result` and `set_record` say why.
        """
        if self._keeping is None:
            from seamless.stores.keeping import Keeping

            self._keeping = Keeping(self._database)
        return self._keeping.keep(transformation, result, record)

    def contest(self, transformation: Checksum, result: Checksum) -> None:
        """Say that `result` could not be reproduced: it and its record move to the irreproducible ones.

        Saying it again changes nothing. Raises UnknownResultError if the transformation has another result,
        ConflictError if its record has.
        """
        name, value = transformation.hex(), result.hex()

        def write(connection: Connection) -> None:
            stored = _sound_result(connection, name)
            if stored not in (None, value):
                raise UnknownResultError(records.NOT_CONTESTED_RESULT)
            present = _sound_record(connection, name)
            if present is not None and present[0] != value:
                raise ConflictError(records.NOT_CONTESTED_RECORD)
            known = rows(
                connection,
                "SELECT metadata FROM irreproducible_transformation WHERE checksum = ? AND result = ?",
                (name, value),
            )
            text = present[1] if present is not None else '""'
            if not known or (present is not None and (text,) not in known):
                connection.execute(
                    "INSERT INTO irreproducible_transformation (result, checksum, metadata) VALUES (?, ?, ?)",
                    (value, name, text),
                )
            _delete(connection, name, value)

        self._database.transaction(write)

    def get_irreproducible(self, transformation: Checksum, result: Checksum | None = None) -> list[dict[str, Any]]:
        """Return the contested results: `checksum`, `result` (hex), `metadata` (the record, "" if there was none)."""
        query = "SELECT checksum, result, metadata FROM irreproducible_transformation WHERE checksum = ?"
        values = [transformation.hex()]
        if result is not None:
            query += " AND result = ?"
            values.append(result.hex())
        found: list[tuple[str, str, str]] = self._read(lambda c: rows(c, query + " ORDER BY id", values), [])
        return [
            {"checksum": c, "result": r, "metadata": _irreproducible_record(m)}
            for c, r, m in found
            if sound_checksum(r, "irreproducible_transformation.result") is not None
        ]

    # --- claims ------------------------------------------------------------------------------

    def claim(self, transformation: Checksum) -> AbstractContextManager[None]:
        """Hold the right to execute `transformation`; blocks while another thread or process holds it.

        The thread that holds it may claim it again. Where files cannot be locked it is kept within this process.
        """
        return self._claim(transformation.hex())

    def running(self, transformation: Checksum) -> dict[str, Any] | None:
        """Return who holds the claim: `pid`, `host`, `start` (seconds since the epoch); None if nobody does."""
        return self._claims.running(transformation.hex())

    def note_failure(
        self, transformation: Checksum, *, error: str, stderr: bytes, exit_status: int | None, command: str
    ) -> None:
        """Note a failure for people to look at, as far as that is possible: nothing depends on it."""
        from seamless.stores.failures import note_failure

        try:
            directory, step = os.path.dirname(self.name), transformation.hex()
            note_failure(directory, step, error=error, stderr=stderr, exit_status=exit_status, command=command)
        except OSError as exc:
            import logging

            logging.getLogger(__name__).info("the failure of %s is not noted: %s", transformation, exc)

    @contextmanager
    def _claim(self, name: str) -> Iterator[None]:
        with self._claims.hold(name):
            yield

    def _read(self, action: Callable[[Connection], T], absent: T) -> T:
        """Run a reading action; `absent` where the table does not exist yet."""
        try:
            return self._database.run(action)
        except StoreError as exc:
            if not absent_table(exc):
                raise
        # SQLite says that, too, if it has seen the file without tables and cannot look again now because another
        # process has locked it. This looks again, and waits.
        self._database.run(lambda c: rows(c, "SELECT 1 FROM sqlite_master LIMIT 1"))
        try:
            return self._database.run(action)
        except StoreError as exc:
            if absent_table(exc):
                return absent
            raise


def _result(connection: Connection, name: str) -> str | None:
    found = connection.execute("SELECT result FROM transformation WHERE checksum = ?", (name,)).fetchone()
    return None if found is None else found[0]


def _sound_result(connection: Connection, name: str) -> str | None:
    """Return the stored result; one that is no checksum is deleted, so that another can take its place."""
    stored = _result(connection, name)
    if stored is None or sound_checksum(stored, _RESULT) is not None:
        return stored
    _delete(connection, name, stored)
    return None


def _sound_record(connection: Connection, name: str) -> tuple[str, str] | None:
    """Return (result, text) of a record, or None; one that cannot be read is deleted."""
    found: tuple[str, str] | None = connection.execute(
        "SELECT result, metadata FROM meta_data WHERE checksum = ?", (name,)
    ).fetchone()
    if found is None or (
        sound_checksum(found[0], "meta_data.result") is not None
        and sound_json(found[1], dict, "meta_data.metadata") is not None
    ):
        return found
    connection.execute("DELETE FROM meta_data WHERE checksum = ?", (name,))
    return None


def _irreproducible_record(text: Any) -> Any:
    """Return the record of a contested result, or "" if there is none."""
    if text in ("", '""'):
        return ""
    return sound_json(text, dict, "irreproducible_transformation.metadata") or ""


def _has_reverse(connection: Connection, name: str, value: str) -> bool:
    # Newest first: a record follows its result closely, and a common result may have a million rows.
    query = "SELECT 1 FROM rev_transformation WHERE result = ? AND checksum = ? ORDER BY id DESC LIMIT 1"
    return connection.execute(query, (value, name)).fetchone() is not None


def _set_results(connection: Connection, pairs: list[tuple[str, str]], clients: Sequence[object]) -> list[bool]:
    stored = _results(connection, [name for name, _ in pairs])
    new: list[tuple[str, str]] = []
    kept = []
    for (name, value), client in zip(pairs, clients, strict=True):
        if name in stored and stored[name] != value and sound_checksum(stored[name], _RESULT) is None:
            _delete(connection, name, stored.pop(name))
        if name not in stored:
            stored[name] = value
            new.append((name, value))
        kept.append(stored[name] == value)
        if stored[name] != value:
            connection.execute(
                "INSERT OR IGNORE INTO transformation_conflict (checksum, result, seen_at, client) VALUES (?, ?, ?, ?)",
                (name, value, _now(), str(client) or _this_process()),
            )
    _insert_pairs(connection, "transformation (checksum, result)", new)
    _insert_pairs(connection, "rev_transformation (checksum, result)", new)
    return kept


def _results(connection: Connection, names: list[str]) -> dict[str, str]:
    """Return the results that are stored, by transformation."""
    found: dict[str, str] = {}
    for start in range(0, len(names), _QUERY_BATCH):
        batch = names[start : start + _QUERY_BATCH]
        size = 1 << (len(batch) - 1).bit_length()  # few different statements, so that they are compiled once
        query = f"SELECT checksum, result FROM transformation WHERE checksum IN ({','.join('?' * size)})"
        found.update(rows(connection, query, batch + batch[-1:] * (size - len(batch))))
    return found


def _insert_pairs(connection: Connection, table: str, pairs: list[tuple[str, str]]) -> None:
    """Insert rows, many with one statement: while SQLite works on one, other threads of this process go on."""
    start = 0
    while start < len(pairs):
        size = min(1 << (len(pairs) - start).bit_length() - 1, _INSERT_BATCH)  # few different statements, as above
        values = [text for pair in pairs[start : start + size] for text in pair]
        connection.execute(f"INSERT INTO {table} VALUES {','.join(('(?,?)',) * size)}", values)
        start += size


def _now() -> str:
    from time import gmtime, strftime

    return strftime("%Y-%m-%dT%H:%M:%SZ", gmtime())


def _this_process() -> str:
    return f"{user_at_host()} (pid {os.getpid()})"


def _delete(connection: Connection, name: str, value: str) -> None:
    """Delete a result with its reverse rows and its record."""
    connection.execute("DELETE FROM transformation WHERE checksum = ?", (name,))
    connection.execute("DELETE FROM rev_transformation WHERE result = ? AND checksum = ?", (value, name))
    connection.execute("DELETE FROM meta_data WHERE checksum = ?", (name,))
