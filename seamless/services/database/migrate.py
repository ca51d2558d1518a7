"""Records of an older form: a table `meta_data` without the column `result` becomes one that has it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import NamedTuple

from seamless.checksum import Checksum
from seamless.errors import StoreError
from seamless.stores import schema

LEFT = "meta_data_legacy"


class Migration(NamedTuple):
    """How many records were converted, and how many could not be and are left in the table `meta_data_legacy`."""

    converted: int
    left: int


def migrate(path: str) -> Migration | None:
    """Convert the records in one transaction; None if there is nothing to convert. Raises StoreError."""
    try:
        with closing(sqlite3.connect(f"file:{_quoted(path)}?mode=rw", uri=True, isolation_level=None)) as connection:
            columns = [row[1] for row in connection.execute("PRAGMA table_info(meta_data)")]
            if schema.meta_data_problem(columns) != "legacy":
                return None
            connection.execute("BEGIN IMMEDIATE")
            done = _convert(connection)  # an error closes the connection, which undoes it all
            connection.execute("COMMIT")
            return done
    except sqlite3.Error as exc:
        raise StoreError(f"cannot convert the records of {path}: {exc}; nothing was changed") from exc


def _convert(connection: sqlite3.Connection) -> Migration:
    connection.execute(f"ALTER TABLE meta_data RENAME TO {LEFT}")
    for statement in schema.statements():
        connection.execute(statement)
    converted = 0
    for name, text in connection.execute(f"SELECT checksum, metadata FROM {LEFT}").fetchall():
        result = _result(text)
        stored = connection.execute("SELECT result FROM transformation WHERE checksum = ?", (name,)).fetchone()
        if result is None or stored not in (None, (result,)):
            continue
        connection.execute("INSERT INTO meta_data (checksum, result, metadata) VALUES (?, ?, ?)", (name, result, text))
        connection.execute(f"DELETE FROM {LEFT} WHERE checksum = ?", (name,))
        converted += 1
    (left,) = connection.execute(f"SELECT count(*) FROM {LEFT}").fetchone()
    if not left:
        connection.execute(f"DROP TABLE {LEFT}")
    return Migration(converted, left)


def _result(text: object) -> str | None:
    """Return the result that a record names, or None."""
    try:
        record = json.loads(text) if isinstance(text, (str, bytes)) else None
        return Checksum(record["result_checksum"]).hex() if isinstance(record, dict) else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
