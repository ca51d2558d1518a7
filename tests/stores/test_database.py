from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from seamless.checksum import Checksum
from seamless.errors import StoreError, StoreReadOnlyError
from seamless.session import ResultStore
from seamless.stores import connection
from seamless.stores.database import ResultDatabase
from seamless.stores.errors import ConflictError, MalformedValueError, UnknownResultError
from seamless.util.whoami import user_at_host


def cs(text: str) -> Checksum:
    return Checksum.of(text.encode())


TF, TF2, R, R2 = cs("tf"), cs("tf2"), cs("r"), cs("r2")


def record(tf: Checksum = TF, result: Checksum = R, **more: object) -> dict[str, object]:
    return {"schema_version": 1, "tf_checksum": tf.hex(), "result_checksum": result.hex(), **more}


@pytest.fixture
def database(tmp_path: Path) -> ResultDatabase:
    return ResultDatabase(tmp_path / "seamless.db")


def query(database: ResultDatabase, statement: str) -> list[tuple[object, ...]]:
    other = sqlite3.connect(database.name)
    try:
        return other.execute(statement).fetchall()
    finally:
        other.close()


def test_a_result_database_is_a_result_store(database):
    assert isinstance(database, ResultStore)


# --- results ---------------------------------------------------------------------------------


def test_a_result_is_kept_and_found_from_both_sides(database):
    assert database.get_result(TF) is None
    assert database.set_result(TF, R) is True
    assert database.set_result(TF2, R) is True
    assert database.get_result(TF) == R
    assert database.get_results([TF2, cs("absent"), TF]) == [R, None, R]
    assert database.get_transformations(R) == [TF, TF2]
    assert database.get_transformations(R2) == []


def test_an_identical_result_writes_nothing(database):
    database.set_result(TF, R)
    database.set_result(TF, R)
    assert database.set_results([(TF, R), (TF, R)]) == [True, True]
    assert query(database, "SELECT count(*) FROM rev_transformation") == [(1,)]


def test_the_first_result_stays_and_the_second_attempt_is_noted(database):
    database.set_result(TF, R)
    assert database.set_result(TF, R2) is False
    assert database.set_result(TF, R2) is False
    assert database.get_result(TF) == R
    assert database.get_transformations(R2) == []
    assert database.get_conflicts(TF) == [R2]


def test_a_batch_of_any_size_is_one_transaction(database):
    pairs = [(cs(str(i)), cs(str(i % 7))) for i in range(1200)]
    assert database.set_results([*pairs, (pairs[0][0], R2)]) == [True] * 1200 + [False]
    assert database.get_results([t for t, _ in pairs]) == [r for _, r in pairs]
    assert database.set_results([]) == []


def test_a_deleted_result_is_forgotten_with_its_record_and_may_be_another_one(database):
    database.set_record(TF, R, record())
    assert database.delete_result(TF) is True
    assert database.delete_result(TF) is False
    assert (database.get_result(TF), database.get_record(TF), database.get_transformations(R)) == (None, None, [])
    assert database.set_record(TF, R2, record(result=R2)) is True


def test_repeated_and_ordered_reverse_rows_of_the_reference_are_given_once(database):
    database.set_result(TF, R)
    other = sqlite3.connect(database.name)
    other.executemany(
        "INSERT INTO rev_transformation (result, checksum) VALUES (?, ?)",
        [(R.hex(), TF2.hex()), (R.hex(), TF.hex()), (R.hex(), TF2.hex())],
    )
    other.commit()
    other.close()
    assert database.get_transformations(R) == [TF, TF2]


# --- records ---------------------------------------------------------------------------------


def test_a_record_is_kept_with_its_result_as_compact_text_in_its_own_order(database):
    assert database.set_record(TF, R, record(b=1, a=None)) is True
    assert database.get_record(TF) == record(b=1, a=None)
    assert database.get_result(TF) == R
    assert database.get_transformations(R) == [TF]
    assert query(database, "SELECT metadata, result FROM meta_data") == [
        (
            f'{{"schema_version":1,"tf_checksum":"{TF.hex()}","result_checksum":"{R.hex()}","b":1,"a":null}}',
            R.hex(),
        )
    ]


