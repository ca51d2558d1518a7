"""The helpers that ask: rhl-pid-alive, rhl-verify-port, rhl-handshake, rhl-conda-info, rhl-cache-conda."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seamless.launcher.helpers import verify_port

if TYPE_CHECKING:
    from tests.launcher.helpers.conftest import Helper


@pytest.fixture
def unused_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


Answering = Callable[[bytes], int]


@pytest.fixture
def answering() -> Iterator[Answering]:
    """Return answering(text): the port of a server that answers every request with it, and counts nothing."""
    listeners, threads = [], []

    def serve(listener: socket.socket, text: bytes) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                if connection.recv(65536):
                    connection.sendall(text)

    def start(text: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=serve, args=(listener, text))
        thread.start()
        listeners.append(listener)
        threads.append(thread)
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join()


def test_pid_alive_says_it_by_the_status(helper: Helper) -> None:
    assert helper("pid-alive", str(os.getpid())) == (0, "", "")
    ended = subprocess.Popen(["true"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert helper("pid-alive", str(ended.pid)) == (1, "", "")
    ended.wait()
    assert helper("pid-alive", str(ended.pid)) == (1, "", "")
    assert helper("pid-alive", "9" * 18) == (1, "", "")


def test_verify_port_is_silent_about_a_port_that_listens(helper: Helper, answering: Answering) -> None:
    assert helper("verify-port", "127.0.0.1", str(answering(b""))) == (0, "", "")


def test_verify_port_gives_the_error_after_its_last_try(
    helper: Helper, unused_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(verify_port.time, "sleep", pauses.append)
    result = helper("verify-port", "127.0.0.1", str(unused_port))
    assert result == (1, "", f"rhl-verify-port: 127.0.0.1:{unused_port}: connection refused\n")
    assert pauses == [2.0, 2.0]


def test_verify_port_sees_a_port_that_comes_late(
    helper: Helper, unused_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", unused_port))
        monkeypatch.setattr(verify_port.time, "sleep", lambda seconds: listener.listen())
        assert helper("verify-port", "127.0.0.1", str(unused_port)).status == 0


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", 0, ""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 0, ""),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\nsecret", 2, "HTTP status 503"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", 2, "HTTP status 302"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", 1, "what answered does not speak HTTP"),
        (b"", 1, "the connection was closed without an answer"),
    ],
)
def test_the_answer_to_a_handshake_is_the_status(
    helper: Helper, answering: Answering, answer: bytes, status: int, text: str
) -> None:
    result = helper("handshake", f"http://127.0.0.1:{answering(answer)}/healthcheck?a=b")
    assert result == (status, "", f"rhl-handshake: {text}\n" if text else "")


def test_a_handshake_with_nobody_fails(helper: Helper, unused_port: int) -> None:
    assert helper("handshake", f"http://127.0.0.1:{unused_port}") == (1, "", "rhl-handshake: connection refused\n")


def test_a_handshake_over_tls_needs_tls(helper: Helper, answering: Answering) -> None:
    status, _, err = helper("handshake", f"https://127.0.0.1:{answering(b'HTTP/1.1 200 OK')}/")
    assert status == 1 and err.startswith("rhl-handshake: ")


@pytest.mark.parametrize("url", ["ftp://a/", "http://", "http:///x", "http://user@host/", "http://a:99999/", "a"])
def test_a_handshake_needs_a_url_with_a_host(helper: Helper, url: str) -> None:
    assert helper("handshake", url) == (1, "", "rhl-handshake: URL must use http or https and include a host\n")


def test_conda_info_is_what_cache_conda_has_found(helper: Helper, miniforge: Path, base: Path) -> None:
    cache = base / "conda-setup.json"
    assert helper("conda-info") == (1, "", f"rhl-conda-info: cache file not found: {cache}\n")
    assert helper("cache-conda") == (0, f"rhl-cache-conda: wrote {cache}\n", "")
    status, out, err = helper("conda-info")
    assert (status, err) == (0, "")
    assert out == json.dumps(json.loads(cache.read_text()), sort_keys=True, separators=(",", ":")) + "\n"
    assert json.loads(out)["conda_base"] == str(miniforge)


def test_cache_conda_without_conda_says_so(
    helper: Helper, isolation: Path, monkeypatch: pytest.MonkeyPatch, require: Callable[[object, str], None]
) -> None:
    require(not Path("/opt/conda").exists(), "this machine has conda")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    status, out, err = helper("cache-conda")
    assert (status, out) == (1, "")
    assert err.startswith("rhl-cache-conda: conda activate is not initialized and no usable conda.sh was found")
