"""Quick requests: which ones are recognised, and that nobody can tell them from others by the answers."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from seamless.services.common.quick import Heads, parse_head

Start = Callable[..., Any]
WaitFor = Callable[[Callable[[], Any]], Any]


def admitted(headers: Any) -> bool:
    return (b"authorization", b"Bearer good") in headers


def heads() -> Heads:
    return Heads(admitted)


# --- which requests are quick -----------------------------------------------------------------------

GOOD = b"Host: x\r\nAuthorization: Bearer good\r\n"


def test_a_whole_request_is_recognised() -> None:
    scope, body = heads().read(b"PUT /abc HTTP/1.1\r\n" + GOOD + b"Content-Length: 5\r\n\r\nhello") or ({}, b"")
    assert (scope["method"], scope["path"], body) == ("PUT", "/abc", b"hello")
    assert scope["headers"] == [(b"host", b"x"), (b"authorization", b"Bearer good"), (b"content-length", b"5")]


def test_the_same_head_is_recognised_with_any_body_of_its_length() -> None:
    known = heads()
    found = [known.read(b"GET / HTTP/1.1\r\n" + GOOD + b"content-length: 1\r\n\r\n" + body) for body in (b"a", b"b")]
    assert [f and f[1] for f in found] == [b"a", b"b"]


def test_blanks_around_a_value_do_not_belong_to_it() -> None:
    head = parse_head(b"A:\t b c \t\r\nE:\r\n\r\n", admitted)
    assert head is not None and head.headers == [(b"a", b"b c"), (b"e", b"")]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + GOOD,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",  # no token
        b"GET / HTTP/1.0\r\n" + GOOD + b"\r\n",
        b"get / HTTP/1.1\r\n" + GOOD + b"\r\n",
        b"GET /%41 HTTP/1.1\r\n" + GOOD + b"\r\n",
        b"GET /?a HTTP/1.1\r\n" + GOOD + b"\r\n",
        b"GET http://x/ HTTP/1.1\r\n" + GOOD + b"\r\n",
        b"GET  / HTTP/1.1\r\n" + GOOD + b"\r\n",
        b"GET / HTTP/1.1\r\n" + GOOD + b"\r\nmore",
        b"GET / HTTP/1.1\r\n" + GOOD + b"\r\nGET / HTTP/1.1\r\n" + GOOD + b"\r\n",
        b"PUT / HTTP/1.1\r\n" + GOOD + b"Content-Length: 5\r\n\r\nhell",
        b"PUT / HTTP/1.1\r\n" + GOOD + b"Content-Length: 5\r\n\r\nhello!",
        b"PUT / HTTP/1.1\r\n" + GOOD + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        b"PUT / HTTP/1.1\r\n" + GOOD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"PUT / HTTP/1.1\r\n" + GOOD + b"Content-Length: +5\r\n\r\nhello",
        b"PUT / HTTP/1.1\r\n" + GOOD + b"Content-Length: 5, 5\r\n\r\nhello",
        b"PUT / HTTP/1.1\r\n" + GOOD + b"Transfer-Encoding: chunked\r\n\r\n",
        b"PUT / HTTP/1.1\r\n" + GOOD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0",
        b"PUT / HTTP/1.1\r\n" + GOOD + b"Content-Length: 1\r\nExpect: 100-continue\r\n\r\na",
        b"GET / HTTP/1.1\r\n" + GOOD + b"Connection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + GOOD + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + GOOD + b"X: a\r\n b\r\n\r\n",  # a folded line
        b"GET / HTTP/1.1\r\n" + GOOD + b"X: a\nY: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + GOOD + b"X: a\n\nGET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + GOOD + b"X : a\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + GOOD + b"X\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + GOOD + b": a\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + GOOD + b"X: \x00\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + GOOD + b"X: \xe4\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + GOOD + b"X: " + b"a" * 3000 + b"\r\n\r\n",
    ],
)
def test_whatever_is_out_of_the_ordinary_is_left_to_the_http_library(data: bytes) -> None:
    known = heads()
    assert [known.read(data), known.read(data)] == [None, None]


def test_what_is_remembered_of_heads_is_bounded() -> None:
    known = heads()
    for number in range(2000):
        assert known.read(b"GET / HTTP/1.1\r\n%bX: %d\r\n\r\n" % (GOOD, number))
    assert len(known._known) <= 500 and len(known._whole) <= 500


# --- a server --------------------------------------------------------------------------------------


class Line:
    """A connection on which bytes are sent as they are."""

    def __init__(self, port: int):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def send(self, path: str, body: bytes = b"", *, method: str = "PUT", more: str = "") -> None:
        self.socket.sendall(request(path, body, method=method, more=more))

    def answer(self) -> tuple[int, bytes, dict[str, str]]:
        status = int(self.file.readline().split()[1])
        headers = {}
        while line := self.file.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name] = value
        return status, self.file.read(int(headers["content-length"])), headers

    def ended(self) -> bool:
        return self.file.read(1) == b""


def request(path: str, body: bytes = b"", *, method: str = "PUT", more: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


@contextmanager
def line_to(server: Any) -> Iterator[Line]:
    line = Line(server.port)
    try:
        yield line
    finally:
        line.file.close()
        line.socket.close()


def in_progress(server: Any) -> int:
    return int(json.loads(server.request("/status").body)["requests_in_progress"]) - 1


def test_a_quick_answer_has_the_headers_of_every_answer(start: Start) -> None:
    with line_to(start()) as line:
        line.send("/quick", b"hello")
        quick = line.answer()
        line.send("/x", b"hello")
        other = line.answer()
    assert quick[:2] == (200, b"quick hello")
    assert quick[2].keys() == other[2].keys() == {"date", "content-type", "content-length"}
    assert quick[2]["content-type"] == other[2]["content-type"]


def test_a_quick_request_in_pieces_is_answered_too(start: Start) -> None:
    data = request("/quick", b"hello")
    with line_to(start()) as line:
        for end in (1, 30, len(data) - 3):
            line.socket.sendall(data[:end])
            line.socket.sendall(data[end:])
            assert line.answer()[0] == 200


def test_requests_in_one_piece_are_answered_in_their_order(start: Start) -> None:
    with line_to(start()) as line:
        line.socket.sendall(request("/quick", b"1") + request("/x", b"22") + request("/quick", b"333"))
        assert [line.answer()[0] for _ in range(3)] == [200] * 3
        line.send("/quick", b"4444")
        assert line.answer()[1] == b"quick 4444"


def test_what_follows_a_request_that_waits_is_answered_after_it(
    start: Start, tmp_path: Path, wait_for: WaitFor
) -> None:
    server, gate = start(), tmp_path / "gate"
    with line_to(server) as line:
        line.send("/quick-gate", str(gate).encode())
        wait_for(lambda: in_progress(server) == 1)
        line.send("/quick", b"next")
        line.send("/x", b"other")
        with line_to(server) as neighbour:
            neighbour.send("/quick", b"meanwhile")
            assert neighbour.answer()[1] == b"quick meanwhile"
        gate.touch()
        assert line.answer()[1] == b"at last"
        assert [line.answer()[0] for _ in range(2)] == [200, 200]


def test_a_request_during_one_of_the_application_waits_for_it(start: Start, tmp_path: Path, wait_for: WaitFor) -> None:
    server, gate = start(), tmp_path / "gate"
    with line_to(server) as line:
        line.send("/gate", str(gate).encode())
        wait_for(lambda: in_progress(server) == 1)
        line.send("/quick", b"next")
        gate.touch()
        assert line.answer()[1].startswith(b"PUT")
        assert line.answer()[0] == 200


def test_without_the_token_a_quick_request_is_refused(start: Start) -> None:
    with line_to(start(SEAMLESS_TOKEN="abc")) as line:
        line.send("/quick")
        assert line.answer()[0] == 401
        line.send("/quick", more="Authorization: Bearer abd\r\n")
        assert line.answer()[0] == 401
        line.send("/quick", more="Authorization: Bearer abc\r\n")
        assert line.answer()[0] == 200


def test_a_bug_is_a_500_and_the_connection_goes_on(start: Start, tmp_path: Path) -> None:
    server, gate = start(), tmp_path / "gate"
    gate.write_text("a bug at the end")
    with line_to(server) as line:
        for path in ("/quick-bug", "/quick-gate"):
            line.send(path, str(gate).encode())
            assert line.answer()[:2] == (500, b"ERROR: Internal Server Error")
        line.send("/quick")
        assert line.answer()[0] == 200
    assert "RuntimeError: a bug" in server.log and "RuntimeError: a bug at the end" in server.log


def test_a_client_that_goes_while_it_waits_harms_nobody(start: Start, tmp_path: Path, wait_for: WaitFor) -> None:
    server, gate = start(), tmp_path / "gate"
    with line_to(server) as line:
        line.send("/quick-gate", str(gate).encode())
        wait_for(lambda: in_progress(server) == 1)
    gate.touch()
    wait_for(lambda: in_progress(server) == 0)
    assert "Traceback" not in server.log


def test_quick_requests_are_counted(start: Start) -> None:
    server = start()
    with line_to(server) as line:
        for _ in range(3):
            line.send("/quick", b"hello")
            line.answer()
    text = server.request("/metrics").body.decode()
    assert 'seamless_probe_requests_total{method="PUT",status="200"} 3.0' in text
    assert "seamless_probe_sent_bytes_total 33.0" in text


def test_quick_requests_are_logged_where_all_are(start: Start) -> None:
    server = start("--access-log")
    with line_to(server) as line:
        line.send("/quick")
        assert line.answer()[0] == 200
    server.popen.terminate()
    server.wait()
    assert "PUT /quick 200" in server.log


def test_web_pages_get_their_header_with_quick_requests_too(start: Start) -> None:
    with line_to(start("--cors", "*")) as line:
        line.send("/quick", more="Origin: https://lab.example\r\n")
        assert line.answer()[2]["access-control-allow-origin"] == "*"


def test_the_last_answer_says_that_the_connection_is_closed(start: Start, tmp_path: Path, wait_for: WaitFor) -> None:
    server, gate = start(), tmp_path / "gate"
    with line_to(server) as line:
        line.send("/quick-gate", str(gate).encode())
        wait_for(lambda: in_progress(server) == 1)
        server.popen.terminate()
        wait_for(lambda: "the server ends" in server.log)
        with pytest.raises(OSError):
            while True:  # until it no longer listens, so that the connections have been told
                socket.create_connection(("127.0.0.1", server.port), timeout=30).close()
        gate.touch()
        status, body, headers = line.answer()
        assert (status, body) == (200, b"at last")
        assert line.ended()
    assert server.wait() == 0


def test_a_quick_request_that_does_not_end_is_given_up(start: Start, tmp_path: Path, wait_for: WaitFor) -> None:
    server = start()
    with line_to(server) as line:
        line.send("/quick-gate", str(tmp_path / "never").encode())
        wait_for(lambda: in_progress(server) == 1)
        server.popen.terminate()
        status, body, headers = line.answer()
        assert (status, body, headers["connection"]) == (503, b"ERROR: the server is shutting down", "close")
        assert line.ended()
    assert server.wait() == 0
    assert "Traceback" not in server.log


def test_a_quick_request_that_waits_keeps_the_server_alive(start: Start, tmp_path: Path) -> None:
    server, gate = start("--timeout", "1.5"), tmp_path / "gate"
    with line_to(server) as line:
        line.send("/quick-gate", str(gate).encode())
        clock = start("--timeout", "2.5")  # started later, and ended when more time has passed
        assert clock.wait() == 0
        assert server.popen.poll() is None
        gate.touch()
        assert line.answer()[1] == b"at last"
    assert server.wait() == 0
