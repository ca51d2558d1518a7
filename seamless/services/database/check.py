"""What may be wrong with a database file: damage, contradictions, and what other programs have left in it.

Only reads. Other processes may go on using the file.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from seamless.errors import StoreError
from seamless.stores import schema

ERROR, WARNING = "error", "warning"
_EXAMPLES = 3


@dataclass(frozen=True)
class Finding:
    """A kind of trouble: `level` is `error` (what is stored cannot be relied on) or `warning` (untidy, harmless)."""

    level: str
    kind: str
    table: str
    count: int
    text: str
    examples: list[str]


_CHECKSUM_COLUMNS = (
    ("transformation", "checksum", "result"),
    ("rev_transformation", "result", "checksum"),
    ("buffer_info", "checksum"),
    ("syntactic_to_semantic", "syntactic", "semantic"),
    ("expression", "input_checksum", "result"),
    ("meta_data", "checksum", "result"),
    ("bucket_probe", "bucket_checksum"),
    ("irreproducible_transformation", "result", "checksum"),
)

_JSON_COLUMNS = (
    ("buffer_info", "buffer_info", "checksum"),
    ("meta_data", "metadata", "checksum"),
    ("irreproducible_transformation", "metadata", "checksum"),
    ("expression", "path", "input_checksum"),
    ("bucket_probe", "freshness_tokens", "label"),
)

# level, kind, table, text, query that gives one example a row, its checksum first; none takes quadratic time
_QUERIES = (
    (
        ERROR,
        "contradiction",
        "meta_data",
        "records of another result than the stored one",
        "SELECT m.checksum FROM meta_data m JOIN transformation t USING (checksum) WHERE m.result != t.result",
    ),
    (
        ERROR,
        "orphan",
        "transformation",
        "results that a search by result does not find",
        "SELECT checksum, result FROM transformation EXCEPT SELECT checksum, result FROM rev_transformation",
    ),
    (
        WARNING,
        "orphan",
        "rev_transformation",
        "reverse rows of results that are not stored",
        "SELECT checksum, result FROM rev_transformation EXCEPT SELECT checksum, result FROM transformation",
    ),
    (
        WARNING,
        "orphan",
        "meta_data",
        "records of transformations without a result",
        "SELECT checksum FROM meta_data WHERE checksum NOT IN (SELECT checksum FROM transformation)",
    ),
    (
        WARNING,
        "duplicate",
        "rev_transformation",
        "reverse rows that are there more than once",
        "SELECT checksum FROM rev_transformation GROUP BY result, checksum HAVING count(*) > 1",
    ),
    (
        WARNING,
        "duplicate",
        "irreproducible_transformation",
        "contested results that are there more than once",
        "SELECT checksum FROM irreproducible_transformation GROUP BY result, checksum, metadata HAVING count(*) > 1",
    ),
    (
        WARNING,
        "conflict",
        "transformation_conflict",
        "second, different results that were refused",
        "SELECT checksum FROM transformation_conflict",
    ),
)


def check(path: str, *, step: Callable[[], None] = lambda: None) -> Iterator[Finding]:
    """Yield what is wrong with a database; `step` is called before each part of the work.

    Raises StoreError if the file cannot be read.
    """
    if not os.path.isfile(path):
        raise StoreError(f"there is no database {path}")
    try:
        with closing(_connect(path)) as connection:
            step()
            yield from _integrity(connection)
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            yield from _shape(connection, tables)
            for table, *columns in _CHECKSUM_COLUMNS:
                step()
                yield from _bad_checksums(connection, table, columns)
            for table, column, key in _JSON_COLUMNS:
                step()
                yield from _bad_json(connection, table, column, key)
            for level, kind, table, text, query in _QUERIES:
                step()
                if _present(connection, query):
                    yield from _finding(level, kind, table, text, (row[0] for row in connection.execute(query)))
    except sqlite3.Error as exc:
        raise StoreError(f"cannot check the database {path}: {exc}") from exc


def _connect(path: str) -> sqlite3.Connection:
    name = os.path.abspath(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    connection = sqlite3.connect(f"file:{name}?mode=ro", uri=True, timeout=60, isolation_level=None)
    connection.text_factory = lambda data: data.decode("utf-8", "backslashreplace")  # damaged text is a finding
    return connection


def _integrity(connection: sqlite3.Connection) -> Iterator[Finding]:
    lines = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(100)")]
    if lines != ["ok"]:
        yield Finding(ERROR, "integrity", "", len(lines), "SQLite finds the file damaged", lines[:_EXAMPLES])


def _shape(connection: sqlite3.Connection, tables: set[str]) -> Iterator[Finding]:
    missing = sorted(schema.TABLES.keys() - tables - schema.OURS)
    yield from _finding(WARNING, "schema", "", "tables are missing; a writable server adds them", iter(missing))
    columns = [row[1] for row in connection.execute("PRAGMA table_info(meta_data)")]
    if problem := schema.meta_data_problem(columns):
        text = "an older form: see seamless-database --migrate" if problem == "legacy" else "unknown columns"
        yield Finding(ERROR, "schema", "meta_data", 1, text, [", ".join(columns)])


def _bad_checksums(connection: sqlite3.Connection, table: str, columns: list[str]) -> Iterator[Finding]:
    for column in columns:
        query = (
            f"SELECT {column} FROM {table} WHERE typeof({column}) != 'text' OR length({column}) != 64 "
            f"OR {column} GLOB '*[^0-9a-f]*'"
        )
        if _present(connection, query):
            bad = (str(row[0]) for row in connection.execute(query))
            yield from _finding(ERROR, "checksum", table, f"no checksums in the column {column}", bad)


def _bad_json(connection: sqlite3.Connection, table: str, column: str, key: str) -> Iterator[Finding]:
    query = f"SELECT {key}, {column} FROM {table}"
    if _present(connection, query):
        bad = (str(name) for name, text in connection.execute(query) if not _is_json(text))
        yield from _finding(ERROR, "json", table, f"no JSON in the column {column}", bad)
    if table == "meta_data" and _present(connection, query := "SELECT checksum, result, metadata FROM meta_data"):
        foreign = (str(row[0]) for row in connection.execute(query) if not _belongs(*row))
        yield from _finding(ERROR, "contradiction", table, "records that are about something else", foreign)


def _is_json(text: Any) -> bool:
    try:
        json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return False
    return True


def _belongs(name: str, result: str, text: str) -> bool:
    """Tell whether a record is that of its row. One that is no JSON has been found already."""
    if not _is_json(text):
        return True
    record = json.loads(text)
    return isinstance(record, dict) and (record.get("tf_checksum"), record.get("result_checksum")) == (name, result)


def _present(connection: sqlite3.Connection, query: str) -> bool:
    """Tell whether the tables and columns of a query exist; those that do not have been found already."""
    try:
        connection.execute(f"EXPLAIN {query}").close()
    except sqlite3.OperationalError as exc:
        if "no such" in str(exc):
            return False
        raise
    return True


def _finding(level: str, kind: str, table: str, text: str, examples: Iterator[str]) -> Iterator[Finding]:
    """Yield a finding if there are any examples."""
    count, shown = 0, []
    for example in examples:
        count += 1
        if count <= _EXAMPLES:
            shown.append(example)
    if count:
        yield Finding(level, kind, table, count, text, shown)
