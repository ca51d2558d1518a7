"""The result database as the server uses it: many writes in one transaction, reads that never wait.

What is kept and what is refused is decided below, in `seamless.stores.database`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from seamless.checksum import Checksum
from seamless.errors import StoreError, StoreFullError
from seamless.services.database.requests import RefusedError
from seamless.services.database.writes import SetResult, Write
from seamless.stores.connection import Database
from seamless.stores.database import ResultDatabase
from seamless.stores.errors import ConflictError, MalformedValueError, UnknownResultError
from seamless.stores.values import sound_checksum

if TYPE_CHECKING:
    from sqlite3 import Connection

T = TypeVar("T")

_LOG_PAGES = 10_000
_BUSY_SECONDS = 60.0  # to wait for other writers, in all
_BUSY_MILLISECONDS = 250  # of them at a time
_CACHE_KIB = 64_000
_READ_CACHE_KIB = 16_000
_RESULT = "SELECT result FROM transformation WHERE checksum = ?"
_LOOK_EVERY = 1.0  # seconds

# What a write may answer without harm to the others of its group.
_REFUSALS = (RefusedError, ConflictError, UnknownResultError, MalformedValueError)


class KeptAnother:
    """The outcome of a write of a result where another one was, and is, stored."""


Outcome = BaseException | KeptAnother | None


class _GroupDatabase(Database):
    """A database whose transactions may be made members of a larger one. For one thread at a time.

    `logged`: it has a write-ahead log, so that a transaction need not wait for the disk.
    """

    _open_transaction: Connection | None = None
    _patient: bool | None = None
    logged = False

    def _connect(self, mode: str) -> Connection:
        connection = super()._connect(mode)
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("PRAGMA temp_store = MEMORY")  # what a savepoint may have to undo: no file for it
        self._patient = None
        return connection

    def _prepare(self, connection: Connection) -> None:
        super()._prepare(connection)
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        self.logged = mode == "wal"

    def set_patience(self, patient: bool) -> None:
        """Tell whether the next transactions may wait: for other processes, and while the log is merged."""

        def set_it(connection: Connection) -> None:
            if self._patient is not patient:
                # Merging the log into the file less often halves the cost of a write; the log grows to 40 MB or more.
                connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES if patient else 0}")
                connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS if patient else 0}")
                self._patient = patient

        self.busy_timeout = _BUSY_SECONDS if patient else 0.0
        self.run(set_it)

    def together(self, action: Callable[[], T]) -> T:
        """Run `action` in one transaction, with every transaction that it asks for as a part of it."""

        def whole(connection: Connection) -> T:
            self._open_transaction = connection
            try:
                return action()
            finally:
                self._open_transaction = None

        return super().transaction(whole)

    def transaction(self, action: Callable[[Connection], T]) -> T:
        connection = self._open_transaction
        if connection is None:
            return super().transaction(action)
        connection.execute("SAVEPOINT member")
        try:
            value = action(connection)
        except BaseException:
            if connection.in_transaction:  # an error such as a full disk may have ended the whole
                connection.execute("ROLLBACK TO member")
                connection.execute("RELEASE member")
            raise
        connection.execute("RELEASE member")
        return value


class WritingDatabase(ResultDatabase):
    """The connection of the writer, for one thread at a time. Raises StoreError if the file may not be written."""

    _database: _GroupDatabase

    def __init__(self, path: str):
        super().__init__(path)
        if not self.writable:
            what = path if os.path.exists(path) else os.path.dirname(os.path.abspath(path))
            self.close()
            raise StoreError(f"cannot write to {what}; make it writable, or leave out --writable")
        plain = self._database
        self._database = _GroupDatabase(plain.path, writable=True, create=True)
        plain.close()

    def write_all(self, writes: Sequence[Write]) -> list[Outcome]:
        """Write all in one transaction; return for each None, KeptAnother, or the exception that refused it.

        If something unforeseen befalls the whole, each is tried for itself. Raises nothing but what ends a thread.
        """
        try:
            self._database.set_patience(True)
            return self._database.together(lambda: self._members(writes))
        except Exception as exc:  # noqa: BLE001 - the main loop of the writer thread: every client gets its answer
            if len(writes) == 1 or (isinstance(exc, StoreError) and not isinstance(exc, StoreFullError)):
                return [exc] * len(writes)
        return [outcome for write in writes for outcome in self.write_all([write])]

    @property
    def quick(self) -> bool:
        """Whether `write_now` has a chance; known when something has been written."""
        return self._database.logged

    def write_now(self, writes: Sequence[Write]) -> list[Outcome] | None:
        """Do what `write_all` does without waiting for anybody; None, and nothing is written, if that fails."""
        try:
            self._database.set_patience(False)
            return self._database.together(lambda: self._members(writes))
        except Exception:  # noqa: BLE001 - `write_all` will meet it again, and tell it to every client
            return None

    def _members(self, writes: Sequence[Write]) -> list[Outcome]:
        outcomes: list[Outcome] = [None] * len(writes)
        results = [(i, write) for i, write in enumerate(writes) if isinstance(write, SetResult)]
        kept = self.set_results(((w[0], w[1]) for _, w in results), clients=[w.sender for _, w in results])
        for (i, _), stored in zip(results, kept, strict=True):
            outcomes[i] = None if stored else KeptAnother()
        for i, write in enumerate(writes):
            if not isinstance(write, SetResult):
                try:
                    write(self)
                except _REFUSALS as exc:
                    outcomes[i] = exc
        return outcomes


class ReadingDatabase(ResultDatabase):
    """A connection for reading, for one thread at a time.

    An impatient one raises StoreError at once while another process holds the file.
    """

    def __init__(self, path: str, *, beside_writer: bool, impatient: bool = False):
        # The file is opened for writing where it is also written, so that SQLite keeps the files of WAL mode alike.
        super().__init__(path, writable=beside_writer, create=False)
        self._reopen = not beside_writer
        self._look_at = time.monotonic() + _LOOK_EVERY
        self._logged = False  # it has a write-ahead log
        self._round: Connection | None = None  # where a transaction is open
        if impatient:
            self._database.busy_timeout = 0.0
            self._database.run(lambda c: c.execute(f"PRAGMA cache_size = -{_READ_CACHE_KIB}"))

    def check(self) -> None:
        """Open the file now. Raises StoreError if it cannot be read."""
        self._read(lambda c: c.execute("SELECT 1 FROM transformation LIMIT 1").fetchone(), None)
        self._look_at_mode()

    def begin_round(self) -> None:
        """Let the lookups to come see the file as it is at the first of them; less work than a transaction for each."""
        self.refresh()
        if self._logged:  # otherwise nobody could write meanwhile
            self._round = self._database.run(lambda c: c.execute("BEGIN").connection)

    def result_text(self, transformation: Checksum) -> str | None:
        """Return the digits of the result, or None; within a round this is as quick as can be."""
        if self._round is None:
            found = self.get_result(transformation)
        else:
            try:
                row = self._round.execute(_RESULT, (transformation.hex(),)).fetchone()
            except Exception as exc:
                raise StoreError(f"cannot read {self.name}: {exc}") from exc
            found = None if row is None else sound_checksum(row[0], "transformation.result")
        return None if found is None else found.hex()

    def end_round(self) -> None:
        """End what `begin_round` began; never raises."""
        self._round = None
        try:
            self._database.run(lambda c: c.execute("COMMIT") if c.in_transaction else None)
        except StoreError:
            self.close()  # ends it, too; the next lookup opens the file again and meets what is wrong

    def refresh(self) -> None:
        """Look again, once a second, at a file that is only read here: it may have been exchanged."""
        if time.monotonic() > self._look_at:
            self._look_at = time.monotonic() + _LOOK_EVERY
            if self._reopen:
                self.close()  # the next use opens it
            self._look_at_mode()

    def _look_at_mode(self) -> None:
        self._logged = self._database.run(lambda c: c.execute("PRAGMA journal_mode").fetchone()) == ("wal",)