def test_a_record_after_its_result_adds_no_second_reverse_row(database):
    database.set_result(TF, R)
    database.set_record(TF, R, record())
    assert query(database, "SELECT result, checksum FROM rev_transformation") == [(R.hex(), TF.hex())]


def test_a_missing_reverse_row_is_added_with_the_record(database):
    database.set_result(TF, R)
    other = sqlite3.connect(database.name)
    other.execute("DELETE FROM rev_transformation")
    other.commit()
    other.close()
    database.set_record(TF, R, record())
    assert database.get_transformations(R) == [TF]


@pytest.mark.parametrize(
    "bad",
    [
        {},
        [],
        record() | {"schema_version": "1"},
        record() | {"schema_version": True},
        record() | {"tf_checksum": R.hex()},
        record() | {"result_checksum": None},
        record() | {"checksum_fields": "x"},
        record() | {"checksum_fields": ["a", ""]},
        record() | {"x": float("nan")},
        record() | {"x": object()},
    ],
)
def test_what_is_not_a_record_is_refused(database, bad):
    with pytest.raises(MalformedValueError):
        database.set_record(TF, R, bad)
    assert database.get_result(TF) is None


def test_a_record_is_refused_after_a_contest(database):
    database.set_result(TF, R)
    database.contest(TF, R)
    with pytest.raises(ConflictError, match="^Transformation already has irreproducible records$"):
        database.set_record(TF, R, record())


def test_a_record_of_another_result_is_refused(database):
    database.set_result(TF, R2)
    with pytest.raises(ConflictError, match="^Transformation result does not match execution record result$"):
        database.set_record(TF, R, record())


def test_a_record_is_refused_where_one_of_another_result_is_stored(database):
    database.set_record(TF, R, record())
    other = sqlite3.connect(database.name)
    other.execute("DELETE FROM transformation")
    other.commit()
    other.close()
    with pytest.raises(ConflictError, match="^Execution record result does not match stored metadata result$"):
        database.set_record(TF, R2, record(result=R2))
    with pytest.raises(ConflictError, match="^Stored metadata result does not match irreproducible result$"):
        database.contest(TF, R2)


def test_a_second_record_is_not_written_unless_it_is_the_same(database):
    database.set_record(TF, R, record(wall=1))
    assert database.set_record(TF, R, dict(reversed(record(wall=1).items()))) is True
    assert database.set_record(TF, R, record(wall=2)) is False
    assert database.get_record(TF) == record(wall=1)


# --- contests --------------------------------------------------------------------------------


def test_a_contested_result_is_moved_with_its_record(database):
    database.set_record(TF, R, record())
    database.set_result(TF2, R)
    database.contest(TF, R)
    assert (database.get_result(TF), database.get_record(TF), database.get_transformations(R)) == (None, None, [TF2])
    expected = {"checksum": TF.hex(), "result": R.hex(), "metadata": record()}
    assert database.get_irreproducible(TF) == [expected]
    assert database.get_irreproducible(TF, R) == [expected]
    assert database.get_irreproducible(TF, R2) == []
    assert database.get_irreproducible(TF2) == []


def test_a_contest_without_record_keeps_none_and_repeating_it_changes_nothing(database):
    for _ in range(3):
        database.contest(TF, R)
    assert database.get_irreproducible(TF) == [{"checksum": TF.hex(), "result": R.hex(), "metadata": ""}]


def test_another_result_than_the_stored_one_cannot_be_contested(database):
    database.set_result(TF, R)
    with pytest.raises(UnknownResultError, match="^Transformation does not have the irreproducible result$"):
        database.contest(TF, R2)
    assert database.get_result(TF) == R


def test_a_new_result_is_accepted_after_a_contest(database):
    database.set_result(TF, R)
    database.contest(TF, R)
    assert database.set_result(TF, R2) is True
    assert database.get_result(TF) == R2


# --- the lesser tables -----------------------------------------------------------------------


