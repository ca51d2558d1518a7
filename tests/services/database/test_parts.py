"""The parts of the server by themselves: grouped writes, readers, the answers to what goes wrong."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from seamless.checksum import Checksum
from seamless.errors import StoreError, StoreFullError, StoreReadOnlyError
from seamless.services.database import reader
from seamless.services.database.answers import failure
from seamless.services.database.presence import Presence
from seamless.services.database.reader import Reader
from seamless.services.database.served import KeptAnother, WritingDatabase
from seamless.services.database.writer import Writer
from seamless.services.database.writes import SetResult
from seamless.stores.database import ResultDatabase

TF, TF2, TF3, A, B = (Checksum.of(name) for name in (b"tf", b"tf2", b"tf3", b"a", b"b"))


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "seamless.db")


@pytest.fixture
def writing(path: str) -> Any:
    database = WritingDatabase(path)
    yield database
    database.close()


def committed(path: str) -> int:
    connection = sqlite3.connect(path)
    (count,) = connection.execute("SELECT count(*) FROM transformation").fetchone()
    connection.close()
    return int(count)


def test_a_group_is_written_in_one_transaction(writing: WritingDatabase, path: str) -> None:
    seen = []

    def look(results: ResultDatabase) -> None:
        seen.append((committed(path), results.get_result(TF)))

    assert writing.write_all([look, SetResult(TF, A), SetResult(TF2, B), look]) == [None] * 4
    assert seen == [(0, A), (0, A)]
    assert committed(path) == 2


def test_the_second_result_in_a_group_is_the_one_that_is_refused(writing: WritingDatabase) -> None:
    outcomes = writing.write_all([SetResult(TF, A), SetResult(TF, B), SetResult(TF, A)])
    assert [type(outcome) for outcome in outcomes] == [type(None), KeptAnother, type(None)]
    assert writing.get_conflicts(TF) == [B]


@pytest.mark.parametrize("error", [ValueError("unforeseen"), StoreFullError("full"), RecursionError("deep")])
def test_an_unforeseen_error_of_one_write_spares_the_others(writing: WritingDatabase, error: Exception) -> None:
    def fail(results: ResultDatabase) -> None:
        results.set_buffer_info(TF, {"length": 1})
        raise error

    assert writing.write_all([SetResult(TF, A), fail, SetResult(TF2, B)]) == [None, error, None]
    assert (writing.get_result(TF), writing.get_result(TF2)) == (A, B)
    assert writing.get_buffer_info(TF) is None


def test_an_error_of_the_file_is_told_to_all_at_once(writing: WritingDatabase) -> None:
    calls = []

    def fail(results: ResultDatabase) -> None:
        calls.append(1)
        raise StoreError("locked for a minute")

    outcomes = writing.write_all([SetResult(TF, A), fail])
    assert [str(outcome) for outcome in outcomes] == ["locked for a minute"] * 2
    assert len(calls) == 1
    assert writing.get_result(TF) is None


def test_the_part_of_a_write_that_was_done_before_its_refusal_is_undone(writing: WritingDatabase) -> None:
    from seamless.stores.errors import ConflictError

    def half(results: Any) -> None:
        def action(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO transformation VALUES (?, ?)", (TF.hex(), A.hex()))
            raise ConflictError("no")

        results._database.transaction(action)

    (refusal,) = writing.write_all([half])
    assert isinstance(refusal, ConflictError)
    assert writing.get_result(TF) is None


async def test_writes_that_come_while_one_is_written_make_one_group(writing: WritingDatabase) -> None:
    sizes: list[int] = []
    release = threading.Event()
    writer = Writer(writing, observe=sizes.append)
    first = writer.submit(lambda results: release.wait(30))
    while not sizes:
        await asyncio.sleep(0)
    others = [writer.submit(SetResult(Checksum.of(b"%d" % i), A)) for i in range(20)]
    release.set()
    assert await asyncio.gather(first, *others) == [None] * 21
    assert sizes == [1, 20]
    await writer.close()


async def test_what_was_submitted_is_written_before_the_end(writing: WritingDatabase, path: str) -> None:
    writer = Writer(writing)
    answer = writer.submit(SetResult(TF, A))
    await writer.close()
    assert answer.result() is None
    assert committed(path) == 1


async def test_a_client_that_no_longer_waits_is_no_harm(writing: WritingDatabase, path: str) -> None:
    writer = Writer(writing)
    writer.submit(SetResult(TF, A)).cancel()
    assert await writer.submit(SetResult(TF2, A)) is None
    await writer.close()
    assert committed(path) == 2


LOOKUP = {"type": "transformation", "checksum": TF.hex()}


async def test_a_lookup_is_quick_on_a_local_disk_only(
    writing: WritingDatabase, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing.set_result(TF, A)
    local = Reader(path, beside_writer=True)
    assert local.quick(LOOKUP) == (True, A.hex())
    assert local.quick({"type": "rev_transformations", "checksum": A.hex()}) == (False, None)
    monkeypatch.setattr(reader, "on_network", lambda path: True)
    remote = Reader(path, beside_writer=True)
    assert remote.quick(LOOKUP) == (False, None)
    assert await remote.read(LOOKUP) == A.hex()
    await local.close()
    await remote.close()


async def test_a_lookup_that_would_have_to_wait_is_not_quick(path: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE transformation (checksum PRIMARY KEY, result)")
    connection.execute("INSERT INTO transformation VALUES (?, ?)", (TF.hex(), A.hex()))
    reading = Reader(path, beside_writer=False)
    assert reading.quick(LOOKUP) == (True, A.hex())
    connection.execute("BEGIN EXCLUSIVE")  # in this journal mode, nobody may read meanwhile
    assert reading.quick(LOOKUP) == (False, None)
    waiting = asyncio.ensure_future(reading.read(LOOKUP))
    await asyncio.sleep(0)
    connection.execute("COMMIT")
    connection.close()
    assert await waiting == A.hex()
    await reading.close()


def sqlite_failure(kind: type[Exception]) -> StoreError:
    error = StoreError("cannot use the database")
    error.__cause__ = kind("x")
    return error


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (StoreFullError("the disk is full"), 507, "ERROR: the disk is full"),
        (StoreReadOnlyError("x"), 405, "ERROR: Database server is read-only"),
        (sqlite_failure(sqlite3.OperationalError), 503, "ERROR: cannot use the database"),
        (sqlite_failure(sqlite3.DatabaseError), 500, "ERROR: cannot use the database"),
        (RecursionError(), 400, "ERROR: Malformed request"),
        (KeyError("secret"), 500, "ERROR: Internal server error"),
    ],
)
def test_an_error_has_its_status(error: Exception, status: int, text: str) -> None:
    assert failure(error) == (status, text)


def test_the_note_of_a_dead_server_is_no_obstacle(path: str, caplog: pytest.LogCaptureFixture) -> None:
    Path(f"{path}.server").write_text('{"pid": 1, "host": "gone"}')
    presence = Presence(path)
    assert caplog.text == ""
    presence.close()
    assert not Path(f"{path}.server").exists()


def test_the_other_server_is_named(path: str, caplog: pytest.LogCaptureFixture) -> None:
    import os

    first, second = Presence(path), Presence(path)
    assert f"pid {os.getpid()} on" in caplog.text
    second.close()
    assert Path(f"{path}.server").exists()
    first.close()
