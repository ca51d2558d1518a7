"""What the clients of all services have in common: where the service is, its connections, and second attempts.

Blocking, for any number of threads. Subclasses say what is asked and what the answers mean.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref

from seamless.remote.address import Address
from seamless.remote.calls import Answer, Call
from seamless.remote.errors import (
    ReadOnlyClientError,
    RemoteError,
    RemoteUsageError,
    TransportError,
    UnauthorizedError,
)
from seamless.remote.keepalive import keepalive
from seamless.remote.pool import Pool
from seamless.remote.retry import AT_WORK, RETRY_SECONDS, Attempts
from seamless.remote.settings import Timeouts, is_on
from seamless.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from typing import Any, TypeVar

    from seamless.errors import StoreError
    from seamless.remote.response import Response

    T = TypeVar("T")

_RELOCATIONS = 2  # how often one operation has a service found or launched again
_clients: weakref.WeakSet[Client] = weakref.WeakSet()


class Client:
    """A client of one service. Nothing is contacted before the first request.

    `url`: None where a subclass finds it out. `directory`: where the files of the service are, if known. Raises
    RemoteUsageError for a URL that is none, RuntimeError in a worker process, which must not have clients.
    """

    service = "service"

    def __init__(
        self,
        url: str | None = None,
        *,
        readonly: bool = True,
        token: str | None = None,
        directory: str | os.PathLike[str] | None = None,
    ):
        if session.is_worker and not is_on("SEAMLESS_ALLOW_REMOTE_CLIENTS_IN_WORKER"):
            raise RuntimeError(
                f"a worker process must not have a client of a {self.service}: it gets its data from the process that "
                "started it (set SEAMLESS_ALLOW_REMOTE_CLIENTS_IN_WORKER=1 to permit it)"
            )
        self.readonly = readonly
        self.directory = os.path.abspath(os.path.expanduser(directory)) if directory is not None else None
        self.retry_seconds = RETRY_SECONDS  # how long one operation goes on trying
        self.timeouts = Timeouts.from_environment()
        self._debug = is_on("SEAMLESS_CLIENT_DEBUG")
        self._pool = Pool(Address(url, token)) if url is not None else None
        self._renew_locks()
        self._used = 0  # the process that has used it
        self._down = False
        _clients.add(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, readonly={self.readonly})"

    @property
    def writable(self) -> bool:
        """Whether it may be written through."""
        return not self.readonly

    @property
    def url(self) -> str | None:
        """The URL of the service, None while it is not known."""
        return self._pool.address.url if self._pool is not None else None

    @property
    def token(self) -> str | None:
        """What the service wants as proof; None if it wants none, or it is not known yet."""
        return self._pool.address.token if self._pool is not None else None

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.url or self.service

    # --- the state of the service -------------------------------------------------------------

    def healthcheck(self) -> None:
        """Return when the service answers. Raises RemoteError, after second attempts."""
        self.perform(Call("GET", "/healthcheck", _healthy))

    def validate(self) -> None:
        """Return when the service answers and is what it should be. Raises RemoteError."""
        self.healthcheck()

    def ping(self) -> None:
        """Ask the service once whether it is there, if it is known where. Raises RemoteError."""
        pool = self._pool
        if pool is None:
            return
        timeouts = Timeouts(self.timeouts.healthcheck, self.timeouts.healthcheck, self.timeouts.healthcheck)
        self._attempt(pool, "GET", "/healthcheck", _ignore, timeouts=timeouts)

    def restart(self) -> None:
        """Give up the open connections; the next request makes new ones."""
        if self._pool is not None:
            self._pool.close()
        self._down = False

    def close(self) -> None:
        """Do what `restart` does, and let the service end when it wants to. May be used again."""
        keepalive.discard(self)
        self._used = 0
        self.restart()

    def _renew_locks(self) -> None:
        """Make new locks: those of a parent process may be held by threads that a forked child does not have."""
        self._location_lock = threading.Lock()

    # --- requests -----------------------------------------------------------------------------

    def perform(self, call: Call) -> Any:
        """Make a call and return what its answer means. Raises what it says, and RemoteError."""

        def use(response: Response) -> Any:
            return call.answer(self.complete(response))

        return self.exchange(call.method, call.target, use, headers=call.headers, body=call.body, waits=call.waits)

    def perform_once(self, call: Call, seconds: float) -> Any:
        """Make a call without a second attempt, in no more than `seconds`, if it is known where the service is."""
        if self._pool is not None:
            timeouts = Timeouts(seconds, seconds, seconds)

            def use(response: Response) -> Any:
                return call.answer(self.complete(response))

            return self._attempt(self._pool, call.method, call.target, use, body=call.body, timeouts=timeouts)

    def complete(self, response: Response) -> Answer:
        """Return an answer with all of its body."""
        pool = self.located()
        address = pool.address
        body = response.read()
        if self._debug:
            _trace(f"{address.url} {response.status} {body[:200]!r}")
        return Answer(response.status, response.headers, body, self.service, address.url, address.token is not None)

    def exchange(
        self,
        method: str,
        target: str,
        use: Callable[[Response], T],
        *,
        headers: str = "",
        body: Any = None,
        waits: bool = False,
    ) -> T:
        """Send a request and return what `use` makes of the answer; again, both, after an error that may pass.

        `waits`: as in Call. Raises RemoteError, and what `use` raises.
        """
        attempts = self.attempts()
        while True:
            pool = self.located()
            try:
                result = self._attempt(
                    pool, method, target, use, headers=headers, body=body, new=attempts.fresh, waits=waits
                )
            except RemoteError as exc:
                time.sleep(self.recover(pool, exc, attempts))
                continue
            if self._down or self._used != os.getpid():
                self.mark_used()
            return result

    def _attempt(
        self,
        pool: Pool,
        method: str,
        target: str,
        use: Callable[[Response], T],
        *,
        headers: str = "",
        body: Any = None,
        new: bool = False,
        timeouts: Timeouts | None = None,
        waits: bool = False,
    ) -> T:
        if self._debug:
            _trace(f"{method} {pool.address.url}{target}")
        with contextlib.nullcontext() if waits else self._slot():
            connection = pool.take(timeouts or self.timeouts, new=new)
            try:
                response = connection.request(method, target, headers, body)
                result = use(response)
            except BaseException:
                connection.close()
                raise
            if response.reusable:
                pool.give_back(connection)
            else:
                connection.close()
            return result

    def _slot(self) -> AbstractContextManager[Any]:
        """Hold a place among the requests under way, where their number is limited."""
        return contextlib.nullcontext()

    def refused(self, response: Response) -> StoreError:
        """Return the error for an answer that is not one of those expected."""
        return self.complete(response).refused()

    def must_be_writable(self) -> None:
        """Raise ReadOnlyClientError if it only reads."""
        if self.readonly:
            raise ReadOnlyClientError(f"the {self.service} {self.name} is only read from here")

    # --- second attempts ----------------------------------------------------------------------

    def attempts(self) -> Attempts:
        """Return the attempts for one operation: a single one while the service is known to be down."""
        return Attempts(0.0 if self._down else self.retry_seconds)

    def mark_used(self) -> None:
        """Note that the service has answered."""
        self._down = False
        if self._used != os.getpid():
            self._used = os.getpid()
            keepalive.add(self)

    def recover(self, pool: Pool, exc: RemoteError, attempts: Attempts) -> float:
        """Return the seconds to wait before the next attempt, or raise the error. May launch the service again."""
        if isinstance(exc, TransportError) and exc.stale and not attempts.fresh:
            attempts.fresh = True
            return 0.0
        if (exc.retry or isinstance(exc, UnauthorizedError)) and attempts.relocations < _RELOCATIONS:
            attempts.relocations += 1
            if self._relocate(pool, exc):
                attempts.fresh = False
                return 0.0
        if not exc.retry:
            raise self._named(pool, exc, attempts) from exc.__cause__
        pause = attempts.pause(_patience())
        if pause is None:
            self._down = True
            raise self._named(pool, exc, attempts) from exc
        import logging

        logging.getLogger(__name__).warning(
            "the %s %s: %s; trying again in %.1f s", self.service, pool.address.url, exc, pause
        )
        return pause

    def _named(self, pool: Pool, exc: RemoteError, attempts: Attempts) -> RemoteError:
        """Return the error that says which service it was."""
        if not isinstance(exc, TransportError):
            return exc
        url = pool.address.url
        tried = f" ({attempts.count} attempts in {attempts.elapsed:.1f} s)" if attempts.count > 1 else ""
        return TransportError(
            f"the {self.service} {url} cannot be used: {exc}{tried}; {self._advice()}", service=self.service, url=url
        )

    def _advice(self) -> str:
        return "check that it runs and that its address is right"

    # --- where the service is -----------------------------------------------------------------

    def located(self) -> Pool:
        """Return the connections to the service, which is found or launched first if need be."""
        pool = self._pool
        if pool is None:
            with self._location_lock:
                if self._pool is None:
                    self._pool = Pool(self._locate())
                return self._pool
        return pool

    def _locate(self) -> Address:
        """Find the service. Raises RemoteError."""
        raise RemoteUsageError(f"a client of a {self.service} needs a url")

    def _relocate(self, failed: Pool, exc: RemoteError) -> bool:
        """Find the service again after `exc`; True if another attempt may succeed at once."""
        return self._pool is not failed


def _patience() -> float:
    """Return how much longer than usual to try: work that is under way would be lost with a service."""
    return AT_WORK if any(client._used == os.getpid() for client in list(_clients)) else 1.0


def _healthy(answer: Answer) -> None:
    if not 200 <= answer.status < 300:
        raise answer.refused()


def _ignore(response: Response) -> None:
    response.read()


def _trace(text: str) -> None:
    import sys

    print(f"[seamless.remote] {text}", file=sys.stderr, flush=True)


def close_all_clients() -> None:
    """Give up all connections and ask after no service any more. Every client may still be used."""
    keepalive.stop()
    for client in list(_clients):
        client.close()


def _forked() -> None:
    for client in list(_clients):
        client._renew_locks()


session.on_close.append(close_all_clients)
session.on_reset(close_all_clients)
session.on_fork(_forked)