def test_buffer_info_is_merged_and_written_sorted_with_two_spaces(database):
    assert database.get_buffer_info(R) is None
    database.set_buffer_info(R, {"length": 3})
    database.set_buffer_info(R, {"is_utf8": True, "dtype": "int"})
    assert database.get_buffer_info(R) == {"length": 3, "is_utf8": True, "dtype": "int"}
    assert query(database, "SELECT buffer_info FROM buffer_info") == [
        ('{\n  "dtype": "int",\n  "is_utf8": true,\n  "length": 3\n}',)
    ]


@pytest.mark.parametrize("bad", [[], {"length": -1}, {"length": "3"}, {"length": True}, {"is_json": 1}])
def test_bad_buffer_info_is_refused(database, bad):
    with pytest.raises(MalformedValueError):
        database.set_buffer_info(R, bad)


def test_an_expression_is_found_from_both_sides(database):
    database.set_expression(TF, ["x", 1], "mixed", "plain", R2)
    database.set_expression(TF, ["x", 1], "mixed", "plain", R)
    assert database.get_expression(TF, ["x", 1], "mixed", "plain") == R
    assert database.get_expression(TF, [], "mixed", "plain") is None
    assert database.get_rev_expressions(R) == [
        {"checksum": TF.hex(), "path": ["x", 1], "celltype": "mixed", "target_celltype": "plain", "result": R.hex()}
    ]
    assert query(database, "SELECT path, validator, validator_language FROM expression") == [('["x", 1]', None, None)]


@pytest.mark.parametrize(
    ("path", "celltype"), [(["x" * 100], "mixed"), ([], "x" * 21), ([1], "text"), ("x", "mixed"), ([], "")]
)
def test_a_bad_expression_is_refused(database, path, celltype):
    with pytest.raises(MalformedValueError):
        database.set_expression(TF, path, celltype, "plain", R)


def test_syntactic_and_semantic_checksums_are_found_from_each_other(database):
    for _ in range(2):
        database.set_semantic_to_syntactic(R, "python", "transformer", [TF, TF2])
    assert database.get_semantic_to_syntactic(R, "python", "transformer") == [TF, TF2]
    assert database.get_syntactic_to_semantic(TF2, "python", "transformer") == [R]
    assert database.get_semantic_to_syntactic(R, "python", "reactor") == []
    with pytest.raises(MalformedValueError):
        database.set_semantic_to_syntactic(R, "python", None, [TF])


def test_the_last_probe_of_a_label_is_kept(database):
    assert database.get_bucket_probe("node", "n1") is None
    database.set_bucket_probe("node", "n1", R, "then", {})
    database.set_bucket_probe("node", "n1", R2, "now", {"boot": 1})
    assert database.get_bucket_probe("node", "n1") == {
        "bucket_kind": "node",
        "label": "n1",
        "bucket_checksum": R2.hex(),
        "captured_at": "now",
        "freshness_tokens": {"boot": 1},
    }


@pytest.mark.parametrize(
    ("kind", "label", "when", "tokens"),
    [("host", "n", "t", {}), ("node", "", "t", {}), ("node", "n", 5, {}), ("node", "n", "t", [])],
)
def test_a_bad_probe_is_refused(database, kind, label, when, tokens):
    with pytest.raises(MalformedValueError):
        database.set_bucket_probe(kind, label, R, when, tokens)


# --- the file --------------------------------------------------------------------------------


def test_the_file_is_in_wal_mode_on_a_local_disk_and_not_on_a_network(tmp_path, monkeypatch):
    local = ResultDatabase(tmp_path / "local.db")
    monkeypatch.setattr(connection, "on_network", lambda path: True)
    remote = ResultDatabase(tmp_path / "remote.db")
    remote.set_result(TF, R)
    assert query(local, "PRAGMA journal_mode") == [("wal",)]
    assert query(remote, "PRAGMA journal_mode") == [("delete",)]


def test_a_file_that_has_moved_to_a_network_is_changed_with_the_first_write(tmp_path, monkeypatch):
    first = ResultDatabase(tmp_path / "seamless.db")
    first.set_result(TF, R)
    first.close()
    monkeypatch.setattr(connection, "on_network", lambda path: True)
    ResultDatabase(tmp_path / "seamless.db").set_result(TF2, R)
    assert query(first, "PRAGMA journal_mode") == [("delete",)]


