"""The connections to one service that are open but not in use. Any number of threads; a forked child begins anew."""

from __future__ import annotations

import os
import threading

from seamless.remote.address import Address
from seamless.remote.connection import Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from seamless.remote.settings import Timeouts

_MOST = 16  # connections that are kept open while not in use


class Pool:
    """Connections to one address. The one used last is taken first: it is the least likely to have been closed."""

    def __init__(self, address: Address):
        self.address = address
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def take(self, timeouts: Timeouts, *, new: bool = False) -> Connection:
        """Return a connection that nobody else uses; `new`: not one that has been used before."""
        if self._pid != os.getpid():
            # The sockets are those of the parent, and its lock may be held by a thread that is not here.
            inherited = self._idle
            self._idle, self._lock, self._pid = [], threading.Lock(), os.getpid()
            for old in inherited:
                old.close()  # here only: the parent's goes on
        while not new and (connection := self._pop()) is not None:
            if connection.idle():
                connection.set_timeouts(timeouts)
                return connection
            connection.close()
        if self.address.scheme == "https":
            from seamless.remote.secure import SecureConnection

            return SecureConnection(self.address, timeouts)
        return Connection(self.address, timeouts)

    def _pop(self) -> Connection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for later, or close it if there are enough."""
        if self._pid == os.getpid():
            with self._lock:
                if len(self._idle) < _MOST:
                    self._idle.append(connection)
                    return
        connection.close()

    def close(self) -> None:
        """Close what is not in use."""
        if self._pid != os.getpid():
            return
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
