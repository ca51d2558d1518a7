"""Small uploads that arrive in one piece: the answers, and what is left behind, are those of any other upload."""

from __future__ import annotations

import gzip
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.disk import small_disk

DATA = b"small data\n"


@pytest.fixture
def put(tools: Any) -> Callable[..., Any]:
    """Return put(server, data, name=None, **headers), which sends head and body together."""

    def send(server: Any, data: bytes, name: str | None = None, **headers: str) -> Any:
        more = "".join(f"{key.replace('_', '-')}: {value}\r\n" for key, value in headers.items())
        head = f"PUT /{name or tools.sha(data)} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n{more}\r\n"
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        connection.sendall(head.encode() + data)
        return tools.answer_on(connection)

    return send


def test_a_buffer_is_stored_once(start_server: Any, put: Any, tools: Any) -> None:
    server = start_server("--writable")
    name = tools.sha(DATA)
    assert [put(server, DATA)[:2] for _ in range(2)] == [(200, b"OK"), (201, b"")]
    assert server.path(name).read_bytes() == DATA
    assert server.path(name).stat().st_mode & 0o777 == 0o444
    assert server.get(name).body == DATA
    status = server.request("GET", "/status").json
    assert (status["stored"], status["received_bytes"], status["uploads"]) == (1, 2 * len(DATA), 0)


def test_the_answer_has_the_headers_of_every_other_one(start_server: Any, put: Any) -> None:
    server = start_server("--writable")
    assert put(server, DATA).headers.keys() == server.put(DATA + b"!").headers.keys()
    assert put(server, DATA).headers.keys() == server.put(DATA).headers.keys()


def test_wrong_bytes_are_refused_and_nothing_is_left(start_server: Any, put: Any, tools: Any) -> None:
    server = start_server("--writable")
    assert put(server, DATA, tools.sha(b"other"))[:2] == (400, b"Incorrect checksum")
    assert put(server, b"no gzip", content_encoding="gzip")[:2] == (400, b"Invalid compressed payload")
    assert server.files() == []
    assert "seamless_hashserver_refused_total 2.0" in server.request("GET", "/metrics").body.decode()


def test_a_compressed_form_is_kept_as_it_is(start_server: Any, put: Any, tools: Any) -> None:
    server = start_server("--writable")
    name = tools.sha(DATA)
    assert put(server, gzip.compress(DATA), name, content_encoding="gzip").status == 200
    assert server.files() == [name + ".BUFFERLENGTH", name + ".gz"]
    assert server.get(name, accept_encoding="identity").body == DATA


def test_an_upload_fulfils_a_promise_and_wakes_who_waits(start_server: Any, put: Any, tools: Any) -> None:
    server = start_server("--writable")
    name = tools.sha(DATA)
    server.promise(name)
    reader = server.begin_get(name)
    assert put(server, DATA).status == 200
    assert tools.answer_on(reader)[:2] == (200, DATA)
    assert server.request("GET", "/status").json["promises"] == 0


def test_no_checksum_is_no_path(start_server: Any, put: Any) -> None:
    server = start_server("--writable")
    for name in ("g" * 64, "a" * 63, "A" * 63 + "-"):
        assert put(server, DATA, name).status == 400
    assert server.files() == []


def test_a_read_only_server_stores_nothing(start_server: Any, put: Any) -> None:
    server = start_server()
    assert put(server, DATA).status == 405
    assert server.files() == []


def test_a_buffer_beyond_the_limit_is_refused(start_server: Any, put: Any) -> None:
    server = start_server("--writable", "--max-body", "10")
    assert put(server, DATA).status == 413
    assert put(server, DATA[:10]).status == 200


def test_on_a_full_disk_an_upload_is_refused(start_server: Any, tmp_path: Path, put: Any, require: Any) -> None:
    with small_disk(tmp_path, require, 1) as disk:
        server = start_server("--writable", directory=disk)
        (disk / "filler").write_bytes(b"x" * ((1 << 20) - (1 << 16)))
        answer = put(server, os.urandom(200_000))
        assert answer.status == 507 and str(disk) in answer.json["message"]
        assert server.files() == ["filler"]
