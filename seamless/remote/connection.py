"""One connection to a service: HTTP/1.1 over a plain socket, one request at a time. No retries, no redirections.

`_socket` is the part of the module `socket` that is written in C; the rest of it takes 6 ms to import.
"""

from __future__ import annotations

import _socket
import select
import time

from seamless.remote.address import Address
from seamless.remote.errors import TransportError
from seamless.remote.response import Response, Source, read_head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Protocol

    from seamless.remote.settings import Timeouts

    class Body(Protocol):
        """What is sent with a request: `length` bytes. `chunks` begins anew at each call."""

        length: int

        def chunks(self) -> Iterator[Any]: ...


_TOGETHER = 1 << 16  # bytes of a body that are sent along with the head
_ASK_FIRST = 1 << 20  # bytes from which the server is asked whether it wants the body at all
_ASK_SECONDS = 1.0  # how long it may take to say so
_PIECE = 1 << 18


class ChangedWhileSentError(Exception):
    """A file has become shorter while it was sent: (expected, found) bytes."""


class _CannotSendError(Exception):
    """Internal: the connection does not take what is sent."""


class View:
    """A body that is in memory."""

    def __init__(self, data: Any):
        self._view = memoryview(data)
        self.length = len(self._view)

    def chunks(self) -> Iterator[memoryview]:
        """Give the bytes, in pieces."""
        for start in range(0, len(self._view), _PIECE):
            yield self._view[start : start + _PIECE]


class Connection:
    """A connection that is open; raises TransportError if it cannot be opened."""

    def __init__(self, address: Address, timeouts: Timeouts):
        self.address = address
        self.used = False
        self._deadline: float | None = None
        self.set_timeouts(timeouts)
        self._sock = _connect(address, timeouts.connect)

    def set_timeouts(self, timeouts: Timeouts) -> None:
        """Set how long the requests to come may take."""
        self._read_timeout, self._total = timeouts.read, timeouts.total

    def __del__(self) -> None:
        if hasattr(self, "_sock"):
            self._sock.close()

    def close(self) -> None:
        """Close it."""
        self._sock.close()

    def idle(self) -> bool:
        """Tell whether it is still open and the server has sent nothing meanwhile (such as the end)."""
        try:
            return not self._poll(select.POLLIN, 0.0)
        except (OSError, ValueError):
            return False

    def request(self, method: str, target: str, headers: str = "", body: Any = None) -> Response:
        """Send a request and return the answer, of which the head has been read.

        `headers`: whole lines. `body`: bytes-like, or a Body. What is wrong raises TransportError, with `.stale` set
        if the connection has been used before and the server has not said anything to this request.
        """
        stale, self.used = self.used, True
        source = Source(self._receive)
        self._deadline = time.monotonic() + self._total if self._total is not None else None
        try:
            try:
                sent = self._send(method, target, headers, body, source)
            except _CannotSendError:
                sent = False  # the server may have said why before it closed the connection
            response = Response(source, method, reuse=sent)
            if not stale:
                self.address.check(response.headers)
        except TransportError as exc:
            exc.stale = stale and not source.received
            raise
        return response

    def _send(self, method: str, target: str, headers: str, body: Any, source: Source) -> bool:
        """Send head and body; False if the server has answered before it had all, so that the rest was not sent."""
        address = self.address
        head = f"{method} {address.prefix}{target} HTTP/1.1\r\n{address.head}{headers}"
        if body is None:
            self._send_all(f"{head}\r\n".encode("latin-1"))
            return True
        if not hasattr(body, "chunks"):
            body = memoryview(body)
            if body.nbytes <= _TOGETHER:
                self._send_all(f"{head}Content-Length: {body.nbytes}\r\n\r\n".encode("latin-1") + body)
                return True
            body = View(body)
        ask = body.length >= _ASK_FIRST
        expect = "Expect: 100-continue\r\n" if ask else ""
        self._send_all(f"{head}Content-Length: {body.length}\r\n{expect}\r\n".encode("latin-1"))
        if ask and self._poll(select.POLLIN, _ASK_SECONDS) and not self._wants_body(source):
            return False
        return self._send_body(body)

    def _wants_body(self, source: Source) -> bool:
        """Read the answer to `Expect`; False if it is a final one, which is then still to be read."""
        if not source.ahead(b"HTTP/1.1 100"):
            return False
        read_head(source)
        return True

    def _send_body(self, body: Body) -> bool:
        """Send the body; False if the server has answered meanwhile."""
        sent = 0
        for chunk in body.chunks():
            view = memoryview(chunk)
            sent += len(view)
            if not self._send_piece(view):
                return False
        if sent != body.length:
            raise ChangedWhileSentError(body.length, sent)
        return True

    def _send_piece(self, view: memoryview) -> bool:
        """Send a part of a body; False if the server has answered meanwhile."""
        while view:
            events = self._poll(select.POLLIN | select.POLLOUT, self._patience())
            if not events:
                raise TransportError(self._too_late())
            if events & ~select.POLLOUT:
                return False
            self._sock.settimeout(0.0)
            try:
                view = view[self._sock.send(view) :]
            except BlockingIOError:
                continue
            except OSError as exc:
                raise _CannotSendError from exc
        return True

    def _send_all(self, data: bytes) -> None:
        self._sock.settimeout(self._patience())
        try:
            self._sock.sendall(data)
        except TimeoutError as exc:
            raise TransportError(self._too_late()) from exc
        except OSError as exc:
            raise _CannotSendError from exc

    def _receive(self, view: Any) -> int:
        self._sock.settimeout(self._patience())
        try:
            return self._sock.recv_into(view)
        except TimeoutError as exc:
            raise TransportError(self._too_late()) from exc
        except OSError as exc:
            raise TransportError(f"the connection failed: {exc.strerror or exc}") from exc

    def _patience(self) -> float | None:
        """Return for how many seconds nothing may happen. Raises TransportError when the total time is over."""
        if self._deadline is None:
            return self._read_timeout
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TransportError(self._too_late())
        return left if self._read_timeout is None else min(left, self._read_timeout)

    def _too_late(self) -> str:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return f"it took more than {self._total:g} s (SEAMLESS_REMOTE_TOTAL_TIMEOUT)"
        return f"nothing came for {self._read_timeout:g} s (SEAMLESS_REMOTE_READ_TIMEOUT)"

    def _poll(self, events: int, timeout: float | None) -> int:
        """Wait for one of `events`; returns what happened, 0 after `timeout` seconds."""
        poller = select.poll()
        poller.register(self._sock.fileno(), events)
        happened = poller.poll(None if timeout is None else timeout * 1000)
        return happened[0][1] if happened else 0


