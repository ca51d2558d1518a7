"""The event loop of a server: uvicorn on a socket that is already listening, ended by signals or the idle clock.

httptools and uvloop are used where they are installed, h11 and asyncio elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import importlib.util
import logging
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import uvicorn

from seamless.services.common.asgi import App
from seamless.services.common.frame import Frame
from seamless.services.common.idle import IdleClock
from seamless.services.common.service import Service

if TYPE_CHECKING:
    from seamless.services.common.protocol import Connections

GRACE = 5  # seconds that requests in progress get when the server ends
_KEEP_ALIVE = 75  # seconds; longer than clients keep a connection, so that it is not closed under their hands
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

logger = logging.getLogger("seamless.services")


class Engine:
    """Runs one service from its start to its end. `announce` is called when requests are accepted."""

    def __init__(
        self,
        service: Service,
        frame: Frame,
        *,
        clock: IdleClock,
        listener: socket.socket,
        announce: Callable[[], None],
        origins: Sequence[str] | None = None,
    ):
        self._service, self._clock, self._listener = service, clock, listener
        # Quick requests pass by the middleware and by the log.
        self._connections = None if origins or frame.access_log else _connections(frame)
        config = _config(_with_cors(frame, origins), self._connections, frame.headers)
        self._server = _Server(config, announce)
        self._reason = ""

    def run(self) -> str:
        """Serve until the end; return the reason for it."""
        loop = _new_loop()
        try:
            asyncio.set_event_loop(loop)
            loop.run_until_complete(self._main(loop))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            loop.close()
        return self._reason

    async def _main(self, loop: asyncio.AbstractEventLoop) -> None:
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._end, f"received {signal.Signals(number).name}")
        await self._service.start()
        gc.collect()
        gc.freeze()  # what is there now stays: the collector need not look at it again and again
        watch = loop.create_task(self._watch())
        try:
            await self._server.serve(sockets=[self._listener])
        finally:
            watch.cancel()
            if self._server.server_state.tasks:  # canceled after the grace: they still clean up
                await asyncio.wait(self._server.server_state.tasks, timeout=GRACE)
            if self._connections is not None:
                self._connections.give_up()
            await self._service.close()

    async def _watch(self) -> None:
        timeout = self._clock.timeout
        if timeout is None:
            return
        while self._service.busy() or not self._clock.expired():
            if self._service.busy():
                self._clock.touch()
            await asyncio.sleep(min(1.0, timeout / 4))
        self._end(f"idle for more than {timeout:g} s")

    def _end(self, reason: str) -> None:
        if not self._reason:
            self._reason = reason
            logger.info("the server ends: %s", reason)
            self._service.stop()
        self._server.should_exit = True


class _Server(uvicorn.Server):
    """uvicorn, but signals are ours, and somebody is told when it listens."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]):
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._announce()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _connections(frame: Frame) -> Connections | None:
    """Return what connections with quick requests need, or None where httptools is not installed."""
    if importlib.util.find_spec("httptools") is None:
        return None
    from seamless.services.common.protocol import Connections

    return Connections(frame)


def _protocol(connections: Connections | None) -> Any:
    if connections is None:
        return "httptools" if importlib.util.find_spec("httptools") else "h11"
    from seamless.services.common.protocol import QuickProtocol

    return functools.partial(QuickProtocol, connections=connections)


def _config(app: App, connections: Connections | None, headers: list[tuple[str, str]]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_protocol(connections),
        loop="none",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=headers,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
    )


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _with_cors(frame: Frame, origins: Sequence[str] | None) -> App:
    if not origins:
        return frame
    from starlette.middleware.cors import CORSMiddleware

    cors: App = CORSMiddleware(frame, allow_origins=list(origins), allow_methods=["*"], allow_headers=["*"])
    return cors
