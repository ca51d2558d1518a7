"""A connection of a server: that of uvicorn, which answers quick requests itself.

A quick request is taken only between two others, never in the middle of one; everything else is left to uvicorn.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from seamless.services.common.frame import Frame
from seamless.services.common.quick import (
    LARGEST,
    LATER,
    Heads,
    QuickAnswer,
    header_lines,
    status_line,
)

_HEADS = 500  # remembered, for a second


class Connections:
    """What the connections of a server share."""

    def __init__(self, frame: Frame):
        self.frame, self.heads = frame, Heads(frame.admits)
        self.waiting: set[QuickProtocol] = set()
        self._headers: Any = None
        self._heads: dict[tuple[int, bytes, int], bytes] = {}

    def head(self, headers: list[tuple[bytes, bytes]], status: int, lines: bytes, length: int) -> bytes:
        """Return the head of an answer. `headers` are those of all answers; uvicorn makes them anew each second."""
        if headers is not self._headers or len(self._heads) > _HEADS:
            self._headers = headers
            self._heads.clear()
        head = self._heads.get((status, lines, length))
        if head is None:
            common = header_lines(headers)
            head = b"%b%b%bcontent-length: %d\r\n\r\n" % (status_line(status), common, lines, length)
            self._heads[status, lines, length] = head
        return head

    def give_up(self) -> None:
        """Tell those who wait for a quick answer that the server ends."""
        for connection in list(self.waiting):
            connection.give_up()


class QuickProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, connections: Connections, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._all = connections
        self._between = True  # uvicorn's parser is not in the middle of a request
        self._waiting: tuple[str, float] | None = None  # for an answer: the method, and when the request came
        self._held: list[bytes] = []  # what has come meanwhile
        self._last = 0.0  # when the last quick request came
        self._ending = False

    # --- requests ----------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._waiting is not None:
            self._held.append(data)
            self.flow.pause_reading()
        elif not (self._between and len(data) <= LARGEST and self._is_quick(data)):
            super().data_received(data)

    def on_message_begin(self) -> None:
        self._between = False
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._between = True
        super().on_message_complete()

    def _is_quick(self, data: bytes) -> bool:
        """Answer, now or later, if this is a quick request."""
        if (self.cycle is not None and not self.cycle.response_complete) or self.flow.write_paused:
            return False
        found = self._all.heads.read(data)
        if found is None:
            return False
        start = monotonic()
        scope, body = found
        scope["client"] = self.client
        answer = self._all.frame.quick(scope, body, self._deliver)
        if answer is None:
            return False
        self._last = start
        if self.timeout_keep_alive_task is None:
            self._expect_more(self.timeout_keep_alive)
        self._all.frame.clock.begin()
        if answer is LATER:
            self._waiting = scope["method"], start
            self._all.waiting.add(self)
        else:
            self._send(answer, scope["method"], start)
        return True

    def _deliver(self, make: Callable[..., QuickAnswer], *arguments: Any) -> None:
        """Give the answer that has been waited for, and go on with what has come meanwhile."""
        answer = self._all.frame.finish(make, arguments)  # also if nobody wants it any more
        if self._waiting is None:
            return
        self._end_waiting(answer)
        if self._held and not self.transport.is_closing():
            data = b"".join(self._held)
            self._held.clear()
            self.flow.resume_reading()
            self.data_received(data)

    def _end_waiting(self, answer: QuickAnswer) -> None:
        assert self._waiting is not None
        (method, start), self._waiting = self._waiting, None
        self._all.waiting.discard(self)
        self._send(answer, method, start)

    def _send(self, answer: QuickAnswer, method: str, start: float) -> None:
        status, lines, body = answer
        if not self.transport.is_closing():
            head = self._all.head(self.server_state.default_headers, status, lines, len(body))
            if self._ending:
                self.transport.write(head[:-2] + b"connection: close\r\n\r\n" + body)
                self.transport.close()
            else:
                self.transport.write(head + body)
        self.server_state.total_requests += 1
        self._all.frame.count(method, status, start, len(body))

    # --- the end of the connection -----------------------------------------------------------

    def shutdown(self) -> None:
        self._ending = True  # with the answer, if one is to come
        if self._waiting is None:
            super().shutdown()

    def give_up(self) -> None:
        """Tell the client that the server ends."""
        self._end_waiting(self._all.frame.unavailable)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._held.clear()

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        left = self._last + self.timeout_keep_alive - monotonic()
        if self._waiting is not None:
            left = self.timeout_keep_alive
        if left > 0:
            self._expect_more(left)
        else:
            super().timeout_keep_alive_handler()

    def _expect_more(self, seconds: float) -> None:
        """Look after so many seconds whether the connection is still used; not after each quick request anew."""
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)
