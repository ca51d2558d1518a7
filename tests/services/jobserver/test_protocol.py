"""What the jobserver answers: the protocol of the reference, that of this project, and to what is no request."""

from __future__ import annotations

import base64
import http.client
import json
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from seamless.buffer import Buffer
from seamless.checksum import Checksum
from seamless.stores.embedded import open_embedded
from seamless.transformer.identity import transformation_checksum

from .conftest import Answer, Jobserver, Start, eventually

NOTHING = "0" * 64
CODE = """
def step(x, counter):
    import os, time
    with open(counter, "a") as f:
        f.write("ran\\n")
    if x == "fail":
        raise ValueError("this never works")
    while x == "wait" and not os.path.exists(counter + ".go"):
        time.sleep(0.01)
    return [x, x]
"""


def payload(server: Jobserver, x: Any, **more: Any) -> dict[str, Any]:
    """Return the request for a step whose inputs are in the store of the server."""
    buffers = {
        "code": Buffer(CODE, "python"), "x": Buffer(x, "mixed"), "counter": Buffer(str(server.counter), "str"),
    }  # fmt: skip
    store = open_embedded(str(server.cache / "__TOPLEVEL__"))
    store.buffers.put([(buffer.get_checksum(), buffer.content) for buffer in buffers.values()])
    celltypes = {"code": ("python", "transformer"), "x": ("mixed", None), "counter": ("str", None)}
    transformation: dict[str, Any] = {"__language__": "python", "__output__": ["result", "mixed", None]}
    for name, buffer in buffers.items():
        transformation[name] = [*celltypes[name], buffer.get_checksum().hex()]
    tf = transformation_checksum(transformation).hex()
    return {"transformation_dict": transformation, "tf_checksum": tf, **more}


def run(server: Jobserver, request: Any) -> Answer:
    return server.request("GET", "/run-transformation", request)


def submit(server: Jobserver, request: Any) -> Answer:
    return server.request("POST", "/transformations", request)


def test_the_server_says_what_it_is(server: Jobserver) -> None:
    assert server.request("GET", "/")[:2] == (200, "Seamless jobserver is running")
    assert server.request("GET", "/healthcheck")[:2] == (200, "OK")
    status = server.status()
    assert (status["service"], status["workers"], status["results_kept"]) == ("seamless-jobserver", 2, True)
    assert "seamless_jobserver_workers 2" in server.request("GET", "/metrics").text
    assert "/run-transformation" in server.request("GET", "/openapi.json").json()["paths"]


def test_a_transformation_is_executed_and_measured(server: Jobserver) -> None:
    answer = run(server, payload(server, 7, tf_dunder={"__meta__": {"local": True}}))
    assert answer.status == 200
    assert answer.json()["result_checksum"] == Buffer([7, 7], "mixed").get_checksum().hex()
    assert set(answer.json()["record_runtime"]) == {
        "started_at", "finished_at", "wall_time_seconds", "cpu_user_seconds", "cpu_system_seconds",
        "memory_peak_bytes", "gpu_memory_peak_bytes",
    }  # fmt: skip


def test_what_is_known_is_not_executed_again(server: Jobserver) -> None:
    request = payload(server, 7)
    assert run(server, request).json()["result_checksum"] == run(server, request).json()["result_checksum"]
    assert (server.ran, server.status()["cached"]) == (1, 1)


