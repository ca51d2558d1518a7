"""Connections to seamless.db: opening, journal mode, bounded retries, and what SQLite's errors mean.

One connection a process, guarded by a lock; a forked child never touches that of its parent.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable

from seamless.errors import StoreError, StoreFullError, StoreReadOnlyError
from seamless.stores import schema
from seamless.stores.errors import store_error
from seamless.stores.filesystem import on_network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sqlite3 import Connection
    from typing import Any, TypeVar

    T = TypeVar("T")

_BUSY_STEP = 0.25  # seconds that SQLite itself waits for a lock; then Ctrl-C gets a chance
_PATIENCE = 5.0  # seconds of waiting for a lock after which it is said
_BUSY_TEXTS = ("locked", "locking protocol", "busy")
# Connections inherited through fork. Closing one could touch the files under the parent's feet.
_ABANDONED: list[Any] = []


def _sqlite() -> Any:
    """Return the module that has `connect` and the errors: `sqlite3` without its date and time adapters.

    Importing those costs more than opening the database and finding a result in it.
    """
    try:
        import _sqlite3
    except ImportError:  # an interpreter that has only the public module
        import sqlite3

        return sqlite3
    return _sqlite3


class Database:
    """A SQLite file with the tables of `schema`.

    `writable` becomes False where the file or its directory may not be written. Raises StoreError if the file cannot
    be opened, is no database, or is one of another kind.
    """

    def __init__(self, path: str, *, writable: bool, create: bool):
        self.path = os.path.abspath(path)
        self.busy_timeout = 60.0  # seconds to wait for other writers, in all
        self.lock = threading.RLock()
        self._connection: Connection | None = None
        self._pid = 0
        self._prepared = False
        directory = os.path.dirname(self.path)
        exists = os.path.exists(self.path)
        self.writable = writable and os.access(directory, os.W_OK | os.X_OK)
        if exists:
            self.writable = self.writable and os.access(self.path, os.W_OK)
        elif not (self.writable and create):
            why = "" if os.path.isdir(directory) else f": its directory {directory} does not exist"
            if writable and create and not why:
                why = f": it cannot be created, {directory} is not writable"
            raise StoreError(f"there is no database {self.path}{why}")
        else:
            self._create_file()
        self.run(lambda c: None)
        if self.writable and not exists:
            self.transaction(lambda c: None)

    def run(self, action: Callable[[Connection], T]) -> T:
        """Run a reading action; `action` is repeated while the database is busy."""
        return self._guarded(action)

    def transaction(self, action: Callable[[Connection], T]) -> T:
        """Run a writing action in one transaction, committed on return. Repeated while the database is busy."""
        if not self.writable:
            raise StoreReadOnlyError(f"the database {self.path} may only be read")

        def whole(connection: Connection) -> T:
            if not self._prepared:
                self._prepare(connection)
            connection.execute("BEGIN IMMEDIATE")
            try:
                value = action(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return value

        return self._guarded(whole)

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        with self.lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None

    def __del__(self) -> None:
        # At the end of the interpreter the modules may be gone before this object.
        if getattr(self, "_connection", None) is not None and os is not None:
            self.close()

    # --- opening -----------------------------------------------------------------------------

    def _create_file(self) -> None:
        """Create the empty file ourselves: SQLite would ignore a umask that lets the group write."""
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666))
        except OSError as exc:
            raise store_error(exc, os.path.dirname(self.path)) from exc

    def _open(self) -> Connection:
        if self._connection is not None and self._pid == os.getpid():
            return self._connection
        if self._connection is not None:
            _ABANDONED.append(self._connection)
        self._connection, self._prepared = None, False
        connection = self._connect("rw" if self.writable else "ro")
        try:
            self._check_shape(connection)
        except _sqlite().OperationalError as exc:
            connection.close()
            if self.writable or _is_busy(exc) or "unable to open" not in str(exc) and "readonly" not in str(exc):
                raise
            # No shared memory file can be made here, so nobody here can be writing either.
            connection = self._connect("ro&immutable=1")
            self._check_shape(connection)
        except BaseException:
            connection.close()
            raise
        self._connection, self._pid = connection, os.getpid()
        return connection

    def _connect(self, mode: str) -> Connection:
        name = self.path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        connection: Connection = _sqlite().connect(
            f"file:{name}?mode={mode}", uri=True, timeout=_BUSY_STEP, isolation_level=None, check_same_thread=False
        )
        return connection

    def _check_shape(self, connection: Connection) -> None:
        """Refuse a `meta_data` of another version; an empty one of an older version is dropped by `_prepare`."""
        problem = schema.meta_data_problem(_columns(connection))
        if problem == "legacy" and connection.execute("SELECT 1 FROM meta_data LIMIT 1").fetchone() is None:
            return
        if problem is not None:
            what = "is a legacy, non-empty one" if problem == "legacy" else "has unknown columns"
            raise StoreError(
                f"cannot use the database {self.path}: its table meta_data {what}; "
                "use a new file, or convert that table first"
            )

    def _prepare(self, connection: Connection) -> None:
        """Make a connection fit for writing, and the tables complete. Once a connection, never on a cache hit."""
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        wanted = "delete" if on_network(self.path) else "wal"
        if mode != wanted:
            try:
                (mode,) = connection.execute(f"PRAGMA journal_mode={wanted}").fetchone()
            except _sqlite().OperationalError as exc:
                if not _is_busy(exc):
                    raise  # busy: others use the file in the mode that it has, which works as well
        # Without WAL only FULL keeps the file whole through a power failure.
        connection.execute(f"PRAGMA synchronous={'NORMAL' if mode == 'wal' else 'FULL'}")
        present = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}
        if not present.issuperset(schema.TABLES) or schema.meta_data_problem(_columns(connection)):
            self._create_tables(connection)
        self._prepared = True

    def _create_tables(self, connection: Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if schema.meta_data_problem(_columns(connection)):
                self._check_shape(connection)
                connection.execute("DROP TABLE meta_data")
            for statement in schema.statements():
                connection.execute(statement)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    # --- errors ------------------------------------------------------------------------------

    def _guarded(self, action: Callable[[Connection], T]) -> T:
        """Run `action` with the connection and the lock; repeat it while other writers are in the way.

        A long wait is logged, once.
        """
        pid = os.getpid()
        if self._pid not in (0, pid):
            self.lock = threading.RLock()  # after a fork: a thread that is not here may have held it
        begun, told = time.monotonic(), False
        while True:
            with self.lock:
                try:
                    connection = self._connection
                    return action(self._open() if connection is None or self._pid != pid else connection)
                except Exception as exc:
                    if not isinstance(exc, _sqlite().Error):
                        raise
                    waited = time.monotonic() - begun
                    if not _is_busy(exc) or waited > self.busy_timeout:
                        raise self._store_error(exc) from exc
            if waited > _PATIENCE and not told:
                told = True
                self._tell_waiting()

    def _tell_waiting(self) -> None:
        import logging  # not at the start: a database is hardly ever locked for so long

        logging.getLogger(__name__).warning("waiting for the database %s, which another program has locked", self.path)

    def _store_error(self, exc: Exception) -> StoreError:
        """Return the StoreError that says what an error of SQLite means and what to do."""
        text, directory = str(exc), os.path.dirname(self.path)
        if _is_busy(exc):
            return StoreError(
                f"the database {self.path} was locked by another process for {self.busy_timeout:g} s; try again later"
            )
        if "disk is full" in text or ("disk I/O" in text and _is_full(directory)):
            return StoreFullError(
                f"cannot write to {self.path}: the file system is full; free some space and try again"
            )
        if "readonly" in text:
            return StoreReadOnlyError(f"the database {self.path} may only be read")
        if "malformed" in text or "not a database" in text:
            return StoreError(
                f"the database {self.path} is damaged ({text}); move it aside to start an empty one, "
                f"or try: sqlite3 {self.path} .recover"
            )
        return StoreError(f"cannot use the database {self.path}: {text}")


def absent_table(exc: BaseException) -> bool:
    """Tell whether an error only says that nothing has been written yet."""
    return "no such table" in str(exc.__cause__)


def rows(connection: Connection, query: str, values: Iterable[Any] = ()) -> list[Any]:
    """Return all rows of a query, as tuples."""
    return connection.execute(query, tuple(values)).fetchall()


def _columns(connection: Connection) -> list[str]:
    return [row[1] for row in connection.execute("PRAGMA table_info(meta_data)")]


def _is_busy(exc: BaseException) -> bool:
    text = str(exc)
    return any(part in text for part in _BUSY_TEXTS)


def _is_full(directory: str) -> bool:
    try:
        return os.statvfs(directory).f_bavail == 0
    except OSError:
        return False
