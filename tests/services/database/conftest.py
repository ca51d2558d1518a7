"""A real database server in a process of its own, and a small client of it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ABSENT = object()
DEADLINE = 30.0  # seconds for whatever a test waits for


def until(condition: Callable[[], Any], what: str) -> Any:
    """Return the first true value of `condition()`; fail the test if there is none in time."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.01)
    pytest.fail(f"waited {DEADLINE:g} s for {what}")


class Answer:
    def __init__(self, response: http.client.HTTPResponse):
        self.status, self.text = response.status, response.read().decode()
        self.headers = response.headers

    def __eq__(self, other: object) -> bool:
        return (self.status, self.text) == other

    def __repr__(self) -> str:
        return repr((self.status, self.text))

    def json(self) -> Any:
        return json.loads(self.text)


class Server:
    """A running `seamless-database`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path):
        self.process, self.log = process, log
        match = until(self._listening, "the server to listen")
        self.port = int(match[1])
        self._connection: http.client.HTTPConnection | None = None

    def _listening(self) -> re.Match[str] | None:
        text = self.log.read_text()
        if self.process.poll() is not None:
            pytest.fail(f"the server ended with {self.process.returncode}:\n{text}")
        return re.search(r"listening on http://[^ ]+:(\d+)", text)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)

    def request(self, method: str, body: bytes | str = b"", path: str = "/", **headers: str) -> Answer:
        """Send a request on the one connection of this test's thread."""
        if self._connection is None:
            self._connection = self.connect()
        try:
            self._connection.request(method, path, body, headers)
            return Answer(self._connection.getresponse())
        except BaseException:
            self.close()
            raise

    def get(self, type: str, checksum: Any = ABSENT, **fields: Any) -> Answer:
        return self.request("GET", request(type, checksum, **fields))

    def put(self, type: str, checksum: Any = ABSENT, **fields: Any) -> Answer:
        return self.request("PUT", request(type, checksum, **fields))

    def close(self) -> None:
        """Close the connection of this test."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)


def request(type: str, checksum: Any = ABSENT, **fields: Any) -> str:
    """Return the JSON text of a request."""
    return json.dumps({"type": type, **({} if checksum is ABSENT else {"checksum": checksum}), **fields})


Start = Callable[..., Server]


Spawn = Callable[..., tuple[subprocess.Popen[bytes], Path]]
Start = Callable[..., Server]


def spawner(directory: Path) -> Iterator[Spawn]:
    """Yield spawn(*arguments, env=None): start the command; give the process and the file of its stderr."""
    processes = []

    def start(
        *arguments: str | os.PathLike[str], env: dict[str, str] | None = None
    ) -> tuple[subprocess.Popen[bytes], Path]:
        log = directory / f"server-{len(processes)}.log"
        command = [sys.executable, "-m", "seamless.cli.database", *map(os.fspath, arguments)]
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                command, cwd=directory, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, stderr=stderr
            )
        processes.append(process)
        return process, log

    try:
        yield start
    finally:
        for process in processes:
            process.kill()
            process.wait(DEADLINE)


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Spawn]:
    """Return what starts the command, whatever becomes of it."""
    yield from spawner(tmp_path)


@pytest.fixture
def start(spawn: Spawn) -> Iterator[Start]:
    """Return start(*arguments): a server that listens."""
    servers: list[Server] = []

    def started(*arguments: str | os.PathLike[str], env: dict[str, str] | None = None) -> Server:
        servers.append(Server(*spawn(*arguments, env=env)))
        return servers[-1]

    yield started
    for server in servers:
        server.close()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return where the database of this test is, or will be."""
    (tmp_path / "db").mkdir()
    return tmp_path / "db" / "seamless.db"


@pytest.fixture
def server(start: Start, database: Path) -> Server:
    """Return a writable server of a new database."""
    return start("--writable", database)


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a writable server for requests of which none is granted, so that they can share it."""
    directory = tmp_path_factory.mktemp("refusing")
    with contextmanager(spawner)(directory) as spawn:
        server = Server(*spawn("--writable", directory / "seamless.db"))
        yield server
        server.close()
