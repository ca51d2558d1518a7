"""The executors on other machines, by the name that the configuration has for them: which one is active.

Each is a module with `executor()`, which returns something with the methods of `Deferred`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from seamless.session import session
from seamless.transformer.execution import seam
from seamless.transformer.pool import default_threads, pool

if TYPE_CHECKING:
    from seamless.checksum import Checksum
    from seamless.transformer.execution import ExecutionAnswer, ExecutionRequest
    from seamless.transformer.outcome import Envelope

MODULES = {
    "jobserver": "seamless.transformer.jobserver",
    "daskserver": "seamless.transformer.daskserver",
}


_WAITING = 8  # steps under way for each place, so that there always is one whose turn it is


class Deferred:
    """The executor of a module, which is imported at the first need."""

    remote = True

    def __init__(self, name: str) -> None:
        self.name = name
        self._executor: Any = None

    @property
    def executor(self) -> Any:
        """The executor itself."""
        if self._executor is None:
            self._executor = importlib.import_module(MODULES[self.name]).executor()
        return self._executor

    def stops(self, envelope: Envelope) -> bool:
        """As the executor says."""
        return bool(self.executor.stops(envelope))

    def keeps(self, envelope: Envelope) -> bool:
        """As the executor says."""
        return bool(self.executor.keeps(envelope))

    def execute(self, request: ExecutionRequest) -> ExecutionAnswer:
        """As the executor does."""
        answer: ExecutionAnswer = self.executor.execute(request)
        return answer

    def cancel(self, tf: Checksum) -> bool:
        """End the execution of a transformation, whoever wants it; True if it was under way. Raises StoreError."""
        return bool(self.executor.cancel(tf))


def use_remote(name: str | None, places: int | None = None) -> None:
    """Execute elsewhere from now on: with the executor of that name; None: no longer elsewhere.

    `places`: how many steps may be executed there at once, as far as it is known. KeyError for an unknown name.
    """
    present = seam.executor
    if name is None:
        if isinstance(present, Deferred):
            seam.reset()
            pool.limit = default_threads()
        return
    if not isinstance(present, Deferred) or present.name != name:
        if name not in MODULES:
            raise KeyError(name)
        seam.executor = Deferred(name)
    pool.limit = max(default_threads(), _WAITING * (places or 0))  # a thread waits for each


session.on_reset(seam.reset)