def test_a_failure_is_status_500_with_its_text_and_at_once_again_the_same_one(server: Jobserver) -> None:
    request = payload(server, "fail")
    for _ in range(5):
        answer = run(server, request)
        assert answer.status == 500 and "ValueError: this never works" in answer.text
    assert server.ran == 1


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"tf_checksum": None}, "tf_checksum is missing"),
        ({"tf_checksum": "12"}, "tf_checksum: '12' is not 64 hexadecimal digits"),
        ({"tf_checksum": 12}, "tf_checksum: expected a string, not a number"),
        ({"tf_checksum": NOTHING}, "has the checksum"),
        ({"transformation_dict": None}, "transformation_dict is missing"),
        ({"transformation_dict": []}, "transformation_dict: expected an object, not a list"),
        ({"transformation_dict": {"__nonsense__": 1}}, "Unknown transformation dunder key: __nonsense__"),
        ({"tf_dunder": "x"}, "tf_dunder: expected an object, not a string"),
        ({"tf_dunder": {"__meta__": 3}}, "__meta__: expected an object, not a number"),
        ({"scratch": 1}, "scratch: expected a boolean, not a number"),
        ({"timeout": -1}, "timeout: expected a number of seconds"),
        ({"request": ""}, "request: expected 1 to 200 characters"),
        ({"origin": [1, 2]}, "origin: expected a file name and a line number"),
    ],
)
def test_what_is_no_request_is_refused_with_the_reason(
    server: Jobserver, change: dict[str, Any], complaint: str
) -> None:
    answer = run(server, payload(server, 1) | change)
    assert answer.status == 400
    assert answer.text.startswith("Invalid payload: ") and complaint in answer.text


@pytest.mark.parametrize("pin", [None, [], ["mixed", None], ["mixed", None, "12"], [1, None, NOTHING], "text"])
def test_a_pin_that_is_none_is_refused(server: Jobserver, pin: Any) -> None:
    request = payload(server, 1)
    request["transformation_dict"]["x"] = pin
    request["tf_checksum"] = transformation_checksum(request["transformation_dict"]).hex()
    assert (answer := run(server, request)).status == 400, answer


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b"3", b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(server: Jobserver, body: bytes) -> None:
    for answer in (run(server, body), submit(server, body)):
        assert answer.status == 400 and answer.text.startswith("Invalid ")


def test_a_body_that_is_too_large_is_refused(start: Start) -> None:
    server = start("--max-body", "1000")
    assert run(server, b"x" * 1001).status == 413


def test_another_record_mode_is_a_conflict(server: Jobserver) -> None:
    assert run(server, payload(server, 1, record=True))[:2] == (
        409,
        "Jobserver record mode mismatch: client requested record=True, but jobserver started with record=False. "
        "Restart the jobserver after changing record mode.",
    )


@pytest.mark.parametrize("path", ["/transformation-status/12", "/transformations/12"])
def test_a_bad_checksum_is_refused(server: Jobserver, path: str) -> None:
    answer = server.request("GET", path)
    assert answer.status == 400 and answer.text.startswith("Invalid checksum: ")


def test_other_paths_and_methods_are_refused(server: Jobserver) -> None:
    assert server.request("GET", "/nothing").status == 404
    answer = server.request("PUT", "/run-transformation")
    assert (answer.status, answer.headers["allow"]) == (405, "GET")


def test_the_status_follows_a_transformation(server: Jobserver) -> None:
    request = payload(server, "wait", request="one")
    tf = request["tf_checksum"]
    where = f"/transformation-status/{tf}"
    assert server.request("GET", where).json() == {"status": "not-running"}
    assert submit(server, request).status == 202
    assert server.request("GET", where).json() == {"status": "running"}
    assert server.request("POST", f"/cancel-transformation/{tf}").json() == {"canceled": True, "status": "canceled"}
    eventually(lambda: server.request("GET", where).json() == {"status": "canceled"})
    assert server.request("POST", f"/cancel-transformation/{tf}").json() == {"canceled": False, "status": "canceled"}
    run(server, payload(server, "fail"))
    assert server.request("GET", f"/transformation-status/{payload(server, 'fail')['tf_checksum']}").json() == {
        "status": "failed"
    }


def test_who_waits_is_told_of_a_cancellation_in_the_words_of_the_reference(server: Jobserver) -> None:
    request = payload(server, "wait")
    answers: list[Answer] = []
    waiting = threading.Thread(target=lambda: answers.append(run(server, request)))
    waiting.start()
    eventually(lambda: server.ran == 1)
    server.request("POST", f"/cancel-transformation/{request['tf_checksum']}")
    waiting.join(30)
    assert answers[0][:2] == (200, "Transformation was canceled")


