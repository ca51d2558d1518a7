"""Requests in one piece: lookups in the event loop, and writes there unless they would have to wait."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from seamless.checksum import Checksum
from seamless.services.database.served import Outcome, WritingDatabase
from seamless.services.database.writer import Writer
from seamless.services.database.writes import SetResult, Write

from .conftest import DEADLINE, Server, Start, request

TF, A, B = (Checksum.of(text) for text in (b"tf", b"a", b"b"))


class Line:
    """A connection on which each request is sent in one piece."""

    def __init__(self, server: Server):
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE)
        self.file = self.socket.makefile("rb")

    def send(self, method: str, body: str) -> None:
        head = f"{method} / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        self.socket.sendall(head.encode() + body.encode())

    def answer(self) -> tuple[int, str]:
        status, length = int(self.file.readline().split()[1]), 0
        while line := self.file.readline().strip():
            name, _, value = line.lower().partition(b": ")
            length = int(value) if name == b"content-length" else length
        return status, self.file.read(length).decode()

    def get(self, type: str, checksum: Checksum, **fields: Any) -> tuple[int, str]:
        self.send("GET", request(type, checksum.hex(), **fields))
        return self.answer()

    def put(self, type: str, checksum: Checksum, **fields: Any) -> tuple[int, str]:
        self.send("PUT", request(type, checksum.hex(), **fields))
        return self.answer()


Connect = Callable[[Server], Line]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Return connect(server): a connection that is closed at the end of the test."""
    with contextlib.ExitStack() as stack:

        def connected(server: Server) -> Line:
            line = Line(server)
            stack.callback(line.socket.close)
            stack.callback(line.file.close)
            return line

        yield connected


@pytest.fixture
def line(server: Server, connect: Connect) -> Line:
    """Return a connection to a writable server of a new database."""
    return connect(server)


def test_what_was_written_is_found_at_once(line: Line) -> None:
    for number in range(50):
        name, result = Checksum.of(b"%d" % number), Checksum.of(b"result %d" % number)
        assert line.get("transformation", name) == (404, "ERROR: Unknown key")
        assert line.put("transformation", name, value=result.hex()) == (200, "OK")
        assert line.get("transformation", name) == (200, result.hex())


def test_a_second_result_is_noted_with_its_sender(line: Line, database: Path) -> None:
    for result in (A, B, A):
        assert line.put("transformation", TF, value=result.hex()) == (200, "OK")
    assert line.get("transformation", TF) == (200, A.hex())
    connection = sqlite3.connect(database)
    assert connection.execute("SELECT result, client FROM transformation_conflict").fetchall() == [
        (B.hex(), "127.0.0.1")
    ]
    connection.close()


def test_a_record_is_written_and_its_refusal_told(line: Line) -> None:
    record = {"schema_version": 1, "tf_checksum": TF.hex(), "result_checksum": A.hex()}
    for _ in range(2):
        assert line.put("metadata", TF, result=A.hex(), value=record) == (200, "OK")
    other = line.put("metadata", TF, result=A.hex(), value={**record, "x": 1})
    assert other == (409, "ERROR: Execution record already exists with different metadata")
    assert line.get("metadata", TF) == (200, json.dumps(record))


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize(
    "body",
    ["", "{", '{"type": }', "[]", "1", '"a"', '{"type": 1}', '{"type": "transformation", "checksum": "ab"}', "{}x"],
)
def test_a_malformed_request_is_refused(line: Line, method: str, body: str) -> None:
    line.send(method, body)
    assert line.answer() == (400, "ERROR: Malformed request")


def test_blanks_around_a_request_do_not_matter(line: Line) -> None:
    line.send("PUT", f" \n{request('transformation', TF.hex(), value=A.hex())}\n ")
    assert line.answer() == (200, "OK")


def test_a_write_waits_for_another_program_and_lookups_go_on(line: Line, server: Server, database: Path) -> None:
    assert line.put("transformation", TF, value=A.hex()) == (200, "OK")
    other = sqlite3.connect(database, isolation_level=None, timeout=DEADLINE)
    other.execute("BEGIN IMMEDIATE")
    line.send("PUT", request("transformation", B.hex(), value=A.hex()))
    for _ in range(3):
        assert server.get("transformation", TF.hex()) == (200, A.hex())
    assert server.get("transformation", B.hex()).status == 404
    other.execute("COMMIT")
    other.close()
    assert line.answer() == (200, "OK")
    assert line.get("transformation", B) == (200, A.hex())


