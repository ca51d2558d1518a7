"""Real server processes, each on a port of its own, and a way to talk to them."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

PROBE = Path(__file__).with_name("probe.py")
DEADLINE = 30.0  # seconds


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str]


class Process:
    """A running server."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], directory: Path):
        self.out, self.err = directory / "stdout", directory / "stderr"
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.popen = subprocess.Popen(
                [sys.executable, str(PROBE), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, **environment},
            )

    @property
    def log(self) -> str:
        return self.err.read_text()

    @property
    def port(self) -> int:
        """Return the port, once requests are accepted."""
        eventually(lambda: "listening on" in self.log or self.popen.poll() is not None)
        return int(self.log.partition("listening on")[2].split()[0].rpartition(":")[2])

    def wait(self) -> int:
        return self.popen.wait(timeout=DEADLINE)

    def request(
        self, path: str, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, response.read(), {k.lower(): v for k, v in response.getheaders()})
        finally:
            connection.close()


def eventually(condition: Callable[[], Any]) -> Any:
    """Return what `condition` returns as soon as that is true; fail if it never is."""
    deadline = time.monotonic() + DEADLINE
    while not (value := condition()):
        assert time.monotonic() < deadline, "this did not happen in time"
        time.sleep(0.01)
    return value


@pytest.fixture
def wait_for() -> Callable[[Callable[[], Any]], Any]:
    """Return wait_for(condition): wait until it is true."""
    return eventually


Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return start(*arguments, **environment): a server process, killed at the end of the test."""
    started: list[Process] = []

    def run(*arguments: object, **environment: str) -> Process:
        directory = tmp_path / f"process-{len(started)}"
        directory.mkdir()
        started.append(Process([str(a) for a in arguments], environment, directory))
        return started[-1]

    yield run
    for process in started:
        process.popen.kill()
        process.popen.wait()


@pytest.fixture
def status_file(tmp_path: Path) -> Path:
    """Return a status file as a launcher leaves it."""
    path = tmp_path / "status.json"
    path.write_text(json.dumps({"pid": 1, "workdir": "x", "status": "starting"}))
    return path
