"""The tables, written down once more, by hand: a file must open in the reference and the reverse."""

from __future__ import annotations

import sqlite3

from seamless.stores.database import ResultDatabase

TABLES = """\
bucket_probe: bucket_kind VARCHAR(20) pk1, label TEXT pk2, bucket_checksum CHAR(64), captured_at TEXT, \
freshness_tokens TEXT
buffer_info: checksum CHAR(64) pk1, buffer_info TEXT
expression: input_checksum CHAR(64) pk1, path VARCHAR(100) pk2, celltype VARCHAR(20) pk3, \
target_celltype VARCHAR(20) pk4, validator CHAR(64) null, validator_language VARCHAR(20) null, result CHAR(64)
irreproducible_transformation: id INTEGER pk1, result CHAR(64), checksum CHAR(64), metadata TEXT
meta_data: checksum CHAR(64) pk1, result CHAR(64), metadata TEXT
rev_transformation: id INTEGER pk1, result CHAR(64), checksum CHAR(64)
syntactic_to_semantic: syntactic CHAR(64) pk1, celltype TEXT pk2, subcelltype TEXT pk3, semantic CHAR(64) pk4
transformation: checksum CHAR(64) pk1, result CHAR(64)
transformation_conflict: checksum CHAR(64) pk1, result CHAR(64) pk2, seen_at TEXT, client TEXT
transformation_deletion: id INTEGER pk1, checksum CHAR(64), result CHAR(64), deleted_at TEXT, client TEXT
"""

INDICES = [
    "bucket_probe_bucket_checksum",
    "expression_result",
    "irreproducible_transformation_checksum",
    "irreproducible_transformation_result",
    "meta_data_result",
    "rev_transformation_result",
    "syntactic_to_semantic_semantic",
    "syntactic_to_semantic_syntactic",
    "transformation_result",
]


def test_the_tables_have_the_columns_types_and_keys_of_the_format(tmp_path):
    ResultDatabase(tmp_path / "seamless.db")
    connection = sqlite3.connect(tmp_path / "seamless.db")
    text = ""
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall():
        columns = []
        for _, name, kind, not_null, default, key in connection.execute(f"PRAGMA table_info({table})").fetchall():
            assert default is None
            columns.append(f"{name} {kind}" + (f" pk{key}" if key else "") + ("" if not_null else " null"))
        text += f"{table}: {', '.join(columns)}\n"
    connection.close()
    assert text == TABLES


def test_the_indices_have_the_names_of_the_format(tmp_path):
    ResultDatabase(tmp_path / "seamless.db")
    connection = sqlite3.connect(tmp_path / "seamless.db")
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name")
    assert [name for (name,) in names.fetchall()] == INDICES
    connection.close()


def test_the_file_has_no_version_numbers(tmp_path):
    ResultDatabase(tmp_path / "seamless.db")
    connection = sqlite3.connect(tmp_path / "seamless.db")
    for pragma in ("user_version", "application_id"):
        assert connection.execute(f"PRAGMA {pragma}").fetchone() == (0,)
    connection.close()
