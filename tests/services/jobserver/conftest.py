"""A real jobserver in a process of its own, with a cache directory as its stores; and programs that use it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

DEADLINE = 60.0  # seconds for whatever a test waits for


def eventually(condition: Callable[[], Any]) -> Any:
    """Return the first true value of `condition()`; fail the test if there is none in time."""
    deadline = time.monotonic() + DEADLINE
    while not (value := condition()):
        assert time.monotonic() < deadline, "this did not happen in time"
        time.sleep(0.01)
    return value


class Answer(NamedTuple):
    status: int
    text: str
    headers: Mapping[str, str]

    def json(self) -> Any:
        return json.loads(self.text)


class Jobserver:
    """A running `seamless-jobserver`. `counter`: a file in which the steps of the tests leave a line each."""

    def __init__(self, directory: Path, *arguments: str, **environment: str) -> None:
        self.directory, self.cache, self.counter = directory, directory / "cache", directory / "count"
        self.log = directory / f"server-{time.monotonic_ns()}.log"
        command = [sys.executable, "-m", "seamless.cli.jobserver", "--port", "0", *arguments]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=directory,
                env={**os.environ, "SEAMLESS_CACHE": str(self.cache), **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    @property
    def port(self) -> int:
        def listening() -> re.Match[str] | None:
            assert self.process.poll() is None, self.log.read_text()
            return re.search(r"listening on http://[^ ]+:(\d+)", self.log.read_text())

        return int(eventually(listening)[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            return Answer(response.status, response.read().decode(), dict(response.getheaders()))
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.request("GET", "/status").json()
        return found

    @property
    def ran(self) -> int:
        """How often steps have begun."""
        return self.counter.read_text().count("ran\n") if self.counter.exists() else 0

    def workers(self) -> list[int]:
        """Return the processes of this server that execute steps, or could."""
        return [pid for pid in descendants(self.process.pid) if descendants(pid) == [] and pid != self.process.pid]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)


def descendants(pid: int) -> list[int]:
    """Return the children of a process, and theirs."""
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        for task in Path(f"/proc/{pid}/task").iterdir():
            if task.name != str(pid):
                children += [int(child) for child in (task / "children").read_text().split()]
    except OSError:
        return []
    return [*children, *(below for child in children for below in descendants(child))]


Start = Callable[..., Jobserver]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return start(*arguments, **environment): a jobserver that is stopped at the end of the test."""
    servers: list[Jobserver] = []

    def started(*arguments: str, **environment: str) -> Jobserver:
        servers.append(Jobserver(tmp_path, *arguments, **environment))
        return servers[-1]

    yield started
    for server in servers:
        server.process.kill()
        server.process.wait(DEADLINE)


@pytest.fixture
def server(start: Start) -> Jobserver:
    """Return a jobserver with two workers."""
    return start("--workers", "2")


@pytest.fixture
def use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Jobserver], None]:
    """Return use(server): have the transformations of this process executed by it, with the same cache directory."""

    def used(server: Jobserver) -> None:
        from seamless.config.embedded import activate_embedded
        from seamless.remote import jobserver_remote
        from seamless.transformer.executors import use_remote

        activate_embedded(directory=server.cache)
        client = jobserver_remote.define_extern_client("here", "jobserver", url=server.url)
        jobserver_remote.activate(extern_clients=[client], no_main=True)
        use_remote("jobserver")

    return used
