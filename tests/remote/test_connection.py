"""One connection: requests as they are sent, answers in every form, and everything that is not an answer."""

from __future__ import annotations

import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamless.remote.address import Address
from seamless.remote.connection import ChangedWhileSentError, Connection, View
from seamless.remote.errors import TransportError
from seamless.remote.response import Response, Source
from seamless.remote.settings import Timeouts
from tests.remote.servers import Script, answer, hang_up, read_head, says, scripted

QUICK = Timeouts(5.0, 5.0)


def response_of(data: bytes, method: str = "GET", step: int = 1 << 20) -> Response:
    """Return the response that these bytes make, received in pieces of `step`."""
    position = 0

    def receive(buffer: memoryview) -> int:
        nonlocal position
        piece = data[position : position + min(step, len(memoryview(buffer)))]
        memoryview(buffer)[: len(piece)] = piece
        position += len(piece)
        return len(piece)

    return Response(Source(receive), method)


def ask(script: Script, method: str = "GET", body: object = None, timeouts: Timeouts = QUICK) -> tuple[Response, bytes]:
    """Make one request to a server with this script; returns the response and its body."""
    with scripted(script) as url:
        connection = Connection(Address(url), timeouts)
        try:
            response = connection.request(method, "/x", "", body)
            return response, response.read()
        finally:
            connection.close()


# --- answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", b""),
        (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
        (b"HTTP/1.0 200 OK\r\n\r\nto the end", b"to the end"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
            b"abc0123456789",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\nTrailer: x\r\n\r\n", b""),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nX: y\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            b"x",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", b"x"),
    ],
)
def test_the_body_of_an_answer_is_read_to_its_end(data: bytes, body: bytes, step: int) -> None:
    response = response_of(data, step=step)
    assert response.read() == body
    assert response.complete


def test_the_names_of_headers_are_read_in_any_case() -> None:
    assert response_of(b"HTTP/1.1 200 OK\r\nX-Some: Value \r\nContent-Length: 0\r\n\r\n").headers["x-some"] == "Value"


def test_the_answer_to_head_has_no_body() -> None:
    response = response_of(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD")
    assert (response.read(), response.reusable) == (b"", True)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "unanswered"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "cut off in the head"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "not HTTP"),
        (b"HTTP/2 200 OK\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "malformed header"),
        (b"HTTP/1.1 200 OK\r\n folded: x\r\n\r\n", "malformed header"),
        (b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n", "malformed header"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "content length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n", "content length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "two headers"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "transfer coding"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000, "too long a head"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 11, "without end"),
    ],
)
def test_what_is_no_answer_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(TransportError, match=complaint):
        response_of(data)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", "cut off: 1 more"),
        (CHUNKED + b"5\r\nhel", "cut off: 2 more"),
        (CHUNKED + b"5\r\nhello\r\n", "cut off in the chunk size"),
        (CHUNKED + b"5\r\nhello!\r\n0\r\n\r\n", "longer than announced"),
        (CHUNKED + b"-5\r\nhello\r\n", "chunk of the size"),
        (CHUNKED + b"0x5\r\nhello\r\n", "chunk of the size"),
        (CHUNKED + b"\r\n", "chunk of the size"),
        (CHUNKED + b"1" * 2000, "too long a chunk size"),
        (CHUNKED + b"0\r\n", "cut off in the trailer"),
    ],
)
def test_a_body_that_is_cut_off_or_malformed_is_not_taken_for_a_complete_one(data: bytes, complaint: str) -> None:
    response = response_of(data)
    with pytest.raises(TransportError, match=complaint):
        response.read()


@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(1, 30))
def test_chunks_of_any_size_give_the_same_body(chunks: list[bytes], step: int) -> None:
    data = CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in chunks if c) + b"0\r\n\r\n"
    assert response_of(data, step=step).read() == b"".join(chunks)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_a_transport_error(data: bytes) -> None:
    try:
        response_of(data).read()
    except TransportError:
        pass


@given(st.integers(0, 110))
def test_an_answer_cut_off_anywhere_is_an_error(length: int) -> None:
    whole = CHUNKED + b"5\r\nhello\r\n" + b"14\r\n" + b"x" * 20 + b"\r\n0\r\nA: b\r\n\r\n"
    if length < len(whole):
        with pytest.raises(TransportError):
            response_of(whole[:length]).read()


@pytest.mark.parametrize(
    ("head", "reusable"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", True),
    ],
)
def test_a_connection_is_used_again_only_if_the_server_keeps_it(head: bytes, reusable: bool) -> None:
    response = response_of(head + b"Content-Length: 1\r\n\r\nx")
    assert not response.reusable
    response.read()
    assert response.reusable is reusable


def test_a_connection_with_bytes_that_nobody_asked_for_is_not_used_again() -> None:
    response = response_of(answer(b"x") + b"HTTP/1.1 200 OK")
    response.read()
    assert not response.reusable


# --- requests -------------------------------------------------------------------------------------


def test_a_request_has_one_head_with_host_token_and_length() -> None:
    heads = []

    def script(connection: socket.socket) -> None:
        heads.append(read_head(connection))
        connection.sendall(answer())

    with scripted(script) as url:
        connection = Connection(Address(url + "/base", "tok"), QUICK)
        connection.request("PUT", "/x", "X-More: 1\r\n", b"body").read()
        connection.close()
    lines = heads[0].split(b"\r\n")
    assert lines[0] == b"PUT /base/x HTTP/1.1"
    assert {b"Host: " + url.removeprefix("http://").encode(), b"Authorization: Bearer tok"} < set(lines)
    assert {b"X-More: 1", b"Content-Length: 4", b"body"} < set(lines)


