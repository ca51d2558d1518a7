"""The health check: its URL, and what counts as healthy."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from seamless.launcher import HandshakeConfig, build_handshake_url
from seamless.launcher.handshake import probe


@pytest.mark.parametrize(
    ("host", "handshake", "expected"),
    [
        ("h", HandshakeConfig(), "http://h:1/"),
        ("h", HandshakeConfig("healthcheck"), "http://h:1/healthcheck"),
        ("h", HandshakeConfig("/a/b"), "http://h:1/a/b"),
        ("::1", HandshakeConfig("x"), "http://[::1]:1/x"),
        ("h", HandshakeConfig("p?a=1&b=2", {"b": "3", "c": "x y"}), "http://h:1/p?a=1&b=3&c=x+y"),
    ],
)
def test_the_url_has_path_and_parameters(host: str, handshake: HandshakeConfig, expected: str) -> None:
    assert build_handshake_url(host, 1, handshake) == expected


Answering = Callable[[bytes], int]


@pytest.fixture
def answering() -> Iterator[Answering]:
    """Return answering(data): the port of a server that answers every request with these bytes, then closes."""
    listeners = []

    def start(data: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.0 204 No Content\n\n", ""),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", "HTTP status 302"),
        (b"HTTP/1.1 500 \r\n\r\n", "HTTP status 500"),
        (b"HTTP/1.1\r\n\r\n", "does not speak HTTP"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 20x OK\r\n\r\n", "does not speak HTTP"),
        (b"", "closed without an answer"),
        (b"HTTP/1.1 200 OK\r\nX-Seamless-Launch-ID: mine\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nX-Seamless-Launch-Id: other\r\n\r\n", "another service answers"),
    ],
)
def test_only_a_good_answer_of_the_right_service_is_healthy(answering: Answering, data: bytes, problem: str) -> None:
    answer = probe("127.0.0.1", answering(data), HandshakeConfig("x"), launch_id="mine")
    assert answer.healthy is (not problem)
    assert problem in answer.problem


def test_nobody_on_the_port_is_not_healthy() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        answer = probe("127.0.0.1", unused.getsockname()[1], None)
    assert "refused" in answer.problem


def test_a_name_that_does_not_exist_is_not_healthy() -> None:
    assert not probe("no-such-host.invalid", 1, None).healthy


def test_silence_is_not_healthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answer = probe("127.0.0.1", listener.getsockname()[1], HandshakeConfig("x"), timeout=0.05)
    assert "no answer within" in answer.problem


def test_names_are_looked_up(answering: Answering) -> None:
    assert probe("localhost", answering(b"HTTP/1.1 200 OK\r\n\r\n"), HandshakeConfig("x")).healthy