def test_the_umask_decides_who_may_write_the_file(tmp_path):
    old = os.umask(0o002)
    try:
        ResultDatabase(tmp_path / "seamless.db")
    finally:
        os.umask(old)
    assert (tmp_path / "seamless.db").stat().st_mode & 0o777 == 0o664


@pytest.mark.parametrize("name", ["a b?c#d%41.db", "ü.db"])
def test_any_file_name_will_do(tmp_path, name):
    ResultDatabase(tmp_path / name).set_result(TF, R)
    assert (tmp_path / name).exists()
    assert ResultDatabase(tmp_path / name).get_result(TF) == R


def test_an_absent_file_is_an_error_unless_it_may_be_created(tmp_path):
    for options in ({"writable": False}, {"create": False}):
        with pytest.raises(StoreError, match="there is no database"):
            ResultDatabase(tmp_path / "seamless.db", **options)
    with pytest.raises(StoreError, match="directory .* does not exist"):
        ResultDatabase(tmp_path / "no" / "seamless.db")
    assert list(tmp_path.iterdir()) == []


def test_a_file_opened_for_reading_refuses_every_write(database):
    database.set_result(TF, R)
    reader = ResultDatabase(database.name, writable=False)
    assert reader.get_result(TF) == R
    for write in (
        lambda: reader.set_result(TF2, R),
        lambda: reader.delete_result(TF),
        lambda: reader.set_record(TF, R, record()),
        lambda: reader.contest(TF, R),
    ):
        with pytest.raises(StoreReadOnlyError):
            write()
    assert reader.set_result(TF, R) is True  # nothing to write


def test_an_empty_file_is_a_database_without_results(tmp_path):
    (tmp_path / "seamless.db").touch()
    reader = ResultDatabase(tmp_path / "seamless.db", writable=False)
    assert reader.get_result(TF) is None
    assert reader.get_results([TF]) == [None]
    assert reader.get_record(TF) is None
    assert reader.get_transformations(R) == []
    assert reader.get_irreproducible(TF) == []
    writer = ResultDatabase(tmp_path / "seamless.db")
    writer.set_result(TF, R)
    assert reader.get_result(TF) == R


