"""Claims: who has the right to execute a transformation at present. In memory, each for a limited time.

A holder says again and again that it is still there (`renew`); one that has died loses its claims when their time is
over. Used in the thread of one event loop.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from time import monotonic, time
from typing import Any, NamedTuple

from seamless.services.database import requests
from seamless.services.database.requests import Request

LONGEST_LEASE = 300.0  # seconds
LONGEST_WAIT = 60.0  # seconds that one request may wait
_SWEEP_FROM = 1000  # claims
MOST_SHOWN = 50  # claims

Lookup = Callable[[], Awaitable[str | None]]
LookupNow = Callable[[str], tuple[bool, str | None]]
Gone = Callable[[], Coroutine[Any, Any, None]]


class Standing(NamedTuple):
    """The answer to one who claims: whether it holds the claim, who does otherwise, and the result if there is one."""

    claimed: bool
    result: str | None
    holder: dict[str, Any] | None


class _Claim:
    """A claim that is held, and an event that is set when it no longer is."""

    def __init__(self, holder: dict[str, Any], until: float):
        self.holder, self.until, self.since = holder, until, time()
        self.ended = asyncio.Event()


class Claims:
    """The claims of one server. `holder` is what a client says of itself; its `id` tells it from the others."""

    def __init__(self, *, now: Callable[[], float] = monotonic):
        self._now = now
        self._claims: dict[str, _Claim] = {}
        self._closed = asyncio.Event()
        self.waiting = 0

    def __len__(self) -> int:
        return sum(1 for claim in self._claims.values() if claim.until > self._now())

    def holder(self, name: str) -> dict[str, Any] | None:
        """Return who holds the claim of a transformation, or None."""
        claim = self._claims.get(name)
        return claim.holder if claim is not None and claim.until > self._now() else None

    def running(self) -> list[dict[str, Any]]:
        """Return the transformations that are claimed, the oldest claim first: tf_checksum, host, pid, start.

        `start` is in seconds since the epoch. Never shows the `id`, with which a claim could be given back.
        """
        now = self._now()
        held = [(claim, name) for name, claim in self._claims.items() if claim.until > now]
        held.sort(key=lambda pair: pair[0].since)
        return [
            {
                "tf_checksum": name,
                "host": claim.holder.get("host"),
                "pid": claim.holder.get("pid"),
                "start": round(claim.since, 3),
            }
            for claim, name in held[:MOST_SHOWN]
        ]

    async def claim(
        self,
        name: str,
        holder: dict[str, Any],
        lookup: Lookup,
        *,
        seconds: float,
        wait: float = 0.0,
        despite: bool = False,
        gone: Coroutine[Any, Any, None] | None = None,
    ) -> Standing:
        """Take the claim for `seconds`, after waiting up to `wait` seconds for who holds it.

        A claim is not given where `lookup()` finds a result, unless `despite`. Claiming again what one holds only
        prolongs it. Whoever is `gone` (a coroutine that ends then) while it waits gets nothing.
        Raises RefusedError (503) when the server ends.
        """
        if self._closed.is_set():
            raise requests.RefusedError(503, requests.SHUTTING_DOWN)
        deadline = self._now() + wait
        leaving = asyncio.ensure_future(gone) if gone is not None else None
        try:
            while True:
                mine = self._is_mine(name, holder)
                taken = self._take(name, holder, seconds)
                needless, result = True, None
                try:
                    result = await lookup()
                    needless = result is not None and not despite
                finally:
                    if needless and taken and not mine:
                        self.release(name, holder)
                if needless or taken:
                    return Standing(not needless, result, None)
                in_time = await self._wait(name, deadline, leaving)
                if self._closed.is_set():
                    raise requests.RefusedError(503, requests.SHUTTING_DOWN)
                if not in_time:
                    return Standing(False, result, self.holder(name))
        finally:
            if leaving is not None:
                leaving.cancel()

    def claim_now(
        self, name: str, holder: dict[str, Any], lookup: LookupNow, *, seconds: float, despite: bool = False
    ) -> Standing | None:
        """Do what `claim` does without waiting for anybody; None, and nothing is claimed, if a lookup may take long."""
        if self._closed.is_set():
            raise requests.RefusedError(503, requests.SHUTTING_DOWN)
        mine = self._is_mine(name, holder)
        taken = self._take(name, holder, seconds)
        done, result = lookup(name)
        needless = result is not None and not despite
        if (needless or not done) and taken and not mine:
            self.release(name, holder)
        if not done:
            return None
        claimed = taken and not needless
        return Standing(claimed, result, None if claimed or needless else self.holder(name))

    def renew(self, names: Iterable[str], holder: dict[str, Any], *, seconds: float) -> list[bool]:
        """Prolong claims; tell for each whether it (still) is that of the holder. Never makes a new one."""
        mine = [self._is_mine(name, holder) for name in names]
        for name, is_mine in zip(names, mine, strict=True):
            if is_mine:
                self._claims[name].until = self._now() + min(seconds, LONGEST_LEASE)
        return mine

    def release(self, name: str, holder: dict[str, Any]) -> None:
        """Give a claim back, if it is that of the holder."""
        if self._is_mine(name, holder):
            self.end(name)

    def end(self, name: str) -> None:
        """End the claim of a transformation, whoever holds it: its result is there."""
        claim = self._claims.pop(name, None)
        if claim is not None:
            claim.ended.set()

    def close(self) -> None:
        """Send away all who wait."""
        self._closed.set()
        for claim in self._claims.values():
            claim.ended.set()

    def _is_mine(self, name: str, holder: dict[str, Any]) -> bool:
        claim = self._claims.get(name)
        return claim is not None and claim.holder["id"] == holder["id"]

    def _take(self, name: str, holder: dict[str, Any], seconds: float) -> bool:
        """Give the claim to the holder if it is free or its own; tell whether it has it."""
        until = self._now() + min(seconds, LONGEST_LEASE)
        if self._is_mine(name, holder):
            self._claims[name].until = until
            return True
        if self.holder(name) is not None:
            return False
        self.end(name)  # the time of whoever held it is over
        if len(self._claims) >= _SWEEP_FROM:
            for old in [n for n, claim in self._claims.items() if claim.until <= self._now()]:
                self.end(old)
        self._claims[name] = _Claim(holder, until)
        return True

    async def _wait(self, name: str, deadline: float, leaving: asyncio.Future[Any] | None) -> bool:
        """Wait until the claim may be free; False if it is time, or the one who waits has gone."""
        claim = self._claims.get(name)
        if claim is None:
            return True
        left = deadline - self._now()
        if left <= 0:
            return False
        ended = asyncio.ensure_future(claim.ended.wait())
        self.waiting += 1
        try:
            await asyncio.wait(
                {ended} if leaving is None else {ended, leaving},
                timeout=max(0.0, min(left, claim.until - self._now())),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            self.waiting -= 1
            ended.cancel()
        return leaving is None or not leaving.done()


# --- requests -----------------------------------------------------------------------------------

KINDS = frozenset({"claim", "renew", "release"})


async def answer(claims: Claims, request: Request, lookup: Callable[[str], Awaitable[str | None]], gone: Gone) -> str:
    """Return the text of the answer to a PUT request of one of KINDS. Raises RefusedError (400).

    `lookup(name)` gives the result of a transformation, or None; `gone()` ends when the client has closed the
    connection.
    """
    holder, lease = requests.holder(request), requests.seconds(request, "seconds")
    if request["type"] == "renew":
        names = request.get("checksums")
        if not isinstance(names, list):
            raise requests.RefusedError(400, requests.MALFORMED_CLAIM)
        hexes = [requests.as_checksum(name, requests.MALFORMED_CLAIM).hex() for name in names]
        return json.dumps(claims.renew(hexes, holder, seconds=lease))
    name = requests.checksum(request).hex()
    if request["type"] == "release":
        claims.release(name, holder)
        return "OK"
    wait = min(requests.seconds(request, "wait"), LONGEST_WAIT)
    standing = await claims.claim(
        name,
        holder,
        lambda: lookup(name),
        seconds=lease,
        wait=wait,
        despite=request.get("despite") is True,
        gone=gone() if wait else None,
    )
    return json.dumps(standing._asdict())


def answer_now(claims: Claims, members: list[Request], lookup: LookupNow) -> list[str] | None:
    """Return the texts of the answers to claims that wait for nobody; None if some may take long.

    Those that were taken meanwhile stay, for the same holder. Raises RefusedError (400).
    """
    if any(requests.seconds(member, "wait") for member in members):
        return None
    texts = []
    for member in members:
        standing = claims.claim_now(
            requests.checksum(member).hex(),
            requests.holder(member),
            lookup,
            seconds=requests.seconds(member, "seconds"),
            despite=member.get("despite") is True,
        )
        if standing is None:
            return None
        texts.append(json.dumps(standing._asdict()))
    return texts
