"""Several small buffers in one request: each is stored, or refused, as if it had come alone."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

ONE, TWO, EMPTY = b"one\n", b"two\n", b""


def body_of(tools: Any, *members: bytes | tuple[str, bytes]) -> bytes:
    """Return the body of a request with buffers; a pair names another checksum than its own."""
    body = b""
    for member in members:
        name, data = member if isinstance(member, tuple) else (tools.sha(member), member)
        body += bytes.fromhex(name) + len(data).to_bytes(8, "big") + data
    return body


@pytest.fixture(params=["one piece", "two pieces"])
def put_group(request: pytest.FixtureRequest, tools: Any) -> Any:
    """Return put_group(server, *members), which sends them; head and body arrive together, or one after the other."""

    def send(server: Any, *members: Any, body: bytes | None = None) -> Any:
        body = body_of(tools, *members) if body is None else body
        if request.param == "two pieces":
            return server.request("PUT", "/buffers", body)
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        head = f"PUT /buffers HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        return tools.answer_on(connection)

    return send


def statuses(answer: Any) -> list[int]:
    assert answer.status == 200, answer
    return json.loads(answer.body)


def test_each_buffer_is_stored_once(start_server: Any, put_group: Any, tools: Any) -> None:
    server = start_server("--writable")
    assert statuses(put_group(server, ONE, EMPTY)) == [200, 200]
    assert statuses(put_group(server, ONE, TWO, ONE)) == [201, 200, 201]
    assert [server.get(tools.sha(data)).body for data in (ONE, TWO, EMPTY)] == [ONE, TWO, EMPTY]
    assert server.path(tools.sha(TWO)).stat().st_mode & 0o777 == 0o444
    assert server.request("GET", "/status").json["stored"] == 3


def test_the_same_one_twice_in_a_request_is_stored_once(start_server: Any, put_group: Any, tools: Any) -> None:
    server = start_server("--writable")
    assert statuses(put_group(server, ONE, ONE)) == [200, 200]
    assert server.files() == [tools.sha(ONE)]


def test_wrong_bytes_are_refused_without_harm_to_the_others(start_server: Any, put_group: Any, tools: Any) -> None:
    server = start_server("--writable")
    assert statuses(put_group(server, ONE, (tools.sha(b"other"), TWO))) == [200, 400]
    assert server.files() == [tools.sha(ONE)]


@pytest.mark.parametrize("cut", [1, 20, 42])
def test_a_body_that_ends_too_early_is_refused_as_a_whole(
    start_server: Any, put_group: Any, tools: Any, cut: int
) -> None:
    server = start_server("--writable")
    assert put_group(server, body=body_of(tools, ONE, TWO)[:-cut]).status == 400
    assert server.files() == []


def test_an_upload_with_others_fulfils_a_promise(start_server: Any, put_group: Any, tools: Any) -> None:
    server = start_server("--writable")
    server.promise(tools.sha(TWO))
    reader = server.begin_get(tools.sha(TWO))
    assert statuses(put_group(server, ONE, TWO)) == [200, 200]
    assert tools.answer_on(reader).body == TWO


def test_a_read_only_server_takes_none(start_server: Any, put_group: Any) -> None:
    assert put_group(start_server(), ONE).status in (400, 404, 405)


def test_a_buffer_beyond_the_limit_is_refused_with_the_others(start_server: Any, put_group: Any) -> None:
    server = start_server("--writable", "--max-body", 4)
    assert put_group(server, ONE, ONE * 2).status == 413
    assert server.files() == []