def _connect(address: Address, timeout: float | None) -> _socket.socket:
    """Return a socket that is connected to the first of the host's addresses that answers."""
    failure: OSError | None = None
    for family, where in _candidates(address.host, address.port):
        sock = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            sock.settimeout(timeout)
            sock.connect(where)
            sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        except OSError as exc:
            sock.close()
            failure = failure or exc
            continue
        except BaseException:
            sock.close()
            raise
        return sock
    if isinstance(failure, TimeoutError):
        raise TransportError(f"no connection within {timeout:g} s (SEAMLESS_REMOTE_CONNECT_TIMEOUT)") from failure
    raise TransportError(f"{failure.strerror or failure}" if failure else "its host has no address") from failure


def _candidates(host: str, port: int) -> Iterator[tuple[int, Any]]:
    """Give (family, address) in order; what needs no look-up comes first."""
    if host == "localhost":
        yield _socket.AF_INET, ("127.0.0.1", port)
        yield _socket.AF_INET6, ("::1", port)
        return
    if host.replace(".", "").isdigit():
        yield _socket.AF_INET, (host, port)
        return
    try:
        found = _socket.getaddrinfo(host, port, 0, _socket.SOCK_STREAM)
    except OSError as exc:
        error = TransportError(f"its host name {host!r} cannot be looked up: {exc.strerror or exc}")
        error.retry = exc.errno != _socket.EAI_NONAME
        raise error from exc
    for family, _, _, _, where in found:
        yield family, where