@pytest.mark.parametrize("content", [b"not a database at all, just text\n" * 50, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_no_database_is_named_with_what_to_do(tmp_path, content):
    (tmp_path / "seamless.db").write_bytes(content)
    with pytest.raises(StoreError, match="move it aside") as caught:
        ResultDatabase(tmp_path / "seamless.db")
    assert str(tmp_path / "seamless.db") in str(caught.value)
    assert (tmp_path / "seamless.db").read_bytes() == content


def legacy(path: Path, rows: int, columns: str = "checksum CHAR(64) PRIMARY KEY, metadata TEXT") -> None:
    other = sqlite3.connect(path)
    other.execute(f"CREATE TABLE meta_data ({columns})")
    for i in range(rows):
        other.execute("INSERT INTO meta_data VALUES (?, 'x')", (str(i),))
    other.commit()
    other.close()


def test_an_empty_legacy_record_table_is_replaced(tmp_path):
    legacy(tmp_path / "seamless.db", 0)
    database = ResultDatabase(tmp_path / "seamless.db")
    assert database.set_record(TF, R, record()) is True
    assert database.get_record(TF) == record()


def test_a_legacy_record_table_with_rows_is_refused(tmp_path):
    legacy(tmp_path / "seamless.db", 1)
    with pytest.raises(StoreError, match="legacy, non-empty"):
        ResultDatabase(tmp_path / "seamless.db")


def test_an_unknown_record_table_is_refused(tmp_path):
    legacy(tmp_path / "seamless.db", 0, "checksum CHAR(64), something TEXT")
    with pytest.raises(StoreError, match="unknown columns"):
        ResultDatabase(tmp_path / "seamless.db")


def test_a_lock_that_is_never_released_ends_in_one_clear_error(database):
    other = sqlite3.connect(database.name, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    database._database.busy_timeout = 0.0
    with pytest.raises(StoreError, match="locked by another process"):
        database.set_result(TF, R)
    assert database.get_result(TF) is None  # readers are not held up
    other.execute("ROLLBACK")
    other.close()
    assert database.set_result(TF, R) is True


@pytest.mark.parametrize(("patience", "attempts", "times"), [(0.0, 4, 1), (50.0, 2, 0)], ids=["long", "short"])
def test_only_a_long_wait_for_a_lock_is_said_and_only_once(database, monkeypatch, caplog, patience, attempts, times):
    other = sqlite3.connect(database.name, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    made = []

    def fails_until_the_last_attempt(c):
        made.append(c)
        if len(made) == attempts:
            other.execute("ROLLBACK")
        c.execute("BEGIN IMMEDIATE")
        c.execute("ROLLBACK")

    monkeypatch.setattr(connection, "_PATIENCE", patience)
    database._database.run(fails_until_the_last_attempt)
    other.close()
    assert len(made) == attempts
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"waiting for the database {database.name}, which another program has locked"] * times


def test_a_forked_child_uses_a_connection_of_its_own(database):
    database.set_result(TF, R)
    parent = database._database._connection
    pid = os.fork()
    if pid == 0:
        ok = database.get_result(TF) == R and database.set_result(TF2, R2)
        ok = ok and database._database._connection is not parent
        os._exit(0 if ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert database.get_result(TF2) == R2
    assert query(database, "PRAGMA integrity_check") == [("ok",)]


def test_many_processes_may_create_and_fill_one_file_at_once(tmp_path):
    script = """
import sys
from seamless.checksum import Checksum
from seamless.stores.database import ResultDatabase
sys.stdin.readline()
database = ResultDatabase(sys.argv[1])
for i in range(20):
    name = Checksum.of(f"{sys.argv[2]} {i}".encode())
    assert database.set_result(name, Checksum(sys.argv[3]))
"""
    path = tmp_path / "seamless.db"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path), str(n), R.hex()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for n in range(6)
    ]
    for process in processes:
        process.stdin.write(b"\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60) for process in processes]
    assert outputs == [(b"", b"")] * 6
    database = ResultDatabase(path)
    assert len(database.get_transformations(R)) == 120
    assert query(database, "PRAGMA journal_mode") == [("wal",)]


def test_threads_may_write_at_once(database):
    def work(number: int) -> None:
        for i in range(30):
            database.set_result(cs(f"{number} {i}"), R)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert len(database.get_transformations(R)) == 180


def test_it_is_noted_who_has_deleted_a_result(database):
    for client in ({"client": "anna@lab (10.0.0.1)"}, {}):
        database.set_result(TF, R)
        assert database.delete_result(TF, **client) is True
    first, second = database.get_deletions(TF)
    assert (first["result"], first["client"]) == (R.hex(), "anna@lab (10.0.0.1)")
    assert second["client"] == f"{user_at_host()} (pid {os.getpid()})"
    assert database.delete_result(TF) is False
    assert len(database.get_deletions(TF)) == 2


def test_it_is_noted_who_has_sent_a_second_result(database):
    database.set_result(TF, R)
    assert database.set_results([(TF, R), (TF, R2)], clients=["anna@lab", "ben@lab"]) == [True, False]
    database.set_result(TF, cs("third"))
    notes = query(database, "SELECT result, client FROM transformation_conflict ORDER BY rowid")
    assert notes == [(R2.hex(), "ben@lab"), (cs("third").hex(), f"{user_at_host()} (pid {os.getpid()})")]


def test_a_reader_that_has_seen_no_tables_waits_for_who_has_locked_the_file(tmp_path):
    path = tmp_path / "seamless.db"
    path.touch()
    reader = ResultDatabase(path)
    assert reader.get_result(TF) is None
    writer = ResultDatabase(path)
    writer.set_result(TF, R)
    writer.close()
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    found = []
    thread = threading.Thread(target=lambda: found.append(reader.get_result(TF)))
    thread.start()
    thread.join(2 * connection._BUSY_STEP)  # after which SQLite itself does not wait any more
    assert found == []
    other.execute("COMMIT")
    other.close()
    thread.join(30)
    assert found == [R]