def test_a_job_is_watched_by_its_checksum(server: Jobserver) -> None:
    request = payload(server, "wait", request="one")
    where = submit(server, request).headers["location"]
    assert server.request("GET", where).json()["status"] in ("queued", "running")
    (server.directory / "count.go").touch()
    answer = server.request("GET", f"{where}?wait=30&request=one")
    assert (answer.status, answer.json()["status"], answer.json()["kept"]) == (200, "done", True)
    assert server.request("GET", f"/transformations/{NOTHING}").status == 404


def test_a_failure_is_told_from_a_fault_of_the_server(server: Jobserver) -> None:
    answer = submit(server, payload(server, "fail", wait=30))
    assert answer.status == 422
    error = answer.json()["error"]
    assert (error["kind"], error["type"], error["message"]) == ("step", "ValueError", "this never works")


def test_an_input_that_nobody_has_is_named(server: Jobserver) -> None:
    request = payload(server, 1, wait=30)
    request["transformation_dict"]["x"][2] = NOTHING
    request["tf_checksum"] = transformation_checksum(request["transformation_dict"]).hex()
    error = submit(server, request).json()["error"]
    assert (error["kind"], error["checksum"]) == ("missing", NOTHING)


def test_the_same_request_twice_is_one(server: Jobserver) -> None:
    request = payload(server, "fail", request="one", wait=30)
    assert submit(server, request).json() == submit(server, request).json()
    assert server.ran == 1
    submit(server, {**request, "request": "two"})
    assert server.ran == 2


def test_the_last_client_to_leave_ends_the_job(server: Jobserver) -> None:
    where = submit(server, payload(server, "wait", request="one")).headers["location"]
    submit(server, payload(server, "wait", request="two"))
    assert server.request("DELETE", f"{where}?request=one").json()["left"] is True
    assert server.request("GET", f"{where}?request=one&wait=30").status == 410
    assert server.request("GET", where).status == 202
    server.request("DELETE", f"{where}?request=two")
    eventually(lambda: server.request("GET", where).json()["status"] == "canceled")


def test_a_full_queue_asks_to_come_back(start: Start) -> None:
    server = start("--workers", "1", "--max-queue", "0")
    first = payload(server, "wait", request="one")
    submit(server, first)
    assert submit(server, {**first, "request": "two"}).status == 202  # the same step needs no room
    answer = submit(server, payload(server, 1))
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    answer = run(server, payload(server, 1))
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert server.status()["refused"] == 2


def test_the_queue_names_what_waits_and_runs(start: Start) -> None:
    server = start("--workers", "1")
    request = payload(server, "wait", command="do something")
    submit(server, request)
    (job,) = server.request("GET", "/queue").json()["jobs"]
    assert (job["transformation"], job["command"]) == (request["tf_checksum"], "do something")


def test_a_running_step_keeps_the_server_alive(start: Start) -> None:
    server = start("--timeout", "3")  # enough for the first request to come in time
    submit(server, payload(server, "wait"))
    eventually(lambda: server.ran == 1)
    with pytest.raises(subprocess.TimeoutExpired):  # idle for longer than the timeout
        server.process.wait(3.7)
    (server.directory / "count.go").touch()
    assert server.process.wait(30) == 0


def test_a_step_that_is_late_is_ended(server: Jobserver) -> None:
    answer = submit(server, payload(server, "wait", timeout=0.3, wait=30))
    assert answer.status == 422 and "Timeout: not finished after 0.3 s" in answer.json()["error"]["text"]


