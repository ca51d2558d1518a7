"""What a server serves: an ASGI application, and hooks for its start, its end, its status and its metrics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seamless.services.common.asgi import App, Receive, Scope, Send
from seamless.services.common.quick import Deliver, Quick
from seamless.services.common.token import Guard


class Service:
    """An ASGI application with the hooks that `serve` calls; subclass it, or give it an application.

    `/healthcheck`, `/status` and `/metrics` are answered before the application is asked.
    """

    def __init__(self, app: App | None = None):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        assert self.app is not None
        await self.app(scope, receive, send)

    def quick(self, scope: Scope, body: bytes, deliver: Deliver) -> Quick:
        """Answer a small request at once; must not block. None: call this service with it as an application instead.

        `scope` has type, method, path, headers and client. After returning LATER, `deliver(make, *arguments)` is to be
        called once, in the event loop: the answer is what `make` makes of the arguments.
        """
        return None

    async def start(self) -> None:
        """Prepare, in the event loop, before the first request. An error here is a failed start."""

    def admits(self, scope: Scope, guard: Guard) -> bool:
        """Tell whether a request is let in: if it carries the token."""
        return guard.admits(scope)

    def busy(self) -> bool:
        """Whether there is work that no request waits for; it keeps the server from ending for being idle."""
        return False

    def stop(self) -> None:
        """End what waits: called in the event loop when the server begins to shut down. Must not block."""

    async def close(self) -> None:
        """Give everything back: called in the event loop after the last request."""

    def status(self) -> dict[str, Any]:
        """Return what `/status` shows beside the common fields."""
        return {}

    def metrics(self) -> Iterable[tuple[str, str, str, float]]:
        """Return (name, kind, help, value) of further metrics; kind is `counter` or `gauge`, name has no prefix."""
        return ()