def test_what_another_server_writes_is_found_at_once(
    line: Line, connect: Connect, start: Start, database: Path
) -> None:
    second = connect(start("--writable", database))
    for number in range(20):
        name = Checksum.of(b"%d" % number)
        assert line.get("transformation", name)[0] == 404
        assert second.put("transformation", name, value=A.hex()) == (200, "OK")
        assert line.get("transformation", name) == (200, A.hex())


def test_a_read_only_server_refuses_writes(line: Line, connect: Connect, start: Start, database: Path) -> None:
    assert line.put("transformation", TF, value=A.hex()) == (200, "OK")
    reading = connect(start(database))
    assert reading.put("transformation", TF, value=A.hex()) == (405, "ERROR: Database server is read-only")
    assert reading.get("transformation", TF) == (200, A.hex())


def test_nothing_acknowledged_is_lost_when_the_server_is_killed(line: Line, server: Server, database: Path) -> None:
    enough, acknowledged = 300, 0
    for number in range(enough):
        acknowledged += line.put("transformation", Checksum.of(b"%d" % number), value=A.hex()) == (200, "OK")
    server.process.kill()
    server.process.wait(DEADLINE)
    connection = sqlite3.connect(database)
    assert connection.execute("SELECT count(*) FROM transformation").fetchone() == (acknowledged,) == (enough,)
    connection.close()


# --- the writer ------------------------------------------------------------------------------------


class Fake:
    """Notes in which thread what is written. `now`: what `write_now` returns, None if it cannot."""

    def __init__(self, *, quick: bool = True):
        self.quick, self.refuses = quick, False
        self.here: list[int] = []  # sizes of the groups that were written in the event loop
        self.there: list[int] = []

    def write_now(self, writes: list[Write]) -> list[Outcome] | None:
        if self.refuses:
            return None
        self.here.append(len(writes))
        return [None] * len(writes)

    def write_all(self, writes: list[Write]) -> list[Outcome]:
        assert threading.current_thread().name == "SeamlessDatabaseWriter"
        self.there.append(len(writes))
        return [None] * len(writes)

    def close(self) -> None:
        """Nothing is open."""


async def put(writer: Writer, count: int = 1) -> None:
    """Put small writes; return when all are done."""
    done = [asyncio.get_running_loop().create_future() for _ in range(count)]
    for future in done:
        writer.put(SetResult(TF, A), future.set_result)
        assert not future.done()
    await asyncio.gather(*done)


async def test_the_first_group_is_written_by_the_thread_and_small_ones_then_at_once() -> None:
    fake: Any = Fake()
    writer = Writer(fake)
    await put(writer)
    for size in (1, 5, 100, 101):
        await put(writer, size)
    await writer.close()
    assert (fake.there, fake.here) == ([1, 101], [1, 5, 100])


async def test_what_may_be_large_is_written_by_the_thread_with_what_came_along() -> None:
    fake: Any = Fake()
    writer = Writer(fake)
    await put(writer)
    few = asyncio.ensure_future(put(writer, 2))
    await asyncio.sleep(0)
    await asyncio.gather(few, writer.submit(SetResult(TF, A)))
    await writer.close()
    assert (fake.there, fake.here) == ([1, 3], [])


async def test_while_another_process_holds_the_file_the_thread_waits() -> None:
    fake: Any = Fake()
    writer = Writer(fake)
    await put(writer)
    fake.refuses = True
    await put(writer, 3)
    await writer.close()
    assert (fake.there, fake.here) == ([1, 3], [])


async def test_without_a_log_the_thread_writes() -> None:
    fake: Any = Fake(quick=False)
    writer = Writer(fake)
    await put(writer, 2)
    await put(writer, 3)
    await writer.close()
    assert (fake.there, fake.here) == ([2, 3], [])


async def test_the_thread_has_its_turn_after_many_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seamless.services.database.writer._QUICK_WRITES", 10)
    fake: Any = Fake()
    writer = Writer(fake)
    for _ in range(5):
        await put(writer, 5)
    await writer.close()
    assert (fake.there, fake.here) == ([5, 5], [5, 5, 5])


