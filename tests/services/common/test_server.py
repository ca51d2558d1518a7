"""A server process: how it starts, what it tells its launcher, and how it ends."""

from __future__ import annotations

import http.client
import json
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Start = Callable[..., Any]
WaitFor = Callable[[Callable[[], Any]], Any]


def fields(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_text())
    assert isinstance(value, dict)
    return value


# --- status file ----------------------------------------------------------------------------------


def test_the_status_file_tells_port_and_token_and_keeps_what_was_there(start: Start, status_file: Path) -> None:
    server = start("--status-file", status_file)
    port = server.port
    found = fields(status_file)
    assert found == {"pid": 1, "workdir": "x", "port": port, "token": found["token"], "status": "running"}
    assert server.request("/x", headers={"Authorization": f"Bearer {found['token']}"}).status == 200


def test_the_status_file_with_a_token_is_for_its_owner_only(start: Start, status_file: Path) -> None:
    status_file.chmod(0o644)
    _ = start("--status-file", status_file).port
    assert status_file.stat().st_mode & 0o777 == 0o600


def test_the_status_file_is_one_line(start: Start, status_file: Path) -> None:
    _ = start("--status-file", status_file).port
    assert status_file.read_text().count("\n") == 1
    assert not status_file.with_name("status.json.tmp").exists()


def test_an_insecure_server_writes_no_token(start: Start, status_file: Path) -> None:
    server = start("--status-file", status_file, "--insecure")
    assert server.request("/x").status == 200
    assert "token" not in fields(status_file)


def test_a_status_file_that_is_written_late_is_found(start: Start, tmp_path: Path, wait_for: WaitFor) -> None:
    path = tmp_path / "late.json"
    start("--status-file", path)
    path.write_text('{"pid"')  # a launcher that does not write it in one step
    path.write_text('{"pid": 5}')
    assert wait_for(lambda: "port" in fields(path))


