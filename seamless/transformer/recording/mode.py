"""Whether full records are written, and what the configuration says of where steps are executed. Set from above."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seamless.errors import UsageError
from seamless.session import session

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

PROBE = "__record_probe__"  # among the orthogonal pins: have the buckets made anew, instead of executing


class RecordBucketError(UsageError, RuntimeError):
    """Full records are wanted, and what they need is not there: a database, or a probe that is up to date."""


@dataclass(frozen=True)
class RecordMode:
    """What the configuration says. `remote_target` of a server that executes for others: jobserver or daskserver."""

    record: bool = False
    cluster: str | None = None
    queue: str | None = None
    node: str | None = None
    remote_target: str | None = None
    queue_configuration: Mapping[str, Any] | None = None


_of_step: ContextVar[RecordMode | None] = ContextVar("seamless_record_mode", default=None)


class Recording:
    """The mode of this process, and of a step that brings one along."""

    def __init__(self) -> None:
        self._mode = RecordMode()

    @property
    def mode(self) -> RecordMode:
        """What holds for the calling context."""
        return _of_step.get() or self._mode

    @mode.setter
    def mode(self, mode: RecordMode) -> None:
        self._mode = mode

    @contextlib.contextmanager
    def of_step(self, mode: RecordMode | None) -> Iterator[None]:
        """Have another mode for what this context executes, if one is given: workers serve several programs."""
        token = _of_step.set(mode)
        try:
            yield
        finally:
            _of_step.reset(token)

    def clear(self) -> None:
        """Write minimal records from now on."""
        self.mode = RecordMode()


recording = Recording()
session.on_reset(recording.clear)
