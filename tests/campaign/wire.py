"""Requests as nobody should send them, and whether a server stands them: no 5xx, and well afterwards."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

DEADLINE = 60.0  # seconds
# 501: a coding that nobody knows here. The jobserver answers 500 for a step that has failed.
ALLOWED = {"hashserver": (501,), "database": (), "jobserver": (500,)}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("a" * 64),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


class Server:
    """A server of Seamless in a process of its own. `program`: hashserver, database or jobserver."""

    def __init__(self, program: str, directory: Path, *arguments: str, **environment: str):
        self.directory = directory
        self.log, self.allowed = directory / f"{program}.log", ALLOWED[program]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"seamless.cli.{program}", *arguments, "--host", "127.0.0.1", "--port", "0"],
                cwd=directory,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        self.port = int(self._listening()[1])

    def _listening(self) -> re.Match[str]:
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            text = self.log.read_text()
            if match := re.search(r"listening on http://[^ ]+:(\d+)", text):
                return match
            assert self.process.poll() is None, text
            time.sleep(0.01)
        raise AssertionError(f"the server does not listen: {text}")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()

    def send(self, data: bytes, *, whole: bool = False) -> list[int]:
        """Send bytes; return the statuses of the answers. AssertionError for one that is a 5xx.

        `whole`: it is a request that is to be answered; otherwise the server is told that no more will come.
        """
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE) as connection:
            try:
                connection.sendall(data)
                if not whole:
                    connection.shutdown(socket.SHUT_WR)
                while piece := connection.recv(1 << 16):
                    received += piece
            except (ConnectionResetError, BrokenPipeError):  # it has hung up on us, which it may
                pass
        statuses = [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d{3}) ", received)]
        bad = [status for status in statuses if status >= 500 and status not in self.allowed]
        assert not bad and b"ERROR: Internal Server Error" not in received, (data[:300], received[:300], self.tail())
        return statuses

    def request(self, method: str, path: bytes, body: bytes = b"", headers: bytes = b"") -> list[int]:
        """Send a request whose body has the announced length."""
        head = b"%b %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%bContent-Length: %d\r\n\r\n"
        return self.send(head % (method.encode(), path, headers, len(body)) + body)

    def check(self) -> None:
        """The server is alive and well, and has logged no surprise."""
        assert self.process.poll() is None, self.tail()
        assert self.request("GET", b"/healthcheck") == [200]
        assert "Traceback" not in self.log.read_text(), self.tail()

    def tail(self) -> str:
        return self.log.read_text()[-3000:]


def mutated(text: bytes) -> st.SearchStrategy[bytes]:
    """Return `text` with some bytes put in place of others."""

    def spoil(changes: list[tuple[int, int, bytes]]) -> bytes:
        data = text
        for where, length, new in changes:
            where %= len(data) + 1
            data = data[:where] + new + data[where + length :]
        return data

    change = st.tuples(st.integers(0, 4000), st.integers(0, 12), st.binary(max_size=8))
    return st.lists(change, max_size=4).map(spoil)


def objects(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[bytes]:
    """Return JSON objects with some of these fields, each with a value of its kind or of any."""
    names = st.sets(st.sampled_from(sorted(fields)))
    return (
        names.flatmap(lambda chosen: st.fixed_dictionaries({name: fields[name] | json_values for name in chosen}))
        .map(json.dumps)
        .map(str.encode)
    )
