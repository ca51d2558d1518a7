"""The thread that asks after the services in use, so that they do not end for lack of requests."""

from __future__ import annotations

import os
import threading
import weakref

from seamless.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from seamless.remote.client import Client

INTERVAL = 30.0  # seconds


class KeepAlive:
    """One daemon thread for all clients that have been used. A forked child gets its own when it uses one."""

    def __init__(self, interval: float = INTERVAL):
        self.interval = interval
        self._clear()

    def _clear(self) -> None:
        self._clients: weakref.WeakSet[Client] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    def add(self, client: Client) -> None:
        """Ask after the service of this client from now on."""
        if self._pid != os.getpid():
            self._clear()
        with self._lock:
            self._clients.add(client)
            if self._thread is None or not self._thread.is_alive():
                self._stop = threading.Event()
                self._thread = threading.Thread(
                    target=self._run, args=(self._stop,), name="SeamlessKeepAlive", daemon=True
                )
                self._thread.start()

    def discard(self, client: Client) -> None:
        """Ask after it no more."""
        with self._lock:
            self._clients.discard(client)

    def stop(self) -> None:
        """End the thread; the next `add` starts another."""
        with self._lock:
            self._stop.set()
            self._thread = None
            self._clients.clear()

    def round(self) -> None:
        """Ask after every service once. One that does not answer is left to whoever needs it."""
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            try:
                client.ping()
            except StoreError as exc:
                import logging

                logging.getLogger(__name__).debug("no answer: %s", exc)

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(self.interval):
            self.round()


keepalive = KeepAlive()
