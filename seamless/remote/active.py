"""Which clients are active, for buffers and for results: together they are the stores of the session."""

from __future__ import annotations

import contextlib

from seamless.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any


class Active:
    """The active clients. Folders are read before servers, each in the order given."""

    def __init__(self) -> None:
        self.folders: tuple[Any, ...] = ()
        self.buffer_servers: tuple[Any, ...] = ()
        self.databases: tuple[Any, ...] = ()
        self._deferred = 0
        self._applying = False

    def set_buffers(self, folders: Sequence[Any], servers: Sequence[Any]) -> None:
        """Make these the clients for buffers."""
        self.folders, self.buffer_servers = tuple(folders), tuple(servers)
        self._apply()

    def set_databases(self, databases: Sequence[Any]) -> None:
        """Make these the clients for results."""
        self.databases = tuple(databases)
        self._apply()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Let several changes take effect at once, at the end; none of them if there is an error."""
        before = (self.folders, self.buffer_servers, self.databases)
        self._deferred += 1
        try:
            yield
        except BaseException:
            self.folders, self.buffer_servers, self.databases = before
            raise
        finally:
            self._deferred -= 1
        self._apply()

    def forget(self) -> None:
        """Forget the clients, because other stores are active now."""
        if not self._applying:
            self.folders = self.buffer_servers = self.databases = ()

    def _apply(self) -> None:
        if self._deferred:
            return
        self._applying = True
        try:
            session.activate([*self.folders, *self.buffer_servers], self.databases)
        finally:
            self._applying = False


active = Active()
session.on_activate(active.forget)
session.on_reset(active.forget)
