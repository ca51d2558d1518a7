"""Results in memory: what a process knows when no database is configured. Nothing outlives the process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from seamless.checksum import Checksum
from seamless.stores.claims import ThreadClaims
from seamless.stores.errors import ConflictError
from seamless.stores.records import OTHER_RESULT, check_record


class MemoryResults:
    """A result store in memory, with at most `limit` results: the least recently used ones go first.

    `on_evict` is called with (transformation, result) for each that goes, in the thread that added another.
    """

    def __init__(
        self,
        limit: int = 1_000_000,
        *,
        on_evict: Callable[[Checksum, Checksum], None] | None = None,
        name: str = "memory",
        writable: bool = True,
    ):
        if limit < 1:
            raise ValueError(f"limit is {limit}, expected at least 1")
        self.name, self.writable = name, writable
        self._limit, self._on_evict = limit, on_evict
        self._results: dict[Checksum, Checksum] = {}  # in the order of last use
        # Most results have one transformation: that, instead of a collection of one, which would be most of the memory.
        self._reverse: dict[Checksum, Checksum | dict[Checksum, None]] = {}
        self._records: dict[Checksum, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._claims = ThreadClaims()

    def __len__(self) -> int:
        return len(self._results)

    def get_result(self, transformation: Checksum) -> Checksum | None:
        """Return the result, or None if there is none."""
        with self._lock:
            result = self._results.pop(transformation, None)
            if result is not None:
                self._results[transformation] = result
            return result

    def set_result(self, transformation: Checksum, result: Checksum) -> bool:
        """Keep the result; False if another one is kept already, which stays."""
        with self._lock:
            stored = self._results.setdefault(transformation, result)
            if stored != result:
                return False
            self._note_reverse(transformation, stored)
            evicted = []
            while len(self._results) > self._limit:
                oldest = next(iter(self._results))
                evicted.append((oldest, self._drop(oldest)))
        if self._on_evict is not None:
            for pair in evicted:
                self._on_evict(*pair)
        return True

    def delete_result(self, transformation: Checksum) -> bool:
        """Forget the result and its record; False if there was none."""
        with self._lock:
            if transformation not in self._results:
                return False
            self._drop(transformation)
            return True

    def clear(self) -> None:
        """Forget everything; `on_evict` is not called."""
        with self._lock:
            self._results.clear()
            self._reverse.clear()
            self._records.clear()

    def get_transformations(self, result: Checksum) -> list[Checksum]:
        """Return the transformations known to give `result`, in the order in which they became known."""
        with self._lock:
            known = self._reverse.get(result, {})
            return [known] if isinstance(known, Checksum) else list(known)

    def get_record(self, transformation: Checksum) -> dict[str, Any] | None:
        """Return a copy of the record, or None."""
        with self._lock:
            record = self._records.get(transformation)
            return None if record is None else dict(record)

    def set_record(self, transformation: Checksum, result: Checksum, record: dict[str, Any]) -> bool:
        """Keep the record, and the result if it is not yet known; False if there is a different record already.

        Raises MalformedValueError, and ConflictError if another result is kept.
        """
        check_record(record, transformation.hex(), result.hex())
        if not self.set_result(transformation, result):
            raise ConflictError(OTHER_RESULT)
        with self._lock:
            return self._records.setdefault(transformation, dict(record)) == record

    def claim(self, transformation: Checksum) -> AbstractContextManager[None]:
        """Hold the right to execute `transformation`; blocks while another thread holds it."""
        return self._claim(transformation.hex())

    @contextmanager
    def _claim(self, name: str) -> Iterator[None]:
        with self._claims.hold(name):
            yield

    def _note_reverse(self, transformation: Checksum, result: Checksum) -> None:
        known = self._reverse.setdefault(result, transformation)
        if isinstance(known, dict):
            known[transformation] = None
        elif known != transformation:
            self._reverse[result] = {known: None, transformation: None}

    def _drop(self, transformation: Checksum) -> Checksum:
        result = self._results.pop(transformation)
        self._records.pop(transformation, None)
        known = self._reverse[result]
        if isinstance(known, dict):
            del known[transformation]
        if known == transformation or not known:
            del self._reverse[result]
        return result
