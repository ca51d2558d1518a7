"""The life of a server process: status file, token, socket, event loop, idle timeout, signals, orderly end."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from seamless.errors import MissingDependencyError
from seamless.services.common.idle import IdleClock
from seamless.services.common.options import check_options
from seamless.services.common.service import Service

if TYPE_CHECKING:
    import socket

    from seamless.services.common.status import StatusFile

GRACE = 5  # seconds that requests in progress get when the server ends
_KEEP_ALIVE = 75  # seconds; longer than clients keep a connection, so that it is not closed under their hands
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

logger = logging.getLogger("seamless.services")


def serve(make_service: Callable[[], Service], options: Any, *, name: str, welcome: str | None = None) -> int:
    """Serve until a signal or the idle timeout ends it; return the exit status 0.

    `options` come from `add_server_options`. `make_service` is called once, after the status file was found: what
    it raises is a failed start. `welcome` is printed on stdout when requests are accepted. Every failure to start
    becomes `failed` in the status file, then is raised: SeamlessError, UsageError (a mistake in the options), OSError.
    """
    from seamless.services.common.logs import configure_logging
    from seamless.services.common.status import StatusFile

    configure_logging(options.log_format)
    status = None
    if options.status_file:
        status = StatusFile(options.status_file)
        status.read()
    try:
        check_options(options)
        server = _Process(make_service(), options, status, name, welcome)
        return server.run()
    except BaseException as exc:
        if status is not None and (status.fields or {}).get("status") != "running":
            status.failed(str(exc) or type(exc).__name__)
        raise


class _Process:
    """One server from its socket to its end."""

    def __init__(self, service: Service, options: Any, status: StatusFile | None, name: str, welcome: str | None):
        from seamless.services.common.frame import Frame
        from seamless.services.common.ports import is_loopback, listen
        from seamless.services.common.token import choose_token

        self.service, self.status, self.name, self.welcome = service, status, name, welcome
        self.clock = IdleClock(options.timeout)
        self.reason = ""
        self.listener: socket.socket = listen(options.host, options.port, options.port_range)
        loopback = is_loopback(self.listener)
        self.token = choose_token(options, status, loopback=loopback)
        if self.token is None and not options.insecure:
            print(f"{name}: no token is asked for; every user of this machine has access", file=sys.stderr)
        frame = Frame(
            service,
            name=name,
            clock=self.clock,
            token=self.token,
            access_log=options.access_log,
            launch_id=(status.fields or {}).get("launch_id") if status is not None else None,
        )
        self.app = _with_cors(frame, options.cors)

    def run(self) -> int:
        """Run the event loop until the end."""
        import asyncio

        with contextlib.closing(self.listener):
            loop = _new_loop()
            try:
                asyncio.set_event_loop(loop)
                loop.run_until_complete(self._main())
            finally:
                asyncio.set_event_loop(None)
                loop.close()
        if self.status is not None:
            self.status.ended(self.reason)
        return 0

    async def _main(self) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        server = self._uvicorn()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._end, server, f"received {signal.Signals(number).name}")
        await self.service.start()
        watch = loop.create_task(self._watch(server))
        try:
            await server.serve(sockets=[self.listener])
        finally:
            watch.cancel()
            await self.service.close()

    def _announce(self) -> None:
        """Say that requests are accepted."""
        host, port = self.listener.getsockname()[:2]
        if self.status is not None:
            fields = {"port": port}
            self.status.running(**(fields if self.token is None else {**fields, "token": self.token}))
        print(f"{self.name}: listening on http://{f'[{host}]' if ':' in host else host}:{port}", file=sys.stderr)
        if self.welcome is not None:
            print(self.welcome, flush=True)

    async def _watch(self, server: Any) -> None:
        """Announce the server when it has started, then end it when it has been idle for too long."""
        import asyncio

        while not server.started:
            await asyncio.sleep(0.005)
        try:
            self._announce()
        except BaseException as exc:
            self._failure = exc
            self._end(server, str(exc))
            raise
        timeout = self.clock.timeout
        if timeout is None:
            return
        while not self.clock.expired():
            await asyncio.sleep(min(1.0, timeout / 4))
        self._end(server, f"idle for more than {timeout:g} s")

    def _end(self, server: Any, reason: str) -> None:
        if not self.reason:
            self.reason = reason
            logger.info("%s ends: %s", self.name, reason)
            self.service.stop()
        server.should_exit = True
