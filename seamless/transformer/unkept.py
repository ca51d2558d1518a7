"""Answers of executions that no store would take, for who tries again in this process: nothing is done twice for that.

Bounded in number and bytes; what does not fit is executed again.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seamless.errors import StoreError
from seamless.transformer.recording.mode import recording

if TYPE_CHECKING:
    from seamless.buffer import Buffer
    from seamless.cache.access import Buffers
    from seamless.checksum import Checksum
    from seamless.transformer.execution import ExecutionAnswer
    from seamless.transformer.recording.mode import RecordMode
    from seamless.transformer.submission import Submission

_MOST = 64
_BYTES = 256 << 20


@dataclass(frozen=True)
class Left:
    """An answer that no store has taken, with what it is the answer to. `added`: its buffers, and those of inputs."""

    answer: ExecutionAnswer
    added: dict[Checksum, Buffer]
    submission: Submission
    mode: RecordMode


class Unkept:
    """The answers, by transformation. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: dict[Checksum, Left] = {}

    @property
    def left(self) -> list[Left]:
        """All of them, the oldest first."""
        with self._lock:
            return list(self._left.values())

    def take(self, tf: Checksum, buffers: Buffers) -> ExecutionAnswer | None:
        """Return the answer of an earlier execution, with its buffers added; None if there is none."""
        with self._lock:
            left = self._left.pop(tf, None)
        if left is None:
            return None
        buffers.added.update(left.added)
        return left.answer

    @contextlib.contextmanager
    def unless_kept(self, submission: Submission, answer: ExecutionAnswer, buffers: Buffers) -> Iterator[None]:
        """Remember an answer if what is inside raises StoreError, which goes on and tells the output of the step."""
        try:
            yield
        except StoreError as exc:
            vars(exc).update(stdout=answer.stdout, stderr=answer.stderr)
            added = dict(buffers.added)
            if sum(map(len, added.values())) <= _BYTES:
                with self._lock:
                    self._left[submission.tf] = Left(answer, added, submission, recording.mode)
                    self._shrink()
            raise

    def discard(self, tf: Checksum) -> None:
        """Forget one, if it is there."""
        with self._lock:
            self._left.pop(tf, None)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._left.clear()

    def _shrink(self) -> None:
        """Forget the oldest answers."""
        while len(self._left) > _MOST or self._size() > _BYTES:
            del self._left[next(iter(self._left))]

    def _size(self) -> int:
        return sum(len(buffer) for left in self._left.values() for buffer in left.added.values())


unkept = Unkept()
