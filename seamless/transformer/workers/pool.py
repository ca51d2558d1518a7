"""`WorkerPool`: executes steps in worker processes. An object of its own; any number of pools may exist.

The thread that wants a step executed talks to the worker itself; there is no dispatcher between them, and nothing
is polled. A worker that has died is replaced, and what it was executing is tried again where that makes sense.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import platform
import signal
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from seamless.checksum import Checksum
from seamless.errors import TransformationError, WorkerLostError
from seamless.transformer.execute import StepError
from seamless.transformer.execution import ExecutionAnswer, ExecutionRequest
from seamless.transformer.outcome import Usage
from seamless.transformer.pool import pool as threads
from seamless.transformer.workers import calls
from seamless.transformer.workers.errors import unpack_error
from seamless.transformer.workers.handle import Lost, Run, TimeLimit, Worker
from seamless.transformer.workers.memory import Segments
from seamless.transformer.workers.oom import OutOfMemory
from seamless.transformer.workers.parcel import Parcel, unpacked
from seamless.transformer.workers.protocol import Gone, close_all
from seamless.transformer.workers.slots import Grant, Hold, Slots
from seamless.transformer.workers.supervisor import Exit, Supervisor

if TYPE_CHECKING:
    from concurrent.futures import Future

_TERM_SECONDS = 1.0  # between the end of a worker that was told to end and a new try: this process may be next
_IDLE_BYTES = 512 * 1024 * 1024  # in shared memory that nobody uses
_STRAYS = 3  # how often a step may meet the end of all workers
_LOOK_SECONDS = 0.5  # between looks at whether the process still is there that does nested work
_WAITING = 32  # steps that may wait for nested work in processes of their own, beyond the number of workers

# In nested work: the run that waits for it, and the number of its call.
origin: ContextVar[tuple[Run, int] | None] = ContextVar("seamless_origin", default=None)


class WorkerPool:
    """Executes up to `size` steps at once, each in a process that has no other one. Thread-safe.

    `retries`: how often a step is executed again whose worker was killed by a signal; `retry_starved`: also one that
    has run out of memory. Close it, or the processes stay until this one ends.
    """

    def __init__(self, size: int | None = None, *, retries: int = 1, retry_starved: bool = True) -> None:
        self.size = size if size is not None else len(os.sched_getaffinity(0))
        if self.size < 1:
            raise ValueError(f"the number of workers must be at least 1, not {size!r}")
        self.retries, self.retry_starved = retries, retry_starved
        self._lock = threading.RLock()
        self._slots = Slots(self.size, most=self.size + _WAITING)
        self._segments = Segments(_IDLE_BYTES)
        self._numbers = itertools.count(1)
        self._workers: dict[int, Worker] = {}
        self._idle: list[Worker] = []
        self._supervisor: Supervisor | None = None
        self._closed = False
        self._idle_ends = 0  # of workers, since one of them has executed a step
        self._out_of_memory = OutOfMemory()
        # Threads wait for the workers: beside the steps that are executed, as many that are prepared.
        threads.limit = max(threads.limit, 2 * self.size)
        try:
            self._replenish()
        except BaseException:
            self.close()
            raise

    # --- executing ----------------------------------------------------------------------------

    def execute(self, request: ExecutionRequest) -> ExecutionAnswer:
        """Execute one step in a worker; block until it has ended, as `Executor.execute` says."""
        parcel = Parcel(self._segments)
        above = origin.get()
        grant: Grant = "none"
        try:
            _add_inputs(parcel, request)
            borrow = above is not None and request.envelope.local
            grant = self._slots.acquire("fresh" if above is None else "nested", request.canceled, borrow=borrow)
            if grant == "none":
                raise TransformationError(self._why_none(request))
            hold = Hold(self._slots)
            try:
                if grant == "borrowed":
                    assert above is not None
                    return self._execute_borrowed(request, parcel, hold, *above)
                return self._execute(request, parcel, hold)
            finally:
                hold.end()
        finally:
            if grant == "process":
                self._slots.finished()
            parcel.sent()

    def submit(self, request: ExecutionRequest) -> Future[ExecutionAnswer]:
        """Do the same in the background."""
        from seamless.transformer import execution

        return execution.submit(_Executor(self), request)

    def _why_none(self, request: ExecutionRequest) -> str:
        return "Transformation was canceled" if request.canceled.is_set() else "The workers have been shut down\n"

    def _execute(self, request: ExecutionRequest, parcel: Parcel, hold: Hold) -> ExecutionAnswer:
        attempt, strays, idle_ends = 1, 0, 0
        while True:
            worker = self._take()
            run = Run(request, next(self._numbers), hold)
            begun = self._out_of_memory.begin()
            try:
                answer = worker.execute(run, parcel, calls.serve)
                done = _answer(run, answer, worker.pid or 0)
                done.retry_count = attempt + strays - 1
                return done
            except TimeLimit:
                run.abandon_nested()
                limit = request.envelope.timeout
                raise _with_output(StepError(f"Timeout: not finished after {limit:g} s\n"), run, worker) from None
            except Lost as lost:
                run.abandon_nested()
                starved = lost.how.code == -signal.SIGKILL and self._out_of_memory.noticed(begun)
                if lost.how.code == -signal.SIGTERM:
                    request.canceled.wait(_TERM_SECONDS)
                if not lost.begun and idle_ends < self.size + _STRAYS and self._is_wanted(request):
                    idle_ends += 1  # this one had nothing to do yet; others that are idle may have ended with it
                elif lost.how.code is None and strays < _STRAYS and self._is_wanted(request):
                    strays += 1  # all workers have ended together, perhaps before this one has begun
                elif self._again(request, lost, attempt) and (self.retry_starved or not starved):
                    attempt += 1
                else:
                    raise _with_output(self._loss(request, lost, attempt, starved), run, worker, lost.pid) from None
            except BaseException:
                run.abandon_nested()
                raise
            finally:
                run.discard()
                self._give_back(worker)

    def _is_wanted(self, request: ExecutionRequest) -> bool:
        return not request.canceled.is_set() and not self._closed

    def _again(self, request: ExecutionRequest, lost: Lost, attempt: int) -> bool:
        """Tell whether to execute it again: not if the step itself has ended the process, or somebody wants an end."""
        if not self._is_wanted(request) or attempt > self.retries:
            return False
        return lost.how.code is None or lost.how.code < 0

    def _loss(self, request: ExecutionRequest, lost: Lost, attempt: int, starved: bool) -> TransformationError:
        if not self._is_wanted(request):
            return TransformationError(self._why_none(request))
        if lost.begun and lost.how.code is not None and lost.how.code >= 0:
            return StepError(
                f"WorkerLostError: the step {request.envelope.name} has ended its process with status "
                f"{lost.how.code}: that is what os._exit does; to fail, raise an exception\n",
                exit_status=lost.how.code,
            )
        which = f"worker process {lost.pid}" if lost.pid else "worker process"
        when = "while it executed" if lost.begun else "before it could begin with"
        text = f"WorkerLostError: the {which} {lost.how.text()} {when} "
        text += f"{request.envelope.name}; tried {attempt} time{'s' if attempt > 1 else ''}\n"
        error = WorkerLostError(text + self._out_of_memory.text(lost.how, starved))
        error.out_of_memory = starved
        return error

    def _execute_borrowed(
        self, request: ExecutionRequest, parcel: Parcel, hold: Hold, above: Run, call: int
    ) -> ExecutionAnswer:
        """Have the step executed in the process that waits for it."""
        worker = above.worker
        run = Run(request, next(self._numbers), hold)
        run.worker = worker
        if worker is None or above.ended:
            raise TransformationError("The step that wanted this one has ended\n")
        run.answered = threading.Event()
        worker.runs[run.number] = run
        try:
            worker.link.send(("reply", call, "execute", worker.message("execute", run, parcel)), parcel.fds)
            while not run.answered.wait(_LOOK_SECONDS):
                if above.ended:
                    raise Gone
        except Gone:
            raise WorkerLostError(f"WorkerLostError: {request.envelope.name} ended with the step above it\n") from None
        finally:
            worker.runs.pop(run.number, None)
        try:
            return _answer(run, run.answer, worker.pid or 0)
        finally:
            run.discard()

    # --- workers ------------------------------------------------------------------------------

    def pids(self) -> list[int]:
        """Return the worker processes, as far as they have begun."""
        return [pid for worker in list(self._workers.values()) if (pid := worker.pid) is not None]

    def nursery(self) -> int | None:
        """Return the process that the workers are children of."""
        supervisor = self._supervisor
        return None if supervisor is None else supervisor.pid

    def _take(self) -> Worker:
        with self._lock:
            if self._closed:
                raise TransformationError("The workers have been shut down\n")
            while self._idle:
                worker = self._idle.pop()
                if not worker.condemned and self._supervisor is not None and self._supervisor.alive:
                    return worker
                self._forget(worker)
            return self._new()

    def _give_back(self, worker: Worker) -> None:
        with self._lock:
            if worker.condemned or self._closed or len(self._idle) >= self.size:
                self._forget(worker)
                with contextlib.suppress(WorkerLostError, OSError):  # who needs one is told
                    self._replenish()
            else:
                self._idle_ends = 0
                self._idle.append(worker)

    def _forget(self, worker: Worker) -> None:
        self._workers.pop(worker.number, None)
        worker.close()

    def _new(self) -> Worker:
        if self._supervisor is None or not self._supervisor.alive:
            if self._supervisor is not None:
                self._supervisor.close(wait=False)
            self._supervisor = Supervisor(self._exited)
        worker = Worker(next(self._numbers), self._supervisor)
        self._workers[worker.number] = worker
        return worker

    def _replenish(self) -> None:
        """Begin new workers, so that there are as many as wanted again before somebody needs them."""
        with self._lock:
            while not self._closed and len(self._workers) < self.size:
                self._idle.insert(0, self._new())

    def _exited(self, number: int, how: Exit) -> None:
        """Called when a process has ended: tell who waits for it, or replace it if it was idle."""
        with self._lock:
            worker = self._workers.get(number)
            if worker is None:
                return
            if worker not in self._idle:
                worker.hang_up()
                return
            self._idle.remove(worker)
            self._forget(worker)
            self._idle_ends += 1
            if self._idle_ends > _STRAYS * self.size:
                return  # something ends them all: no more of them before somebody needs one
            with contextlib.suppress(WorkerLostError, OSError):  # who needs one is told
                if self._supervisor is not None and self._supervisor.alive:
                    self._replenish()

    # --- the end ------------------------------------------------------------------------------

    def close(self, *, wait: bool = True) -> None:
        """End all workers; what is being executed fails. With `wait`, return when all processes have ended."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            idle, self._idle = self._idle, []
            for worker in idle:
                self._forget(worker)
            for worker in self._workers.values():
                worker.end()
        self._slots.close()
        if self._supervisor is not None:
            self._supervisor.close(wait=wait)
        self._segments.clear()

    def abandon(self) -> None:
        """In a forked child: let go of the descriptors; the pool is the parent's."""
        self._closed = True
        for worker in self._workers.values():
            worker.abandon()
        if self._supervisor is not None:
            self._supervisor.abandon()


