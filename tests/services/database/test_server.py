"""The life of the server: start, refusal to start, token, idle timeout, signals, several servers."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from seamless.checksum import Checksum
from seamless.stores.database import ResultDatabase

from .conftest import DEADLINE, Server, Start, request, until

TF, TF2, A, B = (Checksum.of(name).hex() for name in (b"tf", b"tf2", b"a", b"b"))
OK = (200, "OK")
UNKNOWN = (404, "ERROR: Unknown key")


def fields(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.fixture
def status_file(tmp_path: Path) -> Path:
    """Return a status file as a launcher writes it."""
    path = tmp_path / "status.json"
    path.write_text('{"pid": 1, "workdir": "x", "launch_id": "abc"}')
    return path


# --- start ----------------------------------------------------------------------------------------


def test_the_line_of_a_launcher_is_accepted(start: Start, database: Path, status_file: Path) -> None:
    line = ["--port-range", "50000", "60000", "--status-file", status_file, "--host", "127.0.0.1", "--timeout", "600"]
    server = start(*line, "--writable", database)
    until(lambda: fields(status_file).get("status") == "running", "the status")
    found = fields(status_file)
    assert (found["pid"], found["workdir"], found["port"]) == (1, "x", server.port)
    assert 50000 <= server.port <= 60000
    assert stat.S_IMODE(status_file.stat().st_mode) == 0o600
    token = {"Authorization": f"Bearer {found['token']}"}
    assert server.request("PUT", request("transformation", TF, value=A), **token) == OK
    assert server.request("GET", path="/status", **token).json()["launch_id"] == "abc"


def test_quick_answers_name_the_launch_as_well(start: Start, database: Path, status_file: Path) -> None:
    server = start("--status-file", status_file, "--insecure", "--writable", database)
    answers = [server.get("protocol"), server.put("transformation", TF, value=A), server.get("transformation", B)]
    assert [answer.headers["X-Seamless-Launch-Id"] for answer in answers] == ["abc"] * 3


def test_a_request_without_the_token_is_refused(start: Start, database: Path) -> None:
    server = start("--writable", database, env={"SEAMLESS_TOKEN": "secret"})
    refused = (401, "ERROR: Unauthorized")
    assert server.get("protocol") == refused
    assert server.put("transformation", TF, value=A) == refused
    assert server.request("GET", path="/status") == refused
    for wrong in ("Bearer wrong", "Bearer", "secret", "Bearer secretsecret"):
        assert server.request("GET", request("protocol"), Authorization=wrong) == refused
    assert server.request("GET", request("protocol"), Authorization="Bearer secret").status == 200
    assert server.request("GET", request("transformation", TF), Authorization="Bearer secret") == UNKNOWN
    assert server.request("GET", path="/healthcheck") == OK


def legacy(path: Path) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("CREATE TABLE meta_data (checksum CHAR(64) PRIMARY KEY, metadata TEXT)")
        connection.execute("INSERT INTO meta_data VALUES (?, ?)", (TF, "{}"))
    connection.close()


def unrelated(path: Path) -> None:
    path.write_bytes(b"this is no database, but a text that is long enough to be one" * 100)


def directory(path: Path) -> None:
    path.mkdir()


def nothing(path: Path) -> None:
    path.parent.rmdir()


@pytest.mark.parametrize(
    ("prepare", "arguments", "complaint"),
    [
        (legacy, ["--writable"], "legacy, non-empty"),
        (legacy, [], "legacy, non-empty"),
        (unrelated, ["--writable"], "is damaged"),
        (unrelated, [], "is damaged"),
        (directory, ["--writable"], "cannot"),
        (nothing, ["--writable"], "there is no directory"),
        (lambda path: None, [], "there is no database"),
        (lambda path: None, ["--migrate"], "give --writable"),
        (lambda path: None, ["--writable", "--timeout", "0"], "--timeout"),
        (lambda path: None, ["--writable", "--max-body", "x"], "--max-body"),
    ],
)
def test_what_cannot_be_served_is_said_at_once(
    spawn: Any, database: Path, status_file: Path, prepare: Any, arguments: list[str], complaint: str
) -> None:
    prepare(database)
    process, log = spawn(*arguments, "--status-file", status_file, database)
    assert process.wait(DEADLINE) in (1, 2)
    text = log.read_text()
    assert complaint in text and "Traceback" not in text
    assert fields(status_file)["status"] == "failed"
    assert fields(status_file)["workdir"] == "x"


def test_a_file_that_may_not_be_written_is_not_served_as_writable(spawn: Any, database: Path, require: Any) -> None:
    require(os.geteuid() == 0, "immutable files need root")
    ResultDatabase(database).close()
    mount = ["mount", "--bind", str(database.parent), str(database.parent)]
    require(subprocess.run(mount, check=False, capture_output=True).returncode == 0, "mounting is not permitted here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(database.parent)], check=True, capture_output=True)
        process, log = spawn("--writable", database)
        assert process.wait(DEADLINE) == 1
        assert "make it writable, or leave out --writable" in log.read_text()
    finally:
        subprocess.run(["umount", str(database.parent)], check=True)


def test_a_port_in_use_is_a_failed_start(spawn: Any, database: Path, status_file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process, log = spawn("--writable", "--port", port, "--status-file", status_file, database)
        assert process.wait(DEADLINE) == 1
    assert port in log.read_text()
    assert fields(status_file)["status"] == "failed"


# --- read-only ------------------------------------------------------------------------------------


def test_a_read_only_server_reads_and_does_not_write(start: Start, database: Path) -> None:
    store = ResultDatabase(database)
    store.set_result(Checksum(TF), Checksum(A))
    store.close()
    server = start(database)
    assert server.get("transformation", TF) == (200, A)
    assert server.get("rev_transformations", A) == (200, json.dumps([TF]))
    refused = (405, "ERROR: Database server is read-only")
    assert server.put("transformation", TF2, value=A) == refused
    assert server.request("PUT", b"not even JSON") == refused
    assert server.request("DELETE").headers["Allow"] == "GET"
    assert server.get("transformation", TF2) == UNKNOWN
    assert server.stop() == 0


def test_a_read_only_server_sees_what_another_one_writes(start: Start, database: Path) -> None:
    writer = start("--writable", database)
    reader = start(database)
    assert reader.get("transformation", TF) == UNKNOWN
    assert writer.put("transformation", TF, value=A) == OK
    assert reader.get("transformation", TF) == (200, A)
    assert reader.get("rev_transformations", A) == (200, json.dumps([TF]))


def test_a_read_only_server_sees_an_exchanged_file(start: Start, database: Path, tmp_path: Path) -> None:
    for path, result in ((database, A), (tmp_path / "new.db", B)):
        store = ResultDatabase(path)
        store.set_result(Checksum(TF), Checksum(result))
        store.close()
    server = start(database)
    assert server.get("transformation", TF) == (200, A)
    os.replace(tmp_path / "new.db", database)
    until(lambda: server.get("transformation", TF) == (200, B), "the new file")


# --- the end --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_in_order(server: Server, database: Path, number: int) -> None:
    assert server.put("transformation", TF, value=A) == OK
    assert server.stop(number) == 0
    assert "Traceback" not in server.log.read_text()
    assert sorted(p.name for p in database.parent.iterdir()) == ["seamless.db"]


def test_an_idle_server_ends(start: Start, database: Path) -> None:
    server = start("--writable", "--timeout", "0.2", database)
    assert server.process.wait(DEADLINE) == 0


def test_a_request_in_progress_keeps_it_alive(start: Start, database: Path) -> None:
    server = start("--writable", "--timeout", "0.2", database)
    body = request("transformation", TF, value=A).encode()
    connection = server.connect()
    connection.putrequest("PUT", "/")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body[:10])
    with pytest.raises(subprocess.TimeoutExpired):
        server.process.wait(1.5)
    connection.send(body[10:])
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b"OK")
    connection.close()
    assert server.process.wait(DEADLINE) == 0


# --- limits and neighbours ------------------------------------------------------------------------


def test_a_request_beyond_the_limit_is_refused(start: Start, database: Path) -> None:
    server = start("--writable", "--max-body", "1000", database)
    text = request("buffer_info", A, value={"x": "y" * 2000})
    assert server.request("PUT", text).status == 413
    connection = server.connect()
    connection.request("PUT", "/", iter([text.encode()]), {"Transfer-Encoding": "chunked"}, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()
    server.close()
    assert server.get("buffer_info", A) == UNKNOWN


def test_a_large_record_does_not_hold_up_others(server: Server) -> None:
    value = {"schema_version": 1, "tf_checksum": TF, "result_checksum": A, "text": "x" * (8 << 20)}
    assert server.put("metadata", TF, result=A, value=value) == OK
    assert server.get("metadata", TF).json() == value


def test_a_client_that_goes_away_harms_nobody(server: Server) -> None:
    body = request("transformation", TF, value=A).encode()
    for length in (0, 10, len(body) - 1):
        with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE) as s:
            s.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:length])
    assert server.get("transformation", TF) == UNKNOWN
    assert "Traceback" not in server.log.read_text()


def test_while_another_program_writes_reads_go_on_and_writes_wait(server: Server, database: Path) -> None:
    assert server.put("transformation", TF, value=A) == OK
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO transformation (checksum, result) VALUES (?, ?)", (TF2, B))
    connection = server.connect()
    connection.request("PUT", "/", request("transformation", B, value=A))
    assert server.get("transformation", TF) == (200, A)
    assert server.get("rev_transformations", A) == (200, json.dumps([TF]))
    assert server.get("transformation", TF2) == UNKNOWN
    other.execute("COMMIT")
    other.close()
    assert connection.getresponse().status == 200
    connection.close()
    assert server.get("transformation", TF2) == (200, B)
    assert server.get("transformation", B) == (200, A)


def test_a_second_writing_server_says_so_and_works(start: Start, database: Path) -> None:
    first, second = start("--writable", database), start("--writable", database)
    assert f"pid {first.process.pid} on" in second.log.read_text()
    assert first.put("transformation", TF, value=A) == OK
    assert second.put("transformation", TF2, value=B) == OK
    assert first.get("transformation", TF2) == (200, B)
    assert second.get("transformation", TF) == (200, A)
    assert second.stop() == 0
    assert first.put("transformation", B, value=B) == OK


def test_a_file_of_the_reference_is_served(start: Start, database: Path) -> None:
    from seamless.stores import schema

    connection = sqlite3.connect(database)
    with connection:
        for statement in schema.statements():
            if not any(table in statement for table in schema.OURS):
                connection.execute(statement)
        connection.execute("INSERT INTO transformation VALUES (?, ?)", (TF, A))
        connection.executemany("INSERT INTO rev_transformation (result, checksum) VALUES (?, ?)", [(A, TF), (A, TF)])
    connection.close()
    server = start("--writable", database)
    assert server.get("transformation", TF) == (200, A)
    assert server.get("rev_transformations", A) == (200, json.dumps([TF]))
    assert server.put("transformation", TF, value=B) == OK
    assert server.get("transformation", TF) == (200, A)


# --- what it tells --------------------------------------------------------------------------------


def test_the_status_counts(server: Server, database: Path) -> None:
    server.put("transformation", TF, value=A)
    server.put("transformation", TF, value=B)
    server.get("transformation", TF)
    server.get("transformation", TF2)
    found = server.request("GET", path="/status").json()
    assert found["database"] == str(database)
    assert (found["writable"], found["strict"], found["protocol"]) == (True, False, ["seamless", "database", "2.2"])
    assert (found["hits"], found["misses"], found["writes"], found["conflicts"]) == (1, 1, 2, 1)
    assert found["size_bytes"] > 0


def test_the_metrics_count(server: Server) -> None:
    server.put("transformation", TF, value=A)
    server.get("transformation", TF)
    text = server.request("GET", path="/metrics").text
    assert "seamless_database_hits_total 1.0" in text
    assert "seamless_database_writes_total 1.0" in text
    assert 'seamless_database_requests_total{method="PUT",status="200"} 1.0' in text


def test_the_server_describes_itself(server: Server, start: Start, database: Path) -> None:
    found = server.request("GET", path="/openapi.json").json()
    assert found["openapi"].startswith("3.") and set(found["paths"]["/"]) == {"get", "put"}
    reader = start(database)
    assert set(reader.request("GET", path="/openapi.json").json()["paths"]["/"]) == {"get"}


def test_who_asks_is_told_which_result_is_kept_and_others_are_told_ok(server: Server) -> None:
    assert server.put("transformation", TF, value=A, told=True) == (200, "KEPT")
    assert server.put("transformation", TF, value=A, told=True) == (200, "KEPT")
    assert server.put("transformation", TF, value=B, told=True) == (200, "KEPT ANOTHER")
    assert server.put("transformation", TF, value=B) == OK
    assert server.get("transformation", TF) == (200, A)
