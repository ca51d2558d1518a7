"""Claims at a database server: the right to execute a transformation, held for a limited time and prolonged meanwhile.

Threads of this process exclude one another as ever. Where the server has no claims, that is all.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref

from seamless.errors import StoreError
from seamless.remote import database_calls as calls
from seamless.stores.claims import ThreadClaims

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from seamless.checksum import Checksum
    from seamless.remote.address import Address
    from seamless.remote.calls import Call
    from seamless.remote.database_client import DatabaseClient

_PATIENCE = 5.0  # seconds for a request that may as well fail
LEASE = 30.0  # seconds after which a claim is free that nobody prolongs
_RENEWALS = 3  # in the time of a lease
_all: weakref.WeakSet[RemoteClaims] = weakref.WeakSet()
_WAIT = 20.0  # seconds that one request waits for a claim; less if no answer may take that long


class RemoteClaims(ThreadClaims):
    """The claims of one client of a database. A forked child needs a new one."""

    def __init__(self, client: DatabaseClient):
        super().__init__()
        self._client = weakref.ref(client)  # which is alive at least as long as somebody holds a claim
        self._holder = {"id": os.urandom(12).hex(), "pid": os.getpid(), "host": os.uname().nodename}
        self._held: set[Checksum] = set()  # those that the server counts as ours
        self._held_lock = threading.Lock()
        self._none_at: Address | None = None  # a server that has no claims
        self._renewer: threading.Thread | None = None
        _all.add(self)

    @contextlib.contextmanager
    def hold_unless(
        self, client: DatabaseClient, transformation: Checksum, accepts: Callable[[Checksum], bool] | None
    ) -> Iterator[Checksum | None]:
        """Hold the claim while the result is not known; gives a known result that `accepts` finds good, else None.

        In that case the claim is not held. `accepts` None: whatever is known. Blocks. Raises StoreError.
        """
        with self.hold(transformation.hex()) as depth:
            try:
                yield self._claimed(client, transformation, accepts) if depth == 1 else None
            finally:
                if depth == 1:
                    self._release(client, transformation)

    def settled(self, results: Iterable[tuple[Checksum, Checksum]]) -> None:
        """Note that the server has these results, which ends the claims there."""
        with self._held_lock:
            self._held.difference_update(transformation for transformation, _ in results)

    def _claimed(
        self, client: DatabaseClient, transformation: Checksum, accepts: Callable[[Checksum], bool] | None
    ) -> Checksum | None:
        """Claim, waiting as long as it takes; or return a result that is good."""
        despite, wait = accepts is None, 0.0
        while client.located().address != self._none_at:
            try:
                call = calls.claim(transformation, self._holder, seconds=LEASE, wait=wait, despite=despite)
                claimed, result = client.perform(call) if wait else client.claim_once(call)
            except calls.NoClaimsError:
                self._none_at = client.located().address
                break
            if claimed:
                self._keep(transformation)
            if result is not None and accepts is not None and accepts(result):
                self._release(client, transformation)
                return result
            if claimed:
                return None
            despite = despite or result is not None  # its buffer is lost: it has to be computed again
            timeouts = client.timeouts
            wait = min([_WAIT, *(limit / 2 for limit in (timeouts.read, timeouts.total) if limit is not None)])
        if accepts is None:
            return None
        known = client.get_result(transformation)
        return known if known is not None and accepts(known) else None

    def _release(self, client: DatabaseClient, transformation: Checksum) -> None:
        """Give the claim back if the server still counts it as ours. If that fails, it ends by itself."""
        with self._held_lock:
            if transformation not in self._held or self._holder["pid"] != os.getpid():
                return  # settled; or that of the parent, and this is a forked child
            self._held.discard(transformation)
        self._once(client, calls.release(transformation, self._holder))

    def give_back(self) -> None:
        """Give everything back, because this process is about to end: nobody need wait for the end of a lease."""
        client = self._client()
        if client is None or self._holder["pid"] != os.getpid():
            return
        with self._held_lock:
            held, self._held = self._held, set()
        for transformation in held:
            self._once(client, calls.release(transformation, self._holder))

    # --- prolonging ---------------------------------------------------------------------------

    def _keep(self, transformation: Checksum) -> None:
        with self._held_lock:
            self._held.add(transformation)
            if self._renewer is None:
                self._renewer = threading.Thread(
                    target=_renew, args=(weakref.ref(self),), name="SeamlessClaims", daemon=True
                )
                self._renewer.start()

    def renew(self) -> bool:
        """Prolong the claims that are held. False if there were none, and the thread that prolongs them is to end."""
        client = self._client()
        with self._held_lock:
            held = list(self._held)
            if client is None or not held:
                self._renewer = None
                return False
        self._once(client, calls.renew(held, self._holder, seconds=LEASE))
        return True

    def _once(self, client: DatabaseClient, call: Call) -> None:
        """Make a call that may fail, without a second attempt."""
        try:
            client.perform_once(call, _PATIENCE)
        except StoreError as exc:
            import logging

            logging.getLogger(__name__).debug("the claims of %r: %s", self._holder["id"], exc)


def give_all_back(seconds: float) -> None:
    """Give back the claims of this process, which is about to end; take no longer than that."""
    threads = [threading.Thread(target=claims.give_back, daemon=True) for claims in list(_all)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


def _renew(claims: weakref.ref[RemoteClaims]) -> None:
    while True:
        time.sleep(LEASE / _RENEWALS)
        present = claims()
        if present is None or not present.renew():
            return
        del present
