"""Worker processes for the steps of this program: `spawn()` and what belongs to it.

Owns the one pool that steps are sent to. Start-up is cheap, and the program needs no `if __name__ == "__main__"`.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

from seamless.errors import TransformationError
from seamless.session import session
from seamless.shutdown import is_worker
from seamless.transformer.execution import ExecutionAnswer, ExecutionRequest, seam
from seamless.transformer.outcome import Envelope
from seamless.transformer.pool import default_threads, pool

if TYPE_CHECKING:
    from seamless.transformer.workers.pool import WorkerPool

__all__ = ["WorkerPoolExecutor", "has_spawned", "is_worker", "shutdown_workers", "spawn"]


class WorkerPoolExecutor:
    """Executes in a pool of worker processes, except local steps of this process.

    The pool is made at the first need.
    """

    shares_memory = True
    retry_starved = True  # whether a step that has run out of memory is tried again here

    def __init__(self, size: int | None) -> None:
        self.size = size if size is not None else len(os.sched_getaffinity(0))
        self._workers: WorkerPool | None = None
        self._making = threading.Lock()
        self._closed = False
        self.ended = False  # by the user, with all steps that were started for it

    @property
    def workers(self) -> WorkerPool:
        """The pool. TransformationError once it has been closed, WorkerLostError if no process can be started."""
        workers = self._workers
        if workers is None:
            from seamless.transformer.workers.pool import WorkerPool

            with self._making:
                if self._closed:
                    raise TransformationError("The workers have been shut down\n")
                workers = self._workers = self._workers or WorkerPool(self.size, retry_starved=self.retry_starved)
        return workers

    def close(self, wait: bool) -> None:
        """End the pool, if there is one, and make none any more."""
        with self._making:
            self._closed = True
        if self._workers is not None:
            self._workers.close(wait=wait)

    def abandon(self) -> None:
        """In a forked child: the pool is the parent's."""
        if self._workers is not None:
            self._workers.abandon()

    def pids(self) -> list[int]:
        """Return the worker processes, as far as they have begun."""
        return [] if self._workers is None else self._workers.pids()

    def stops(self, envelope: Envelope) -> bool:
        """A worker can be ended."""
        return not self._is_here(envelope)

    def execute(self, request: ExecutionRequest) -> ExecutionAnswer:
        """Execute one step in a worker; block until it has ended."""
        if self._is_here(request.envelope):
            with pool.slow():
                return seam.in_process.execute(request)
        return self.workers.execute(request)

    @staticmethod
    def _is_here(envelope: Envelope) -> bool:
        """Tell whether a step is for this process; one that a step in a worker wants is for that worker."""
        from seamless.transformer.workers.pool import origin

        return envelope.local and origin.get() is None


class _Spawned:
    """The pool of this process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.executor: WorkerPoolExecutor | None = None
        self.configured = False  # by the configuration, which may change it

    def start(self, size: int | None, *, configured: bool = False) -> None:
        executor = WorkerPoolExecutor(size)
        if not configured:
            executor.workers  # noqa: B018  at once: who asks for workers is about to need them
        self.executor, self.configured = executor, configured
        seam.executor = executor
        pool.limit = max(pool.limit, 2 * executor.size)  # also before the pool is made, for those who plan ahead
        pool.keen = executor.size
        session.close_required = True
        session.unclosed = "worker processes were still there when the program ended; call seamless.close() before that"
        if shutdown_workers not in session.on_close:
            session.on_close.append(shutdown_workers)

    def stop(self, wait: bool, *, replaced: bool = False) -> None:
        executor, self.executor = self.executor, None
        if executor is None:
            return
        executor.ended = not replaced
        seam.reset()
        pool.limit, pool.keen = default_threads(), None
        session.unclosed = None
        executor.close(wait)

    def forked(self) -> None:
        """In a forked child: the workers are those of the parent."""
        self.lock = threading.RLock()
        executor, self.executor = self.executor, None
        if executor is not None:
            executor.abandon()


_spawned = _Spawned()


def spawn(num_workers: int | None = None) -> None:
    """Execute steps in worker processes from now on; default: as many as there are processors for this program.

    Returns before they have begun. RuntimeError if there are workers already. In a worker or a child process of
    the program nothing happens, apart from a note on standard error.
    """
    if num_workers is not None and (not isinstance(num_workers, int) or num_workers < 1):
        raise ValueError(f"the number of workers must be an int >= 1, not {num_workers!r}")
    if not _in_main_process():
        print("seamless.transformer.worker.spawn() called outside MainProcess; ignoring", file=sys.stderr)
        return
    with _spawned.lock:
        if _spawned.executor is not None:
            raise RuntimeError("Workers have already been spawned")
        _spawned.start(num_workers)


def configure(num_workers: int | None) -> None:
    """Have as many workers as the configuration calls for; None: none. Workers of `spawn()` are left alone.

    The processes are started when the first step is to be executed.
    """
    if not _in_main_process():
        return
    with _spawned.lock:
        if _spawned.executor is not None and not _spawned.configured:
            return
        if _spawned.executor is not None and _spawned.executor.size != num_workers:
            _spawned.stop(wait=False, replaced=True)
        if num_workers is not None and _spawned.executor is None:
            _spawned.start(num_workers, configured=True)


def has_spawned() -> bool:
    """Tell whether there are worker processes."""
    return _spawned.executor is not None


def shutdown_workers(wait: bool = True) -> None:
    """End the workers; steps that are started from now on are executed in this process.

    Steps that were started before fail: those that the workers are executing, and those that wait for a worker.
    With `wait`, return when all processes have ended.
    """
    with _spawned.lock:
        _spawned.stop(wait)


def _in_main_process() -> bool:
    multiprocessing = sys.modules.get("multiprocessing.process")
    return not session.is_worker and (multiprocessing is None or multiprocessing.parent_process() is None)


def worker_pids() -> list[int]:
    """Return the worker processes, as far as they have begun."""
    return [] if _spawned.executor is None else _spawned.executor.pids()


session.on_reset(shutdown_workers)
session.on_fork(_spawned.forked)