def received_by(script_body: list[bytes], size: int) -> Script:
    """Read a head and a body of `size` bytes, agreeing to `Expect`, then say OK."""

    def script(connection: socket.socket) -> None:
        data = read_head(connection)
        head, _, body = data.partition(b"\r\n\r\n")
        if b"Expect: 100-continue" in head:
            assert body == b""
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while len(body) < size:
            body += connection.recv(1 << 20)
        script_body.append(body)
        connection.sendall(answer(b"OK"))

    return script


@pytest.mark.parametrize("size", [0, 1, 1 << 16, (1 << 16) + 1, (1 << 20) - 1, 3 << 20])
def test_a_body_of_any_size_arrives_whole(size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    seen: list[bytes] = []
    response, text = ask(received_by(seen, size), "PUT", body[:size])
    assert (seen, response.status, text) == ([body[:size]], 200, b"OK")


def test_a_large_body_is_not_sent_if_the_server_does_not_want_it() -> None:
    seen = []

    def script(connection: socket.socket) -> None:
        seen.append(read_head(connection).partition(b"\r\n\r\n")[2])
        connection.sendall(answer(status="201 Created"))
        seen.append(connection.recv(1))

    response, _ = ask(script, "PUT", bytes(2 << 20))
    assert (response.status, response.reusable, seen) == (201, False, [b"", b""])


def test_an_answer_that_comes_while_the_body_is_sent_ends_the_sending() -> None:
    sent = []

    class Endless:
        length = 1 << 40

        def chunks(self):
            while True:
                sent.append(1)
                yield bytes(1 << 18)

    def script(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.recv(1 << 18)
        connection.sendall(answer(b"full", "507 Insufficient Storage"))
        while connection.recv(1 << 20):
            continue

    response, text = ask(script, "PUT", Endless())
    assert (response.status, text, response.reusable) == (507, b"full", False)


def test_what_the_server_said_before_it_hung_up_on_the_body_is_read() -> None:
    def script(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(answer(b"too large", "413 Too Large"))
        connection.shutdown(socket.SHUT_RDWR)

    response, text = ask(script, "PUT", View(bytes(8 << 20)))
    assert (response.status, text) == (413, b"too large")


def test_a_body_that_has_become_shorter_is_an_error_of_its_own() -> None:
    class Shrunk:
        length = 100_000

        def chunks(self):
            yield b"few"

    with scripted(wait_for_the_client) as url:
        connection = Connection(Address(url), QUICK)
        with pytest.raises(ChangedWhileSentError):
            connection.request("PUT", "/x", "", Shrunk())
        connection.close()


# --- what happens on the way ----------------------------------------------------------------------


def test_nobody_at_the_port_is_a_transport_error_with_the_reason(unused_port: int) -> None:
    with pytest.raises(TransportError, match="Connection refused"):
        Connection(Address(f"http://127.0.0.1:{unused_port}"), QUICK)


def test_a_host_that_does_not_exist_is_named() -> None:
    with pytest.raises(TransportError, match=r"nowhere\.invalid"):
        Connection(Address("http://nowhere.invalid:1"), QUICK)


def test_localhost_is_found_without_a_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("_socket.getaddrinfo", None)
    with scripted(says(answer(b"here"))) as url:
        connection = Connection(Address(url.replace("127.0.0.1", "localhost")), QUICK)
        assert connection.request("GET", "/").read() == b"here"
        connection.close()


def wait_for_the_client(connection: socket.socket) -> None:
    read_head(connection)
    connection.recv(1)


@pytest.mark.parametrize(
    ("timeouts", "variable"), [(Timeouts(5, 0.05), "READ_TIMEOUT"), (Timeouts(5, 5, 0.05), "TOTAL_TIMEOUT")]
)
def test_a_server_that_says_nothing_is_given_up_and_the_limit_is_named(timeouts: Timeouts, variable: str) -> None:
    with pytest.raises(TransportError, match=variable):
        ask(wait_for_the_client, timeouts=timeouts)


def test_the_total_time_also_ends_an_answer_that_trickles() -> None:
    stop = threading.Event()

    def script(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not stop.wait(0.005):
            connection.sendall(b"x")

    try:
        with pytest.raises(TransportError, match="TOTAL_TIMEOUT"):
            ask(script, timeouts=Timeouts(5, 5, 0.1))
    finally:
        stop.set()


def test_a_used_connection_that_was_closed_silently_is_known_as_stale() -> None:
    def script(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(answer())
        read_head(connection)

    with scripted(script) as url:
        connection = Connection(Address(url), QUICK)
        connection.request("GET", "/").read()
        with pytest.raises(TransportError) as caught:
            connection.request("GET", "/")
        connection.close()
    assert caught.value.stale


def test_a_new_connection_that_was_closed_silently_is_not_stale() -> None:
    with pytest.raises(TransportError) as caught:
        ask(hang_up)
    assert not caught.value.stale


def test_a_connection_that_the_server_has_closed_is_no_longer_idle() -> None:
    closed = threading.Event()

    def script(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(answer())
        closed.wait(5)

    with scripted(script) as url:
        connection = Connection(Address(url), QUICK)
        connection.request("GET", "/").read()
        assert connection.idle()
        closed.set()
        connection._poll(1, 5.0)
        assert not connection.idle()
        connection.close()
    assert not connection.idle()
