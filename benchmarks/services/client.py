"""A client that costs as little as possible: prepared requests over kept connections, answers checked and dropped."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import time
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

T = TypeVar("T")

TOKEN = "benchmark"
TIMEOUT = 60.0  # seconds, for one answer
_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PIECE = 1 << 20


class AnswerError(Exception):
    """The server has answered with something else than success."""


def request(method: str, path: str, body: bytes = b"", *, length: int | None = None, headers: str = "") -> bytes:
    """Return a request. `length`: of a body that is sent separately; `headers` end with a line break."""
    size = len(body) if length is None else length
    counted = f"Content-Length: {size}\r\n" if size else ""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n{headers}{counted}\r\n"
    return head.encode() + body


class _Connection(asyncio.Protocol):
    """Sends the next request when the last one was answered, until nothing is left."""

    def __init__(self, requests: Iterator[bytes], expected: bytes):
        self._requests, self._expected = requests, expected
        self._received = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # that of uvloop is none by its type

    def send_next(self) -> None:
        following = next(self._requests, None)
        if following is not None:
            self.transport.write(following)
        elif not self.done.done():
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self._received:
            data = self._received + data
        head = data.find(_HEAD_END)
        length = _LENGTH.search(data, 0, head + 2) if head >= 0 else None
        if head < 0 or (length is not None and len(data) < head + 4 + int(length[1])):
            self._received = data
            return
        self._received = b""
        if length is None or data[9:12] != self._expected:
            self.connection_lost(AnswerError(data[:200].decode("latin-1")))
            return
        self.send_next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or AnswerError("the server has closed the connection"))


async def _exchange(port: int, requests: Sequence[bytes], connections: int, expected: bytes) -> float:
    loop, waiting = asyncio.get_running_loop(), iter(requests)
    clients = []
    for _ in range(connections):
        _, client = await loop.create_connection(lambda: _Connection(waiting, expected), "127.0.0.1", port)
        clients.append(client)
    try:
        start = time.perf_counter()
        for client in clients:
            client.send_next()
        await asyncio.wait_for(asyncio.gather(*(client.done for client in clients)), TIMEOUT)
        return time.perf_counter() - start
    finally:
        for client in clients:
            client.done.cancel()
            client.transport.abort()


def requests_per_second(port: int, requests: Sequence[bytes], connections: int, expected: bytes = b"200") -> float:
    """Send all requests over so many connections, on each one at a time. Raises AnswerError, TimeoutError."""
    return len(requests) / _run(_exchange(port, requests, connections, expected))


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        import uvloop
    except ImportError:
        loop = asyncio.new_event_loop()
    else:
        loop = uvloop.new_event_loop()
    with contextlib.closing(loop):
        return loop.run_until_complete(work)


class LargeClient:
    """One connection for large bodies, which it does not keep."""

    def __init__(self, port: int):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._piece = memoryview(bytearray(_PIECE))

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def ask(self, head: bytes, body: Path | None = None, expected: bytes = b"200") -> tuple[float, int]:
        """Send a request, with a file as its body; return seconds and length of the answer. Raises AnswerError."""
        start = time.perf_counter()
        self._socket.sendall(head)
        if body is not None:
            with open(body, "rb") as file:
                self._socket.sendfile(file)
        length = self._receive(expected)
        return time.perf_counter() - start, length

    def _receive(self, expected: bytes) -> int:
        received = b""
        while (end := received.find(_HEAD_END)) < 0:
            if not (more := self._socket.recv(1 << 16)):
                raise AnswerError("the server has closed the connection")
            received += more
        found = _LENGTH.search(received, 0, end + 2)
        if found is None or received[9:12] != expected:
            raise AnswerError(received[:200].decode("latin-1"))
        length = int(found[1])
        left = length - (len(received) - end - 4)
        while left:
            size = self._socket.recv_into(self._piece, min(left, _PIECE))
            if not size:
                raise AnswerError("the answer was cut short")
            left -= size
        return length