def test_a_status_file_that_holds_a_list_ends_the_server_at_once(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_text("[]")
    server = start("--status-file", path)
    assert server.wait() == 1
    assert "does not hold a JSON object" in server.log
    assert path.read_text() == "[]"


@pytest.mark.parametrize("phase", ["make", "start"])
def test_a_failed_start_is_told_with_its_reason(start: Start, status_file: Path, phase: str) -> None:
    server = start("--status-file", status_file, PROBE_FAILS=phase)
    assert server.wait() == 1
    found = fields(status_file)
    assert (found["status"], found["error"], found["workdir"]) == ("failed", "no such directory: /nowhere", "x")
    assert "port" not in found
    assert "no such directory: /nowhere" in server.log
    assert "Traceback" not in server.log


@pytest.mark.parametrize(
    "wrong",
    [
        ("--port-range", "20000", "10000"),
        ("--port-range", "1", "70000"),
        ("--port", "70000"),
        ("--timeout", "0"),
        ("--timeout", "nan"),
        ("--timeout", "soon"),
        ("--port", "1", "--port-range", "1", "2"),
        ("--nonsense",),
    ],
)
def test_a_mistake_in_the_options_is_a_failed_start(start: Start, status_file: Path, wrong: tuple[str, ...]) -> None:
    server = start("--status-file", status_file, *wrong)
    assert server.wait() == 2
    assert fields(status_file)["status"] == "failed"
    assert "Traceback" not in server.log


def test_a_port_in_use_is_a_failed_start(start: Start, status_file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = start("--status-file", status_file, "--port", port)
        assert server.wait() == 1
    assert fields(status_file)["status"] == "failed"
    assert f"cannot listen on 127.0.0.1 port {port}" in server.log


def test_an_exhausted_range_is_named(start: Start, status_file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = start("--status-file", status_file, "--port-range", port, port)
        assert server.wait() == 1
    assert f"No free port available in range {port}-{port}" in fields(status_file)["error"]


def test_a_host_that_is_not_ours_is_a_failed_start(start: Start, status_file: Path) -> None:
    server = start("--status-file", status_file, "--host", "192.0.2.1")
    assert server.wait() == 1
    assert "cannot listen on 192.0.2.1" in fields(status_file)["error"]


def test_after_an_orderly_end_the_status_file_says_so(start: Start, status_file: Path) -> None:
    server = start("--status-file", status_file)
    port = server.port
    server.popen.terminate()
    assert server.wait() == 0
    found = fields(status_file)
    assert (found["status"], found["exit_reason"], found["port"]) == ("stale", "received SIGTERM", port)


def test_the_status_file_of_the_next_launch_is_left_alone(start: Start, status_file: Path) -> None:
    server = start("--status-file", status_file)
    _ = server.port
    status_file.write_text('{"pid": 2, "status": "starting"}')
    server.popen.terminate()
    assert server.wait() == 0
    assert fields(status_file) == {"pid": 2, "status": "starting"}


def test_a_status_file_that_was_taken_away_is_not_made_again(start: Start, status_file: Path) -> None:
    server = start("--status-file", status_file)
    _ = server.port
    status_file.unlink()
    server.popen.terminate()
    assert server.wait() == 0
    assert not status_file.exists()


# --- token ----------------------------------------------------------------------------------------


def test_without_the_token_nothing_but_the_health_check_is_answered(start: Start, status_file: Path) -> None:
    server = start("--status-file", status_file)
    assert server.request("/healthcheck")[:2] == (200, b"OK")
    for path in ("/x", "/status", "/metrics"):
        answer = server.request(path)
        assert answer[:2] == (401, b"ERROR: Unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_token_file_is_made_and_used(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "token"
    server = start("--token-file", path)
    assert server.request("/x").status == 401
    assert path.stat().st_mode & 0o777 == 0o600
    assert server.request("/x", headers={"Authorization": f"Bearer {path.read_text().strip()}"}).status == 200


def test_the_token_may_come_from_the_environment(start: Start) -> None:
    server = start(SEAMLESS_TOKEN="abc")
    assert server.request("/x").status == 401
    assert server.request("/x", headers={"Authorization": "Bearer abc"}).status == 200


def test_on_the_loopback_interface_a_server_may_ask_for_no_token_and_says_so(start: Start) -> None:
    server = start()
    assert server.request("/x").status == 200
    assert server.log.count("no token is asked for") == 1


def test_other_machines_are_not_let_in_without_a_token(start: Start) -> None:
    server = start("--host", "0.0.0.0")
    assert server.wait() == 1
    assert "--token-file" in server.log


def test_insecure_is_taken_at_its_word(start: Start) -> None:
    server = start("--host", "0.0.0.0", "--insecure")
    assert server.request("/x").status == 200
    assert "no token" not in server.log


def test_the_token_is_not_logged(start: Start, status_file: Path) -> None:
    server = start("--status-file", status_file, "--access-log")
    _ = server.port
    token = fields(status_file)["token"]
    server.request("/x", headers={"Authorization": f"Bearer {token}"})
    server.popen.terminate()
    server.wait()
    assert token not in server.log
    assert "GET /x 200" in server.log


# --- life -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_an_orderly_end(start: Start, number: signal.Signals) -> None:
    server = start()
    assert server.request("/x").status == 200
    server.popen.send_signal(number)
    assert server.wait() == 0
    assert "Traceback" not in server.log


def test_a_request_in_progress_is_finished_after_a_signal(start: Start, tmp_path: Path, wait_for: WaitFor) -> None:
    server, gate = start(), tmp_path / "gate"
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("PUT", "/gate", str(gate).encode())
    wait_for(lambda: json.loads(server.request("/status").body)["requests_in_progress"] == 2)
    server.popen.terminate()
    wait_for(lambda: "the server ends" in server.log)
    gate.touch()
    assert connection.getresponse().read().startswith(b"PUT")
    connection.close()
    assert server.wait() == 0


def test_a_request_that_does_not_end_is_given_up(start: Start, tmp_path: Path, wait_for: WaitFor) -> None:
    server = start()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("PUT", "/gate", str(tmp_path / "never").encode())
    wait_for(lambda: json.loads(server.request("/status").body)["requests_in_progress"] == 2)
    server.popen.terminate()
    response = connection.getresponse()
    assert (response.status, response.read()) == (503, b"ERROR: the server is shutting down")
    connection.close()
    assert server.wait() == 0
    assert "Traceback" not in server.log


def test_an_idle_server_ends(start: Start, status_file: Path) -> None:
    server = start("--timeout", "0.2", "--status-file", status_file)
    assert server.wait() == 0
    assert fields(status_file)["exit_reason"] == "idle for more than 0.2 s"


def test_a_request_in_progress_keeps_the_server_alive(start: Start, tmp_path: Path) -> None:
    server, gate = start("--timeout", "1.5"), tmp_path / "gate"
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("PUT", "/gate", str(gate).encode())
    clock = start("--timeout", "2.5")  # started later, and ended when more time has passed
    assert clock.wait() == 0
    assert server.popen.poll() is None
    gate.touch()
    assert connection.getresponse().status == 200
    connection.close()
    assert server.wait() == 0


def test_an_open_connection_without_a_request_does_not_keep_it_alive(start: Start) -> None:
    server = start("--timeout", "1.5")
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        assert server.wait() == 0
        assert connection.recv(1) == b""


def test_the_port_is_refused_after_the_end(start: Start) -> None:
    server = start("--timeout", "0.2")
    port = server.port
    server.wait()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=30)


def test_a_port_can_be_taken_again_at_once(start: Start) -> None:
    first = start()
    port = first.port
    assert first.request("/x").status == 200
    first.popen.terminate()
    assert first.wait() == 0
    assert start("--port", port).request("/x").status == 200


def test_it_runs_without_httptools_and_uvloop(start: Start) -> None:
    server = start(PROBE_WITHOUT="httptools uvloop")
    assert server.request("/x", "PUT", b"hello").body == b"PUT 5"
    server.popen.terminate()
    assert server.wait() == 0


def test_without_uvicorn_the_extra_is_named(start: Start) -> None:
    server = start(PROBE_WITHOUT="uvicorn")
    assert server.wait() == 1
    assert "pip install 'seamless[services]'" in server.log


def test_stdout_says_ok_when_requests_are_accepted(start: Start, wait_for: WaitFor) -> None:
    server = start()
    wait_for(lambda: server.out.read_text() == "OK\n")
    assert server.request("/x").status == 200


# --- what is answered and logged ------------------------------------------------------------------


def test_a_server_whose_status_file_is_taken_away_while_it_starts_ends(start: Start, status_file: Path) -> None:
    server = start("--status-file", status_file, PROBE_FAILS="taken", PROBE_STATUS=str(status_file))
    assert server.wait() == 1
    assert "was removed while the server started" in server.log
    assert not status_file.exists()


def test_status_describes_the_server(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_text('{"launch_id": "abc"}')
    server = start("--status-file", path, "--insecure", "--timeout", "60")
    found = json.loads(server.request("/status").body)
    assert (found["service"], found["pid"], found["launch_id"]) == ("probe", server.popen.pid, "abc")
    assert (found["timeout_seconds"], found["requests"], found["requests_in_progress"]) == (60.0, 0, 1)


def test_every_answer_names_the_launch(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_text('{"launch_id": "abc"}')
    server = start("--status-file", path)
    answers = [server.request(target) for target in ("/healthcheck", "/status", "/x")]
    token = {"Authorization": f"Bearer {json.loads(path.read_text())['token']}"}
    answers += [server.request(target, headers=token) for target in ("/x", "/bug", "/status")]
    assert [(a.status, a.headers.get("x-seamless-launch-id")) for a in answers] == [
        (200, "abc"), (401, "abc"), (401, "abc"), (200, "abc"), (500, "abc"), (200, "abc")
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["{}", '{"launch_id": "a\\r\\nX: y"}', '{"launch_id": 1}', '{"launch_id": " "}'])
def test_what_is_no_launch_id_is_not_sent(start: Start, tmp_path: Path, text: str) -> None:
    path = tmp_path / "status.json"
    path.write_text(text)
    headers = start("--status-file", path).request("/healthcheck").headers
    assert not {"x", "x-seamless-launch-id"} & headers.keys()


def test_metrics_count_requests_by_method_and_status(start: Start) -> None:
    server = start()
    server.request("/x", "PUT", b"hello")
    server.request("/bug")
    text = server.request("/metrics").body.decode()
    assert 'seamless_probe_requests_total{method="PUT",status="200"} 1.0' in text
    assert 'seamless_probe_requests_total{method="GET",status="500"} 1.0' in text
    assert "process_resident_memory_bytes" in text


def test_a_bug_is_a_500_without_details_and_a_traceback_in_the_log(start: Start) -> None:
    server = start()
    assert server.request("/bug")[:2] == (500, b"ERROR: Internal Server Error")
    assert "RuntimeError: a bug" in server.log
    assert server.request("/x").status == 200


def test_log_lines_may_be_json(start: Start) -> None:
    server = start("--access-log", "--log-format", "json")
    server.request("/x", "PUT", b"hello")
    server.popen.terminate()
    server.wait()
    lines = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
    access = next(line for line in lines if "method" in line)
    assert (access["method"], access["path"], access["status"], access["client"]) == ("PUT", "/x", 200, "127.0.0.1")
    assert access["level"] == "info"


def test_web_pages_are_let_in_only_where_they_are_named(start: Start) -> None:
    origin = {"Origin": "https://lab.example"}
    assert "access-control-allow-origin" not in start().request("/x", headers=origin).headers
    named = start("--cors", "https://lab.example").request("/x", headers=origin)
    assert named.headers["access-control-allow-origin"] == "https://lab.example"
