"""When to try again: transport errors and 502, 503, 504 only, with growing pauses, until a deadline."""

from __future__ import annotations

import time

RETRY_SECONDS = 10.0  # how long one operation goes on trying
AT_WORK = 3.0  # times as long if services have answered this process before
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0


class Attempts:
    """The attempts at one operation. `seconds` 0: a single one."""

    def __init__(self, seconds: float = RETRY_SECONDS):
        self.count = 1
        self.fresh = False  # whether the next one must use a new connection
        self.relocations = 0  # how often the service had to be found or launched again
        self._started = time.monotonic()
        self._seconds = seconds
        self._pause = _FIRST_PAUSE

    @property
    def elapsed(self) -> float:
        """Seconds since the first attempt began."""
        return time.monotonic() - self._started

    def pause(self, patience: float = 1.0) -> float | None:
        """Return how many seconds to wait before the next attempt; None if there is to be none.

        `patience`: how many times as long as usual to go on.
        """
        from random import uniform  # takes 5 ms to import

        pause = uniform(self._pause / 2, self._pause)  # so that many clients do not come back at the same moment
        if self.elapsed + pause > patience * self._seconds:
            return None
        self.count += 1
        self.fresh = True
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        return pause