def test_a_job_directory_is_written_instead_of_executing(server: Jobserver, tmp_path: Path) -> None:
    code = Buffer("echo one", "text")
    store = open_embedded(str(server.cache / "__TOPLEVEL__"))
    store.buffers.put([(code.get_checksum(), code.content)])
    transformation = {
        "__language__": "bash", "__output__": ["result", "bytes", None],
        "code": ["text", None, code.get_checksum().hex()],
    }  # fmt: skip
    request = {
        "transformation_dict": transformation,
        "tf_checksum": transformation_checksum(transformation).hex(),
        "tf_dunder": {"__meta__": {"write_remote_job": str(tmp_path / "job")}},
    }
    assert run(server, request).json() == {"remote_job_written": str(tmp_path / "job")}
    assert (tmp_path / "job").is_dir()


# --- the start ------------------------------------------------------------------------------------


def test_the_status_file_names_the_stores_and_gets_port_and_token(start: Start, tmp_path: Path) -> None:
    status = tmp_path / "status.json"
    status.write_text(json.dumps({"pid": 1, "parameters": {"database": [], "buffer": [], "record": True}}))
    server = start("--status-file", str(status))
    server.port  # noqa: B018  it listens
    fields = json.loads(status.read_text())
    assert (fields["status"], fields["pid"], fields["port"]) == ("running", 1, server.port)
    assert server.request("GET", "/queue").status == 401
    head = {"Authorization": f"Bearer {fields['token']}"}
    assert server.request("GET", "/status", **head).json()["record"] is True


def test_in_record_mode_the_server_needs_probes_and_writes_the_full_record(
    start: Start, tmp_path: Path, run_cli: Any
) -> None:
    status = tmp_path / "status.json"
    status.write_text(json.dumps({"pid": 1, "parameters": {"record": True}}))
    server = start("--status-file", str(status))
    head = {"Authorization": f"Bearer {eventually(lambda: json.loads(status.read_text()).get('token'))}"}
    request = payload(server, 1, record=True)
    refused = server.request("GET", "/run-transformation", request, **head)
    assert refused.status == 500 and "Record mode requires bucket probes for: node=" in refused.text
    assert run_cli(["seamless-probe"], env={"SEAMLESS_CACHE": str(server.cache)}).returncode == 0
    request = payload(server, 2, record=True)
    answer = server.request("GET", "/run-transformation", request, **head).json()
    assert answer["job_validation"]["contract_violations"] == []
    assert answer["record_runtime"]["pid"] in server.workers()
    record = open_embedded(str(server.cache / "__TOPLEVEL__")).results.get_record(Checksum(request["tf_checksum"]))
    assert record is not None
    assert (record["execution_mode"], record["remote_target"]) == ("remote", "jobserver")
    assert record["freshness"] == answer["probe_context"] and server.ran == 1


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ([], "parameters is a list"),
        ({"record": 3}, "record is 3"),
        ({"database": [{"readonly": False}]}, "database 0 has no remote_url"),
    ],
)
def test_parameters_that_cannot_be_used_are_a_failed_start(
    start: Start, tmp_path: Path, parameters: Any, complaint: str
) -> None:
    status = tmp_path / "status.json"
    status.write_text(json.dumps({"parameters": parameters}))
    server = start("--status-file", str(status))
    assert server.process.wait(30) != 0
    fields = json.loads(status.read_text())
    assert fields["status"] == "failed" and complaint in fields["error"]


@pytest.mark.parametrize("arguments", [("--workers", "0"), ("--max-queue", "-1"), ("--workers", "x")])
def test_a_mistake_in_the_arguments_is_status_2(start: Start, arguments: tuple[str, str]) -> None:
    server = start(*arguments)
    assert server.process.wait(30) == 2
    assert arguments[0] in server.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_in_order(server: Jobserver, number: int) -> None:
    server.port  # noqa: B018  it listens
    assert server.stop(number) == 0


# --- inputs that come along -----------------------------------------------------------------------


