"""The quota of a hashserver: how many bytes the files of its buffers may take. Thread-safe.

What is there is measured at the start and from time to time, since others may write to and delete from the directory;
in between, uploads are counted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

from seamless.errors import StoreFullError

_REPEAT = 3600.0  # seconds after which it is measured again
_REPEAT_FULL = 10.0  # ... when there is no room: somebody may have made some


class Quota:
    """`measure()` returns the bytes that are there (it may block for long), `where` is what messages call the place."""

    def __init__(self, limit: int, measure: Callable[[], int], *, where: str, now: Callable[[], float] = monotonic):
        self.limit = limit
        self._measure, self._where, self._now = measure, where, now
        self._lock = threading.Lock()
        self._measuring = threading.Lock()
        self._measured = 0  # bytes at the last measurement
        self._added = 0  # bytes that have come since it began, or are coming
        self._next = 0.0

    @property
    def used(self) -> int:
        """Bytes that are there, or are coming, as far as it is known."""
        return self._measured + self._added

    def measure(self) -> None:
        """Measure what is there, unless another thread does. Blocks."""
        if not self._measuring.acquire(blocking=False):
            return
        try:
            before = self._added
            measured = self._measure()
            with self._lock:
                # What came before was seen; of what came meanwhile some is counted twice until the next time.
                self._measured, self._added = measured, max(0, self._added - before)
                self._next = self._now() + _REPEAT
        finally:
            self._measuring.release()

    def reserve(self, size: int) -> None:
        """Count `size` bytes that are to come. May measure first. Raises StoreFullError if there is no room."""
        if self._now() >= self._next:
            self.measure()
        if not self._fits(size):
            with self._lock:
                self._next = min(self._next, self._now() + _REPEAT_FULL)
            raise StoreFullError(
                f"no room for {size} more bytes in {self._where}: its quota of {self.limit} bytes (--quota) is "
                f"exhausted, {self.used} are in use; delete buffers there, or raise the quota"
            )

    def _fits(self, size: int) -> bool:
        with self._lock:
            if self.used + size > self.limit:
                return False
            self._added += size
            return True

    def give_back(self, size: int) -> None:
        """Take back what was reserved: nothing came of it."""
        with self._lock:
            self._added = max(0, self._added - size)


class Room:
    """What one upload takes of a quota, or of none; given back at the end unless it is kept. A context manager."""

    def __init__(self, quota: Quota | None):
        self._quota, self._size = quota, 0

    def grow(self, size: int) -> None:
        """Reserve `size` bytes more. May block. Raises StoreFullError."""
        if self._quota is not None:
            self._quota.reserve(size)
            self._size += size

    def keep(self) -> None:
        """Give nothing back: the upload is stored."""
        self._size = 0

    def __enter__(self) -> Room:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._quota is not None:
            self._quota.give_back(self._size)
