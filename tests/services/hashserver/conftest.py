"""Real hashservers on ports of their own, and a client that shows every byte of an answer."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

DEADLINE = 30.0  # seconds
HASHSERVER = [sys.executable, "-m", "seamless.cli.hashserver"]


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """A running hashserver on `directory`."""

    def __init__(self, directory: Path, arguments: tuple[object, ...], log: Path, **environment: str):
        self.directory, self.log_path = directory, log
        words = [*HASHSERVER, str(directory), *map(str, arguments)]
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("SEAMLESS_", "HASHSERVER_"))}
        with open(log, "wb") as err:
            self.popen = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err, env={**clean, **environment}
            )

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    @property
    def port(self) -> int:
        wait_until(lambda: "listening on" in self.log or self.popen.poll() is not None)
        assert "listening on" in self.log, self.log
        return int(self.log.partition("listening on")[2].split()[0].rpartition(":")[2])

    def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, **more: Any
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request(method, path, body, dict(headers or {}), **more)
            response = connection.getresponse()
            return Answer(response.status, response.read(), {k.lower(): v for k, v in response.getheaders()})
        finally:
            connection.close()

    def get(self, name: str, **headers: str) -> Answer:
        return self.request("GET", f"/{name}", headers={k.replace("_", "-"): v for k, v in headers.items()})

    def put(self, data: bytes, name: str | None = None, **headers: str) -> Answer:
        return self.request("PUT", f"/{name or sha(data)}", data, {k.replace("_", "-"): v for k, v in headers.items()})

    def ask(self, path: str, value: Any, method: str = "GET") -> Any:
        """Send a JSON value as a body; return the value in the answer."""
        answer = self.request(method, path, json.dumps(value), {"Content-Type": "application/json"})
        assert answer.status == 200, answer
        return answer.json

    def promise(self, name: str) -> Answer:
        return self.request("PUT", f"/promise/{name}")

    def begin_put(self, name: str, length: int, data: bytes = b"") -> socket.socket:
        """Begin an upload of `length` bytes, of which `data` is sent; return the connection."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)
        connection.sendall(f"PUT /{name} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode() + data)
        wait_until(lambda: self.ask("/has-now", [name]) == [True])
        return connection

    def begin_get(self, name: str) -> socket.socket:
        """Begin a GET that has to wait; return the connection when the server waits."""
        before = self.request("GET", "/status").json["waiting"]
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)
        connection.sendall(f"GET /{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wait_until(lambda: self.request("GET", "/status").json["waiting"] > before)
        return connection

    def path(self, name: str, form: str = "") -> Path:
        return self.directory / name[:2] / (name + form)

    def files(self) -> list[str]:
        """Return the names of all files of buffers, also of those that are being written."""
        return sorted(p.name for p in self.directory.rglob("*") if p.is_file() and p.name != ".HASHSERVER_PREFIX")

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.popen.send_signal(number)
        return self.popen.wait(timeout=DEADLINE)


def answer_on(connection: socket.socket) -> Answer:
    """Return the answer that arrives on a connection, and close that."""
    with connection:
        response = http.client.HTTPResponse(connection)
        response.begin()
        return Answer(response.status, response.read(), {k.lower(): v for k, v in response.getheaders()})


def wait_until(condition: Callable[[], Any]) -> Any:
    """Return what `condition` returns as soon as that is true; fail if it never is."""
    deadline = time.monotonic() + DEADLINE
    while not (value := condition()):
        assert time.monotonic() < deadline, "this did not happen in time"
        time.sleep(0.01)
    return value


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Tools(NamedTuple):
    """What the tests cannot import from here."""

    sha: Callable[[bytes], str]
    wait_until: Callable[[Callable[[], Any]], Any]
    answer_on: Callable[[socket.socket], Answer]


@pytest.fixture(scope="session")
def tools() -> Tools:
    return Tools(sha, wait_until, answer_on)


StartServer = Callable[..., Server]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Return start_server(*arguments, directory=..., **environment): a server of its own, killed at the end."""
    started: list[Server] = []

    def run(*arguments: object, directory: Path | None = None, **environment: str) -> Server:
        directory = directory or tmp_path / "buffers"
        directory.mkdir(exist_ok=True)
        started.append(Server(directory, arguments, tmp_path / f"log-{len(started)}", **environment))
        return started[-1]

    yield run
    for server in started:
        server.popen.kill()
        server.popen.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a writable server that the tests of a module share: each uses buffers of its own."""
    directory = tmp_path_factory.mktemp("shared")
    (directory / "buffers").mkdir()
    running = Server(directory / "buffers", ("--writable", "--durability", "none"), directory / "log")
    yield running
    running.popen.kill()
    running.popen.wait()


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server without --writable that the tests of a module share."""
    directory = tmp_path_factory.mktemp("shared")
    (directory / "buffers").mkdir()
    running = Server(directory / "buffers", (), directory / "log")
    yield running
    running.popen.kill()
    running.popen.wait()


@pytest.fixture
def data(request: pytest.FixtureRequest) -> bytes:
    """Return bytes that no other test has."""
    return f"the data of {request.node.nodeid}\n".encode()