async def test_a_slow_disk_is_left_to_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(100))
    monkeypatch.setattr("seamless.services.database.writer.monotonic", lambda: float(next(times)))
    fake: Any = Fake()
    writer = Writer(fake)
    for _ in range(3):
        await put(writer)
    await writer.close()
    assert (fake.there, fake.here) == ([1, 1], [1])


def test_a_refused_member_of_a_group_spares_the_others_at_once(tmp_path: Path) -> None:
    database = WritingDatabase(str(tmp_path / "seamless.db"))
    assert not database.quick  # not yet known
    assert database.write_all([SetResult(TF, A)]) == [None]
    assert database.quick
    outcomes = database.write_now([SetResult(B, A), SetResult(TF, B), SetResult(A, B)])
    assert outcomes is not None and [outcome is None for outcome in outcomes] == [True, False, True]
    assert database.get_results([TF, B, A]) == [A, A, B]
    database.close()


def test_a_write_that_would_have_to_wait_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "seamless.db"
    database = WritingDatabase(str(path))
    database.write_all([SetResult(TF, A)])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert database.write_now([SetResult(B, A)]) is None
    other.execute("COMMIT")
    other.close()
    assert database.get_result(B) is None
    assert database.write_now([SetResult(B, A)]) == [None]
    database.close()


# --- several in one -------------------------------------------------------------------------------

HOLDER = {"id": "me", "pid": 1, "host": "here"}


def batch(line: Line, method: str, *members: str) -> list[Any]:
    line.send(method, '{"type": "batch", "requests": [' + ", ".join(members) + "]}")
    status, text = line.answer()
    assert status == 200, text
    return json.loads(text)


def claim(tf: Checksum, who: str = "me", **fields: Any) -> str:
    return request("claim", tf.hex(), value={**HOLDER, "id": who}, seconds=30, **fields)


def record(tf: Checksum, result: Checksum, **more: Any) -> str:
    value = {"schema_version": 1, "tf_checksum": tf.hex(), "result_checksum": result.hex(), **more}
    return request("metadata", tf.hex(), result=result.hex(), value=value, told=True)


def test_several_claims_are_answered_each_for_itself(line: Line) -> None:
    line.put("transformation", TF, value=A.hex())
    other = Checksum.of(b"other")
    answers = [json.loads(text) for _, text in batch(line, "PUT", claim(TF), claim(other))]
    assert [(a["claimed"], a["result"]) for a in answers] == [(False, A.hex()), (True, None)]
    ((_, text),) = batch(line, "PUT", claim(other, "another"))
    assert json.loads(text) == {"claimed": False, "result": None, "holder": HOLDER}


def test_a_claim_of_a_known_result_is_given_to_who_wants_it_despite(line: Line) -> None:
    line.put("transformation", TF, value=A.hex())
    ((_, text),) = batch(line, "PUT", claim(TF, despite=True))
    assert json.loads(text)["claimed"] is True


def test_results_and_records_are_written_together_and_end_the_claims(line: Line) -> None:
    other = Checksum.of(b"other")
    batch(line, "PUT", claim(TF), claim(other))
    assert batch(line, "PUT", record(TF, A), record(other, B)) == [[200, "KEPT"], [200, "KEPT"]]
    names = [request("transformation", tf.hex()) for tf in (TF, other, A)]
    assert batch(line, "GET", *names) == [[200, A.hex()], [200, B.hex()], [404, "ERROR: Unknown key"]]
    ((_, text),) = batch(line, "PUT", claim(TF, "another", despite=True))
    assert json.loads(text)["claimed"] is True


def test_a_record_of_another_result_spoils_nothing_else(line: Line) -> None:
    line.put("transformation", TF, value=B.hex())
    refused, kept = batch(line, "PUT", record(TF, A), record(A, B))
    assert refused == [409, "ERROR: Transformation result does not match execution record result"]
    assert kept == [200, "KEPT"]


def test_a_malformed_member_is_refused_and_the_others_are_not(line: Line) -> None:
    refused, kept = batch(line, "PUT", '{"type": "metadata", "checksum": "zz"}', record(TF, A))
    assert (refused[0], kept) == (400, [200, "KEPT"])
    refused, found = batch(line, "GET", '{"type": "transformation"}', request("transformation", TF.hex()))
    assert (refused[0], found) == (400, [200, A.hex()])
    refused, given = batch(line, "PUT", '{"type": "claim"}', claim(A))
    assert (refused[0], json.loads(given[1])["claimed"]) == (400, True)
