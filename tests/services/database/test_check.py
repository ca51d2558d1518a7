"""`seamless-database-check`, and the conversion of records of an older form."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from seamless.checksum import Checksum
from seamless.cli.database import check_main, main
from seamless.errors import StoreError
from seamless.services.database.check import check
from seamless.services.database.migrate import LEFT, Migration, migrate
from seamless.stores import schema
from seamless.stores.database import ResultDatabase

TF, TF2, A, B = (Checksum.of(name) for name in (b"tf", b"tf2", b"a", b"b"))
RECORD = {"schema_version": 1, "tf_checksum": TF.hex(), "result_checksum": A.hex()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a database with one of everything, in order."""
    path = tmp_path / "seamless.db"
    store = ResultDatabase(path)
    store.set_record(TF, A, RECORD)
    store.set_result(TF2, A)
    store.contest(B, A)
    store.set_buffer_info(A, {"length": 1})
    store.set_expression(A, ["x", 1], "mixed", "plain", B)
    store.set_semantic_to_syntactic(A, "python", "x", [B])
    store.set_bucket_probe("node", "x", A, "now", {})
    store.close()
    return path


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def found(path: Path) -> list[tuple[str, str, str, int]]:
    return [(f.level, f.kind, f.table, f.count) for f in check(str(path))]


def test_nothing_is_wrong_with_a_database_of_ours(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert found(path) == []
    assert check_main([str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: ok\n"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("DELETE FROM rev_transformation", ("error", "orphan", "transformation", 2)),
        (f"DELETE FROM transformation WHERE checksum = '{TF2}'", ("warning", "orphan", "rev_transformation", 1)),
        (
            "INSERT INTO rev_transformation (result, checksum) SELECT result, checksum FROM rev_transformation",
            ("warning", "duplicate", "rev_transformation", 2),
        ),
        (
            "INSERT INTO irreproducible_transformation (result, checksum, metadata)"
            " SELECT result, checksum, metadata FROM irreproducible_transformation",
            ("warning", "duplicate", "irreproducible_transformation", 1),
        ),
        (
            f"INSERT INTO transformation_conflict VALUES ('{TF}', '{B}', 'now', 'here')",
            ("warning", "conflict", "transformation_conflict", 1),
        ),
        ("UPDATE buffer_info SET buffer_info = '{'", ("error", "json", "buffer_info", 1)),
        ("UPDATE expression SET path = 'x'", ("error", "json", "expression", 1)),
        ("UPDATE bucket_probe SET bucket_checksum = 'x'", ("error", "checksum", "bucket_probe", 1)),
        ("UPDATE expression SET result = upper(result)", ("error", "checksum", "expression", 1)),
        ("UPDATE meta_data SET metadata = '[]'", ("error", "contradiction", "meta_data", 1)),
        ("DROP TABLE expression", ("warning", "schema", "", 1)),
    ],
)
def test_what_is_wrong_is_found(path: Path, statement: str, expected: tuple[str, str, str, int]) -> None:
    change(path, statement)
    assert expected in found(path)


def test_a_record_of_another_result_is_a_contradiction(path: Path) -> None:
    change(path, f"UPDATE transformation SET result = '{B}' WHERE checksum = '{TF}'")
    kinds = {(f.kind, f.table): f.examples for f in check(str(path))}
    assert kinds["contradiction", "meta_data"] == [TF.hex()]


def test_a_damaged_page_is_an_error(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray(path.read_bytes())
    data[3 * 4096 : 3 * 4096 + 200] = b"\xff" * 200
    path.write_bytes(data)
    assert check_main([str(path)]) == 1
    output = capsys.readouterr()
    assert "damaged" in output.out + output.err or "malformed" in output.out + output.err


def test_findings_are_json_lines_on_request(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(path, f"DELETE FROM transformation WHERE checksum = '{TF2}'")
    assert check_main(["--json", str(path)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    finding = json.loads(line)
    assert set(finding) == {"level", "kind", "table", "count", "text", "examples"}
    assert (finding["kind"], finding["examples"]) == ("orphan", [TF2.hex()])


def test_errors_are_the_exit_status(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(path, "DELETE FROM rev_transformation")
    assert check_main([str(path)]) == 1
    assert capsys.readouterr().out.startswith("error: transformation: ")


@pytest.mark.parametrize("content", [None, b"no database, but long enough to be one" * 100])
def test_what_is_no_database_is_one_message(
    tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other"
    if content is not None:
        path.write_bytes(content)
    assert check_main([str(path)]) == 1
    output = capsys.readouterr()
    assert output.out == "" and str(path) in output.err and "Traceback" not in output.err


@pytest.mark.parametrize("command", [main, check_main])
def test_the_commands_have_help(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["--help"]) == 0
    text = capsys.readouterr().out
    assert "examples:" in text
    assert max(map(len, text.splitlines())) <= 80


# --- an older form --------------------------------------------------------------------------------


@pytest.fixture
def legacy(tmp_path: Path) -> Path:
    """Return a database with a convertible record, and three that are not."""
    path = tmp_path / "legacy.db"
    statements = [s for s in schema.statements() if "meta_data" not in s]
    change(path, *statements, "CREATE TABLE meta_data (checksum CHAR(64) PRIMARY KEY, metadata TEXT)")
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("INSERT INTO transformation VALUES (?, ?)", (TF2.hex(), A.hex()))
        records = [
            (TF.hex(), json.dumps(RECORD)),
            (TF2.hex(), json.dumps({"result_checksum": B.hex()})),
            (A.hex(), "{}"),
            (B.hex(), "not JSON"),
        ]
        connection.executemany("INSERT INTO meta_data VALUES (?, ?)", records)
    connection.close()
    return path


def test_records_of_an_older_form_are_converted_and_none_is_lost(legacy: Path) -> None:
    assert "schema" in [f.kind for f in check(str(legacy)) if f.table == "meta_data"]
    with pytest.raises(StoreError, match="legacy"):
        ResultDatabase(legacy)
    assert migrate(str(legacy)) == Migration(converted=1, left=3)
    store = ResultDatabase(legacy)
    assert store.get_record(TF) == RECORD
    assert store.get_record(TF2) is None
    store.close()
    connection = sqlite3.connect(legacy)
    left = {name for (name,) in connection.execute(f"SELECT checksum FROM {LEFT}")}
    connection.close()
    assert left == {TF2.hex(), A.hex(), B.hex()}


def test_a_file_of_the_present_form_is_left_alone(path: Path) -> None:
    before = path.read_bytes()
    assert migrate(str(path)) is None
    assert path.read_bytes() == before


def test_the_server_converts_on_request(start: Any, legacy: Path) -> None:
    server = start("--writable", "--migrate", legacy)
    assert "converted: 1" in server.log.read_text()
    assert server.get("metadata", TF.hex()).json() == RECORD
