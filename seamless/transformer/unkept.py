"""Answers of executions that no store would take, for who tries again in this process: nothing is done twice for that.

Bounded in number and bytes; what does not fit is executed again.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from seamless.errors import StoreError

if TYPE_CHECKING:
    from seamless.buffer import Buffer
    from seamless.cache.access import Buffers
    from seamless.checksum import Checksum
    from seamless.transformer.execution import ExecutionAnswer

_MOST = 64
_BYTES = 256 << 20


class Unkept:
    """The answers, by transformation. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[Checksum, tuple[ExecutionAnswer, dict[Checksum, Buffer]]] = {}

    def take(self, tf: Checksum, buffers: Buffers) -> ExecutionAnswer | None:
        """Return the answer of an earlier execution, with its buffers added; None if there is none."""
        with self._lock:
            answer, added = self._answers.pop(tf, (None, {}))
        buffers.added.update(added)
        return answer

    @contextlib.contextmanager
    def unless_kept(self, tf: Checksum, answer: ExecutionAnswer, buffers: Buffers) -> Iterator[None]:
        """Remember an answer if what is inside raises StoreError, which goes on."""
        added = dict(buffers.added)
        try:
            yield
        except StoreError:
            if sum(map(len, added.values())) <= _BYTES:
                with self._lock:
                    self._answers[tf] = (answer, added)
                    self._shrink()
            raise

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._answers.clear()

    def _shrink(self) -> None:
        """Forget the oldest answers."""
        while len(self._answers) > _MOST or self._size() > _BYTES:
            del self._answers[next(iter(self._answers))]

    def _size(self) -> int:
        return sum(len(buffer) for _, added in self._answers.values() for buffer in added.values())


unkept = Unkept()
