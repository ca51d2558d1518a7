"""When a server has been idle for too long: no request in progress, and none for the given time."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic


class IdleClock:
    """Counts the requests in progress and the seconds since the last one ended. Used in one thread.

    Work that outlives its request keeps the server alive between `begin` and `end`, too.
    """

    def __init__(self, timeout: float | None = None, *, now: Callable[[], float] = monotonic):
        self.timeout = timeout
        self.in_progress = 0
        self._now = now
        self._last = now()

    def begin(self) -> None:
        """Say that a request, or work, begins."""
        self.in_progress += 1

    def end(self) -> None:
        """Say that it has ended."""
        self.in_progress -= 1
        self._last = self._now()

    def touch(self) -> None:
        """Count the idle time from now on."""
        self._last = self._now()

    def idle(self) -> float:
        """Return the seconds since the end of the last request; 0 while one is in progress."""
        return 0.0 if self.in_progress else self._now() - self._last

    def expired(self) -> bool:
        """Tell whether the server has been idle for longer than its timeout."""
        return self.timeout is not None and self.idle() > self.timeout
