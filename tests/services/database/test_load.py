"""Many clients at once, a killed server, a full disk, and requests that nobody would send."""

from __future__ import annotations

import json
import queue
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seamless.checksum import Checksum
from tests.helpers import disk

from .conftest import DEADLINE, Answer, Server, Start, request

OK = (200, "OK")


def sha(text: str) -> str:
    return Checksum.of(text.encode()).hex()


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run work(0) to work(count - 1), each in a thread; raise what one of them raises."""
    errors: queue.SimpleQueue[BaseException] = queue.SimpleQueue()

    def guarded(i: int) -> None:
        try:
            work(i)
        except BaseException as exc:  # noqa: BLE001 - carried to the test
            errors.put(exc)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    if not errors.empty():
        raise errors.get()


def ask(connection: Any, method: str, body: str) -> Answer:
    connection.request(method, "/", body)
    return Answer(connection.getresponse())


def assert_whole(database: Path) -> None:
    connection = sqlite3.connect(database)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    missing = "SELECT checksum, result FROM transformation EXCEPT SELECT checksum, result FROM rev_transformation"
    assert connection.execute(missing).fetchall() == []
    connection.close()


def test_many_clients_write_and_read_at_once(server: Server) -> None:
    def client(i: int) -> None:
        connection = server.connect()
        for j in range(20):
            name, result = sha(f"{i} {j}"), sha(f"result {i} {j}")
            assert ask(connection, "PUT", request("transformation", name, value=result)) == OK
            assert ask(connection, "GET", request("transformation", name)) == (200, result)
            value = {"schema_version": 1, "tf_checksum": name, "result_checksum": result, "i": i}
            assert ask(connection, "PUT", request("metadata", name, result=result, value=value)) == OK
            assert ask(connection, "GET", request("metadata", name)) == (200, json.dumps(value))
            assert ask(connection, "GET", request("rev_transformations", result)) == (200, json.dumps([name]))
        connection.close()

    in_threads(50, client)
    status = server.request("GET", path="/status").json()
    assert status["writes"] == 2000
    assert status["transactions"] < 2000


def test_of_many_different_results_exactly_one_is_kept(server: Server, database: Path) -> None:
    def client(i: int) -> None:
        connection = server.connect()
        assert ask(connection, "PUT", request("transformation", sha("tf"), value=sha(str(i)))) == OK
        connection.close()

    in_threads(30, client)
    kept = server.get("transformation", sha("tf")).text
    connection = sqlite3.connect(database)
    refused = {r for (r,) in connection.execute("SELECT result FROM transformation_conflict")}
    connection.close()
    assert refused | {kept} == {sha(str(i)) for i in range(30)}
    assert kept not in refused


def test_a_refused_write_does_not_harm_those_that_came_with_it(server: Server) -> None:
    good = [{"type": "transformation", "checksum": sha(str(i)), "value": sha("r")} for i in range(10)]
    record = {"schema_version": 1, "tf_checksum": sha("0"), "result_checksum": sha("x")}
    bad = [
        {"type": "metadata", "checksum": sha("0"), "result": sha("x"), "value": record},
        {"type": "irreproducible", "checksum": sha("1"), "result": sha("x")},
        {"type": "metadata", "checksum": sha("2"), "result": sha("r"), "value": {}},
    ]
    answers = server.put("batch", requests=[*good[:5], *bad, *good[5:]]).json()
    assert [status for status, _ in answers] == [200] * 5 + [409, 404, 400] + [200] * 5
    for write in good:
        assert server.get("transformation", write["checksum"]) == (200, sha("r"))


def test_nothing_acknowledged_is_lost_when_the_server_is_killed(start: Start, database: Path) -> None:
    acknowledged: list[tuple[str, str]] = []
    for kill in range(4):
        server = start("--writable", database)
        enough = threading.Semaphore(0)

        def client(i: int, server: Server = server, kill: int = kill, enough: Any = enough) -> None:
            connection = server.connect()
            try:
                for j in range(100_000):
                    pair = sha(f"{kill} {i} {j}"), sha(f"result {j}")
                    if ask(connection, "PUT", request("transformation", pair[0], value=pair[1])) == OK:
                        acknowledged.append(pair)
                        enough.release()
            except OSError:
                return  # killed
            except Exception as exc:  # noqa: BLE001 - of http.client, whose answer was cut off
                assert "http.client" in type(exc).__module__
            finally:
                connection.close()

        threads = [threading.Thread(target=client, args=(i,)) for i in range(10)]
        for thread in threads:
            thread.start()
        for _ in range(100 + 137 * kill):
            assert enough.acquire(timeout=DEADLINE)
        server.process.kill()
        for thread in threads:
            thread.join(DEADLINE)
    server = start("--writable", database)
    lost = [pair for pair in acknowledged if server.get("transformation", pair[0]) != (200, pair[1])]
    assert len(acknowledged) > 1000 and lost == []
    assert server.stop() == 0
    assert_whole(database)


@pytest.fixture
def small_disk(tmp_path: Path, require: Any) -> Iterator[Path]:
    """Return a file system of 2 MiB."""
    with disk.small_disk(tmp_path, require, 2) as place:
        yield place


def test_on_a_full_disk_writes_are_refused_and_reads_go_on(start: Start, small_disk: Path) -> None:
    database = small_disk / "seamless.db"
    server = start("--writable", database)
    stored, full = [], None
    for i in range(1000):
        full = server.put("buffer_info", sha(str(i)), value={"x": "y" * 20_000})
        if full.status != 200:
            break
        stored.append(sha(str(i)))
    assert full is not None and full.status == 507
    assert str(small_disk) in full.text and full.text.startswith("ERROR: ")
    assert stored
    for name in stored:
        assert server.get("buffer_info", name).status == 200
    assert server.get("buffer_info", sha("other")).status == 404
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    assert server.put("transformation", sha("after"), value=sha("r")) == OK
    assert server.stop() == 0
    assert_whole(database)


# --- nonsense -------------------------------------------------------------------------------------

TYPES = [
    "protocol", "transformation", "rev_transformations", "metadata", "irreproducible", "buffer_info", "expression",
    "semantic_to_syntactic", "syntactic_to_semantic", "rev_expression", "bucket_probe", "batch",
]  # fmt: skip
FIELDS = [
    "checksum", "value", "result", "celltype", "subcelltype", "path", "target_celltype", "bucket_kind", "label",
    "bucket_checksum", "captured_at", "freshness_tokens", "requests",
]  # fmt: skip
likely = st.sampled_from([sha("a"), sha("b"), "mixed", "node", "", [], {}, 0, -1, True, None, "\ud800", 1 << 70, 1e308])
anything = st.recursive(
    likely | st.text(st.characters()) | st.floats(allow_nan=False) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
requests_ = st.builds(
    lambda kind, fields: {"type": kind, **fields},
    st.sampled_from(TYPES),
    st.dictionaries(st.sampled_from(FIELDS), anything, max_size=6),
)
bounded = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@bounded
@given(method=st.sampled_from(["GET", "PUT"]), body=requests_.map(json.dumps) | anything.map(json.dumps) | st.binary())
def test_no_request_is_the_fault_of_the_server(refusing: Server, method: str, body: str | bytes) -> None:
    answer = refusing.request(method, body)
    assert answer.status in (200, 400, 404, 409), answer
    assert answer.status == 200 or answer.text.startswith("ERROR: ")


@bounded
@given(st.binary(max_size=200))
def test_no_bytes_end_the_server(refusing: Server, data: bytes) -> None:
    import socket

    with socket.create_connection(("127.0.0.1", refusing.port), timeout=DEADLINE) as s:
        s.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\n" + data)
        s.shutdown(socket.SHUT_WR)
        while s.recv(4096):
            pass
    assert refusing.get("protocol").status == 200


def test_requests_made_from_the_description_never_fail_the_server(refusing: Server, require: Any) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    description = refusing.request("GET", path="/openapi.json").json()
    schema = schemathesis.openapi.from_dict(description)
    accepted = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        strategy = operation.as_strategy()

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=strategy)
        def sound(case: Any) -> None:
            nonlocal accepted
            body = "" if case.media_type is None else json.dumps(case.body)
            answer = refusing.request(case.method.upper(), body, case.operation.path)
            assert answer.status < 500, (body, answer)
            accepted += answer.status in (200, 404)

        sound()
    assert accepted > 50
