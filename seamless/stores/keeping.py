"""A new result with its record, in one transaction, which threads share that come at the same time.

For steps that are new throughout. Whatever else is stored about one already is for the methods of the database.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from seamless.errors import StoreError
from seamless.stores.errors import MalformedValueError
from seamless.stores.records import check_record, record_text
from seamless.util.together import Together

if TYPE_CHECKING:
    from sqlite3 import Connection

    from seamless.checksum import Checksum
    from seamless.stores.connection import Database

_MOST = 256  # results of one transaction
_STORED = (
    "SELECT (SELECT result FROM transformation WHERE checksum = ?), (SELECT result FROM meta_data WHERE checksum = ?),"
    " (SELECT 1 FROM irreproducible_transformation WHERE checksum = ? LIMIT 1)"
)
_INSERTS = (
    "INSERT INTO transformation (checksum, result) VALUES (?, ?)",
    "INSERT INTO rev_transformation (checksum, result) VALUES (?, ?)",
    "INSERT INTO meta_data (checksum, result, metadata) VALUES (?, ?, ?)",
)


class _New(NamedTuple):
    """A result that is to be kept, as text."""

    transformation: str
    result: str
    record: str


class Keeping:
    """Keeps new results in a database. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._renew()

    def _renew(self) -> None:
        self._pid, self._together = os.getpid(), Together(self._keep_all, most=_MOST)

    def keep(self, transformation: Checksum, result: Checksum, record: dict[str, Any]) -> bool:
        """Keep result and record; False, and nothing is kept, if anything is stored already or they cannot be."""
        name, value = transformation.hex(), result.hex()
        try:
            check_record(record, name, value)
            new = _New(name, value, record_text(record))
        except MalformedValueError:
            return False  # the method for records says what is wrong with it
        if self._pid != os.getpid():  # a forked child: the threads that had begun are not here
            self._renew()
        try:
            kept: bool = self._together.do(new)
        except StoreError:
            return False  # perhaps because of the record, which the result does not depend on
        return kept

    def _keep_all(self, items: list[_New]) -> list[bool]:
        return self._database.transaction(lambda connection: [_keep(connection, new) for new in items])


def _keep(connection: Connection, new: _New) -> bool:
    if connection.execute(_STORED, (new.transformation,) * 3).fetchone() != (None, None, None):
        return False
    for statement, count in zip(_INSERTS, (2, 2, 3), strict=True):
        connection.execute(statement, new[:count])
    return True
