"""Buffers that are expected: uploads in progress, and promises. In the memory of one process and one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

PROMISE = 600.0  # seconds for which a promise stands


class Pending:
    """Which buffers will come, and who waits for them."""

    def __init__(self, *, now: Callable[[], float] = monotonic):
        self._now = now
        self._uploads: dict[str, int] = {}
        self._promises: dict[str, float] = {}  # until when; in this order, as all stand for the same time
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self.stopped = False

    def promise(self, name: str) -> float:
        """Note that a buffer will come; return for how many seconds that stands."""
        now = self._now()
        self._promises.pop(name, None)
        self._promises[name] = now + PROMISE
        while (oldest := next(iter(self._promises))) and self._promises[oldest] <= now:
            del self._promises[oldest]
        return PROMISE

    def promised(self, name: str) -> bool:
        """Tell whether there is a promise that still stands."""
        until = self._promises.get(name)
        return until is not None and until > self._now()

    def uploading(self, name: str) -> bool:
        """Tell whether an upload is in progress."""
        return name in self._uploads

    def remaining(self, name: str) -> float | None:
        """Return for how long a reader should wait: None if nothing is expected, infinite during an upload."""
        if name in self._uploads:
            return float("inf")
        until = self._promises.get(name)
        left = until - self._now() if until is not None else 0.0
        return left if left > 0 else None

    def begin(self, name: str) -> None:
        """Note that an upload begins."""
        self._uploads[name] = self._uploads.get(name, 0) + 1

    def end(self, name: str) -> None:
        """Note that an upload has ended, in whatever way."""
        self._uploads[name] -= 1
        if not self._uploads[name]:
            del self._uploads[name]
        self._wake(name)

    def fulfil(self, name: str) -> None:
        """Note that the buffer is there."""
        self._promises.pop(name, None)
        self._wake(name)

    async def wait(self, name: str, timeout: float, gone: asyncio.Future[Any]) -> None:
        """Wait until something happens to this buffer, or `gone` is done, or the time is over."""
        if self.stopped:
            return
        event: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(name, set())
        waiting.add(event)
        try:
            await asyncio.wait((event, gone), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.discard(event)
            event.cancel()
            if not waiting and self._waiting.get(name) is waiting:
                del self._waiting[name]

    def stop(self) -> None:
        """Let nobody wait any more: the server ends."""
        self.stopped = True
        for name in list(self._waiting):
            self._wake(name)

    def counts(self) -> dict[str, int]:
        """Return how much is expected."""
        now = self._now()
        return {
            "uploads": sum(self._uploads.values()),
            "promises": sum(until > now for until in self._promises.values()),
            "waiting": sum(map(len, self._waiting.values())),
        }

    def _wake(self, name: str) -> None:
        for event in self._waiting.get(name, ()):
            if not event.done():
                event.set_result(None)