def without_storing(server: Jobserver, x: Any, **more: Any) -> dict[str, Any]:
    """Return the request for a step whose inputs come along with it."""
    request = payload(server, x, **more)
    buffers = [Buffer(CODE, "python"), Buffer(x, "mixed"), Buffer(str(server.counter), "str")]
    store = open_embedded(str(server.cache / "__TOPLEVEL__"))
    for buffer in buffers:
        store.buffers.remove(buffer.get_checksum())
    request["buffers"] = {b.get_checksum().hex(): base64.b64encode(b.content).decode() for b in buffers}
    return request


def test_inputs_that_come_along_are_stored_with_the_result(server: Jobserver) -> None:
    request = without_storing(server, 1, wait=30)
    assert submit(server, request).json()["status"] == "done"
    store = open_embedded(str(server.cache / "__TOPLEVEL__"))
    names = [*map(Checksum, request["buffers"]), Checksum(request["tf_checksum"])]
    assert store.buffers.has(names) == [True] * 4


def test_inputs_that_come_along_with_a_step_that_fails_are_not_stored(server: Jobserver) -> None:
    request = without_storing(server, "fail", wait=30)
    assert submit(server, request).json()["status"] == "failed"
    store = open_embedded(str(server.cache / "__TOPLEVEL__"))
    assert store.buffers.has([*map(Checksum, request["buffers"])]) == [False] * 3


def test_an_input_that_is_not_what_it_is_said_to_be_is_refused(server: Jobserver) -> None:
    request = without_storing(server, 1)
    for buffers in ({NOTHING: "AAAA"}, {"zz": ""}, {request["tf_checksum"]: 5}, []):
        answer = submit(server, {**request, "buffers": buffers})
        assert answer.status == 400 and "buffers" in answer.text, answer
    assert server.ran == 0


# --- requests in one piece ------------------------------------------------------------------------


def at_once(server: Jobserver, request: Any) -> tuple[int, str]:
    """Submit with head and body in one piece."""
    body = json.dumps(request)
    head = f"POST /transformations HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall((head + body).encode())
        response = http.client.HTTPResponse(connection)
        response.begin()
        return response.status, response.read().decode()


def test_a_submission_in_one_piece_is_answered_as_any(server: Jobserver) -> None:
    request = payload(server, 1, wait=30)
    status, text = at_once(server, request)
    assert (status, json.loads(text)["status"]) == (200, "done")
    assert json.loads(text)["result_checksum"] == submit(server, request).json()["result_checksum"]
    status, text = at_once(server, payload(server, "fail", wait=30))
    assert status == 422 and "this never works" in json.loads(text)["error"]["text"]
    assert at_once(server, {**request, "tf_checksum": NOTHING})[0] == 400
    assert at_once(server, {**request, "record": True})[0] == 409


def test_who_has_waited_long_enough_is_told_that_the_step_goes_on(server: Jobserver) -> None:
    status, text = at_once(server, payload(server, "wait", wait=0.05))
    assert (status, json.loads(text)["status"] in ("queued", "running")) == (202, True)
    status, text = at_once(server, payload(server, "wait", wait=0))
    assert (status, json.loads(text)["status"] in ("queued", "running")) == (202, True)


def test_a_submission_in_one_piece_waits_for_a_cancellation(server: Jobserver) -> None:
    request = payload(server, "wait", wait=30)
    answers: list[tuple[int, str]] = []
    thread = threading.Thread(target=lambda: answers.append(at_once(server, request)))
    thread.start()
    eventually(lambda: server.ran == 1)
    assert server.request("POST", f"/cancel-transformation/{request['tf_checksum']}").json()["canceled"] is True
    thread.join(60)
    ((status, text),) = answers
    assert (status, json.loads(text)["status"]) == (410, "canceled")


def test_a_full_queue_says_when_to_come_back(start: Start) -> None:
    server = start("--workers", "1", "--max-queue", "0")
    submit(server, payload(server, "wait"))
    assert at_once(server, payload(server, 2))[0] == 429
