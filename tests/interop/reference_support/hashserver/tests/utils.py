"""What the tests of the reference's buffer server import from their helper module, which is in no source archive."""

from __future__ import annotations

import contextlib
import http.client
import random
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from os import environ
from pathlib import Path

READY_SECONDS = 60


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def allocate_port_range(size: int) -> tuple[int, int]:
    """Return the first and the last of `size` free ports, below the range of ephemeral ones."""
    for first in random.sample(range(20000, 30000, size), 100):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + size):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first, first + size - 1
    raise OSError(f"no {size} consecutive free ports")


def wait_for_server(port: int) -> None:
    """Return as soon as the health check is answered."""
    end = time.monotonic() + READY_SECONDS
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/healthcheck")
            if connection.getresponse().status == 200:
                return
        if time.monotonic() > end:
            raise TimeoutError(f"no server at port {port} after {READY_SECONDS} s")
        time.sleep(0.05)


@contextlib.contextmanager
def start_server(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None, text: bool = True
) -> Iterator[subprocess.Popen[str]]:
    """Run a server for the duration of a block; its output is readable and ends with it."""
    with subprocess.Popen(
        command, env={**environ, **(env or {})}, cwd=cwd, text=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
