"""What surrounds every request: token, idle clock, counts, access log, and the answers that all servers give.

`/healthcheck` (no token needed), `/status` and `/metrics` are answered here; an unexpected error becomes a 500.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

from seamless.services.common.asgi import (
    ClientGoneError,
    Headers,
    Message,
    Receive,
    Scope,
    Send,
    send_bytes,
    send_json,
    send_text,
)
from seamless.services.common.idle import IdleClock
from seamless.services.common.metrics import CONTENT_TYPE, Metrics, exposition
from seamless.services.common.quick import Deliver, Quick, QuickAnswer, quick_text
from seamless.services.common.service import Service
from seamless.services.common.token import Guard
from seamless.version import __version__

logger = logging.getLogger("seamless.services")
access_logger = logging.getLogger("seamless.services.access")

_SHUTTING_DOWN = "ERROR: the server is shutting down"
_BUG = "ERROR: Internal Server Error"
_METHODS = frozenset(("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"))  # others are counted together


class Frame:
    """A pure ASGI middleware around a service, and what it is to quick requests."""

    unavailable = quick_text(503, _SHUTTING_DOWN)

    def __init__(
        self,
        service: Service,
        *,
        name: str,
        clock: IdleClock,
        token: str | None = None,
        access_log: bool = False,
        launch_id: Any = None,
    ):
        self.service, self.name, self.clock = service, name, clock
        self.metrics = Metrics()
        self._guard = Guard(token) if token is not None else None
        self.access_log = access_log
        self._launch_id = launch_id
        # What goes with every answer. A launch id that no header can hold is that of no launcher of ours.
        sendable = isinstance(launch_id, str) and launch_id.isascii() and launch_id.isprintable() and launch_id.strip()
        self.headers = [("x-seamless-launch-id", launch_id)] if sendable else []
        self._own = {"/healthcheck": self._healthcheck, "/status": self._status, "/metrics": self._metrics}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; never raises."""
        if scope["type"] != "http":
            return
        start, status, sent = monotonic(), 0, 0

        async def watched(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                sent += len(message.get("body", b""))
            await send(message)

        self.clock.begin()
        try:
            await self._answer(scope, receive, watched)
        except ClientGoneError:
            status = status or 499  # as others count it: nobody is left to be answered
            if status == 499:
                await send_text(send, 400, "")
        except asyncio.CancelledError:  # the server is going down and has waited long enough
            if not status:
                await send_text(watched, 503, _SHUTTING_DOWN, [(b"connection", b"close")])
        except Exception:
            logger.exception("%s %s failed", scope["method"], scope["path"])
            if status:
                raise  # the answer has begun: only a broken connection tells the client
            await send_text(watched, 500, _BUG)
        finally:
            seconds = self.count(scope["method"], status, start, sent)
            if self.access_log:
                self._log(scope, status, sent, seconds)

    def count(self, method: str, status: int, start: float, sent: int) -> float:
        """Count an answer of `sent` bytes to a request that has been going on since `start`; return its seconds."""
        self.clock.end()
        seconds = monotonic() - start
        self.metrics.count(method if method in _METHODS else "other", status, seconds, sent)
        return seconds

    # --- quick requests ----------------------------------------------------------------------

    def admits(self, headers: Headers) -> bool:
        """Tell whether a request with these headers is let in."""
        return self._guard is None or self._guard.admits({"headers": headers})

    def quick(self, scope: Scope, body: bytes, deliver: Deliver) -> Quick:
        """Return what the service answers to a quick request; never raises."""
        if scope["path"] in self._own:
            return None
        try:
            return self.service.quick(scope, body, deliver)
        except Exception:  # the HTTP boundary, as above
            logger.exception("%s %s failed", scope["method"], scope["path"])
            return quick_text(500, _BUG)

    def finish(self, make: Callable[..., QuickAnswer], arguments: Iterable[Any]) -> QuickAnswer:
        """Return the answer that `make` makes; never raises."""
        try:
            return make(*arguments)
        except asyncio.CancelledError:
            return self.unavailable
        except Exception:  # the HTTP boundary, as above
            logger.exception("a request failed")
            return quick_text(500, _BUG)

    # --- what all servers answer -------------------------------------------------------------

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        own = self._own.get(scope["path"])
        if own is not None and scope["method"] in ("GET", "HEAD"):
            if own == self._healthcheck or self._guard is None or self.service.admits(scope, self._guard):
                await own(send)
                return
        if self._guard is not None and not self.service.admits(scope, self._guard):
            await send_text(send, 401, "ERROR: Unauthorized", [(b"www-authenticate", b"Bearer")])
            return
        await self.service(scope, receive, send)

    async def _healthcheck(self, send: Send) -> None:
        await send_text(send, 200, "OK")

    async def _status(self, send: Send) -> None:
        m = self.metrics
        fields: dict[str, Any] = {"service": self.name, "version": __version__, "pid": os.getpid()}
        if self._launch_id is not None:
            fields["launch_id"] = self._launch_id
        fields |= {"started_at": round(m.started_at, 3), "uptime_seconds": round(monotonic() - m.started, 3)}
        fields |= {"requests": m.requests, "requests_in_progress": self.clock.in_progress}
        fields |= {"timeout_seconds": self.clock.timeout, "sent_bytes": m.sent}
        await send_json(send, 200, fields | self.service.status())

    async def _metrics(self, send: Send) -> None:
        text = exposition(self.name, self.metrics, self.clock, self.service)
        await send_bytes(send, 200, text, CONTENT_TYPE)

    def _log(self, scope: Scope, status: int, sent: int, seconds: float) -> None:
        client = scope.get("client")
        access_logger.info(
            "%s %s %d %d bytes %.1f ms",
            scope["method"],
            scope["path"],
            status,
            sent,
            seconds * 1000,
            extra={
                "fields": {
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "bytes": sent,
                    "seconds": round(seconds, 6),
                    "client": client[0] if client else None,
                }
            },
        )