class _Executor:
    """A pool as an executor for every step, also for local ones."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool

    def stops(self, _: Any) -> bool:
        return True

    def execute(self, request: ExecutionRequest) -> ExecutionAnswer:
        return self._pool.execute(request)


def _add_inputs(parcel: Parcel, request: ExecutionRequest) -> None:
    """Add what the worker will read; it asks for the rest."""
    is_command = request.transformation.get("__language__") == "bash"
    for key in ("__schema__", "__compilation__"):  # of compiled code
        checksum = request.transformation.get(key)
        if isinstance(checksum, str) and not parcel.add_input(Checksum(checksum), request.buffers):
            return
    for key, entry in request.transformation.items():
        if key.startswith(("__", "META__")) or entry[2] is None:
            continue
        if is_command and key != "code":
            continue  # inputs of a command are copied from the store into files
        if not parcel.add_input(Checksum(entry[2]), request.buffers):
            return


def _answer(run: Run, answer: Any, pid: int) -> ExecutionAnswer:
    """Return the answer of a worker, with its buffers added; raise what it says."""
    _, _, result, items, used, error, fds = answer
    if error is not None:
        close_all(fds)
        exc = unpack_error(error)
        _attach(exc, run, pid)
        raise exc
    checksum = Checksum(result)
    for some, beside in [*run.made, (items, fds)]:
        for buffer in unpacked(some, beside):
            run.request.buffers.added[buffer.get_checksum()] = buffer
            if buffer.get_checksum() == checksum:
                checksum = buffer.get_checksum()  # one object is remembered, not two
    run.made.clear()
    output = run.output
    usage, noted = used
    compilation, site = (None, None) if noted is None else pickle.loads(noted)
    return ExecutionAnswer(checksum, output.stdout, output.stderr, Usage(*usage), compilation, "spawn", site=site)


def _with_output(exc: TransformationError, run: Run, worker: Worker, pid: int = 0) -> TransformationError:
    _attach(exc, run, pid or worker.pid or 0)
    return exc


def _attach(exc: Any, run: Run, pid: int) -> None:
    """Note what the step has printed, and where it was."""
    exc.stdout, exc.stderr = run.output.stdout, run.output.stderr
    exc.where = f"{f'worker process {pid}' if pid else 'a worker process'} on {platform.node()}"
