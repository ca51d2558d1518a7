"""What a step is on its way through a Dask scheduler, and what a Dask worker does with it.

Only checksums travel: inputs and results are in the stores, apart from small scratch results.
"""

from __future__ import annotations

import contextvars
import os
import pickle
import platform
import signal
import threading
from typing import TYPE_CHECKING, Any

from distributed import Reschedule, WorkerPlugin

from seamless.buffer import Buffer
from seamless.cache.buffer_cache import register_weakly
from seamless.checksum import Checksum
from seamless.errors import TransformationError, UsageError, WorkerLostError
from seamless.remote.claims import give_all_back
from seamless.remote.dask_client import JOBS
from seamless.transformer import runner
from seamless.transformer.dask_output import sender
from seamless.transformer.execution import ExecutionAnswer, ExecutionRequest, seam
from seamless.transformer.outcome import Envelope, Outcome
from seamless.transformer.pool import pool
from seamless.transformer.recording.mode import PROBE, RecordMode, recording
from seamless.transformer.submission import Submission
from seamless.transformer.worker import WorkerPoolExecutor
from seamless.transformer.workers.errors import pack_error
from seamless.transformer.workers.oom import kills
from seamless.transformer.workers.step import unpack_step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seamless.transformer.outcome import OutputHandler
    from seamless.transformer.workers.step import Packed

PLUGIN = "seamless-worker-setup"
PROTOCOL = 2
CANCELED = "seamless-cancel"  # the reason of a task that was canceled for everybody; the message says for which step
MEMBERS = "seamless_members"  # an annotation of a task: the steps of a group
LARGEST_SCRATCH = 16 << 20  # bytes of a scratch result that come with the answer; a larger one is stored
_IN_JOB = "SEAMLESS_DASK_QUEUE_EXCLUSIVE"  # a variable of jobs
_KILLED = 128 + signal.SIGKILL  # the status of a command
_FAREWELL_SECONDS = 1.0
_THREADS = 16  # that look up and keep the results of short steps
_CANCEL_SECONDS = 2.0  # to see that nobody else wants a step that was canceled

# How many steps are above the one that this context executes, on any worker.
depth: contextvars.ContextVar[int] = contextvars.ContextVar("seamless_dask_depth", default=0)


def version() -> tuple[str, str, int]:
    """Return what client and workers must have in common."""
    from seamless.version import __version__

    return __version__, ".".join(platform.python_version_tuple()[:2]), PROTOCOL


class DaskWorkerExecutor(WorkerPoolExecutor):
    """Executes in the pool of this Dask worker; steps that steps want also in other Dask workers, if this one is full.

    Only steps that a client's step wants directly go elsewhere, and those above them leave a part of the threads of
    each worker alone. So among workers nobody waits in a circle, and within one the pool sees to that.
    """

    def __init__(self, size: int, worker: Any) -> None:
        super().__init__(size)
        self.worker = worker
        self.in_job = _IN_JOB in os.environ
        self.retry_starved = not self.in_job  # another job may have more
        self.spreads = worker.state.nthreads > size
        self._active = 0
        self._counting = threading.Lock()
        self._elsewhere = threading.local()

    def stops(self, envelope: Envelope) -> bool:
        """A worker can be ended."""
        return True

    def keeps(self, envelope: Envelope) -> bool:
        """Tell whether the calling thread is to have such a step executed elsewhere."""
        from seamless.transformer.workers.pool import origin

        nested = origin.get() is not None and not envelope.local
        away = nested and self.spreads and depth.get() == 0 and self._active >= self.size and self._has_others()
        self._elsewhere.value = away
        return away

    def _has_others(self) -> bool:
        """Tell whether there are other Dask workers, as far as this one has heard."""
        identity = getattr(self.worker._get_client(), "_scheduler_identity", None) or {}
        return int(identity.get("n_workers") or len(identity.get("workers") or ())) > 1

    def execute(self, request: ExecutionRequest) -> ExecutionAnswer:
        """Execute one step; block until it has ended."""
        if getattr(self._elsewhere, "value", False):
            self._elsewhere.value = False
            return self._send(request)
        with self._counting:
            self._active += 1
        try:
            answer = self.workers.execute(request)
        finally:
            with self._counting:
                self._active -= 1
        answer.mode, answer.remote_target = "remote", "daskserver"
        return answer

    def _send(self, request: ExecutionRequest) -> ExecutionAnswer:
        from seamless.transformer.daskserver import store_inputs, submit
        from seamless.transformer.workers.calls import nested_threads

        store_inputs(request)  # those of a step that a step wants have so far been in this process only
        with nested_threads.blocked():
            return submit(self.worker._get_client(), request, depth=1, mode=_mode_here(request.envelope))


class SeamlessWorkerSetup(WorkerPlugin):  # type: ignore[misc]
    """Makes a Dask worker one of Seamless: its own pool, and the stores of the client that has come first."""

    name = PLUGIN
    idempotent = True  # of several clients the first one counts

    def __init__(self, workers: int, remote_clients: dict[str, Any]) -> None:
        self.workers, self.remote_clients = workers, remote_clients
        self.version = version()

    def setup(self, worker: Any) -> None:
        """Prepare the worker. Raises UsageError if it cannot be one."""
        if self.version != version():
            raise UsageError(
                "the program and the Dask workers must have the same Seamless and the same Python: "
                f"{_told(self.version)} there, {_told(version())} here (worker on {platform.node()})"
            )
        if worker.state.nthreads < self.workers:
            raise UsageError(
                f"a Dask worker has {worker.state.nthreads} threads, but is to execute {self.workers} steps"
            )
        os.environ["SEAMLESS_DASK_SCHEDULER"] = worker.scheduler.address
        os.environ["SEAMLESS_DASK_WORKERS"] = str(self.workers)
        os.environ["SEAMLESS_DASK_WORKER_PID"] = str(os.getpid())
        os.environ["SEAMLESS_ALLOW_CHILD_SPAWN"] = "1"
        from seamless.remote.forwarding import activate_forwarded

        activate_forwarded(self.remote_clients, in_remote=True)
        if not isinstance(seam.executor, DaskWorkerExecutor):
            seam.executor = DaskWorkerExecutor(self.workers, worker)
            pool.limit = max(pool.limit, _THREADS)
            if seam.executor.in_job and threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, _farewell)  # the first word of a batch system at the end of a job
            threading.Thread(target=lambda: _executor().workers, daemon=True).start()

    def teardown(self, worker: Any) -> None:
        """End the pool."""
        if isinstance(seam.executor, DaskWorkerExecutor):
            seam.executor.close(wait=False)
            give_all_back(_FAREWELL_SECONDS)


def _farewell(number: int, _: Any) -> None:
    """End this process by a signal; but begin nothing more, and give back what was claimed: others need not wait then.

    Meanwhile the loop of the worker, which this interrupts, cannot say of any step that it has failed.
    """
    signal.signal(number, signal.SIG_DFL)

    def end() -> None:
        seam.executor.close(wait=False)  # type: ignore[attr-defined]
        give_all_back(_FAREWELL_SECONDS)

    ending = threading.Thread(target=end, daemon=True)
    ending.start()
    ending.join(2 * _FAREWELL_SECONDS)
    os.kill(os.getpid(), number)


def _told(one: tuple[str, str, int]) -> str:
    return f"Seamless {one[0]} (protocol {one[2]}) on Python {one[1]}"


def _executor() -> DaskWorkerExecutor:
    executor = seam.executor
    if not isinstance(executor, DaskWorkerExecutor):
        raise TransformationError(
            f"the Dask worker on {platform.node()} is none of Seamless: {PLUGIN} has not run there\n"
        )
    return executor


def _mode_here(envelope: Envelope) -> RecordMode | None:
    mode = recording.mode
    return mode if mode.record or PROBE in envelope.pins else None


def run_step(
    step: Packed,
    refresh: bool,
    above: int,
    mode: RecordMode | None = None,
    topic: str | None = None,
    along: bytes | None = None,
) -> dict[str, Any]:
    """Look one step up, or execute it once and keep it; return what came of it. The task of a Dask worker.

    `above`: how many steps wait for it; `mode`: what its full record needs; `topic`: of its live output; `along`: its
    inputs, as far as they may be in no store. A failure of the step is no failure of the task: nothing is to be
    repeated. Raises Reschedule if it has run out of the memory of its job, and another one will have more.
    """
    transformation, tf, envelope = unpack_step(step)
    killed = kills_before()
    held = hold(pickle.loads(along) if along else ())
    token = depth.set(above)
    try:
        on_output = sender(_executor().worker, topic)
        with recording.of_step(mode):
            if above or PROBE in envelope.pins:
                outcome = _run_for_others(transformation, tf, envelope, refresh, on_output)
            else:
                outcome = runner.run_transformation(transformation, tf, envelope, refresh=refresh, on_output=on_output)
    except Exception as exc:  # noqa: BLE001  it belongs to who waits for the step
        outcome = Outcome(tf, error=f"{type(exc).__name__}: {exc}\n", original=exc)
    finally:
        del held
        depth.reset(token)
    if is_starved(outcome, killed):
        _ask_for_memory(outcome)
    return told_of(outcome, envelope)


def hold(along: Iterable[bytes]) -> list[Buffer]:
    """Return buffers that can be found here as long as they are held."""
    held = [Buffer(content) for content in along]
    for buffer in held:
        register_weakly(buffer.get_checksum(), buffer)
    return held


def kills_before() -> int | None:
    """Return how many processes the system has ended in this job for want of memory; None if this is no job."""
    return kills() if _IN_JOB in os.environ else None


def is_starved(outcome: Outcome, killed: int | None) -> bool:
    """Tell whether a step has failed in a job because the system has ended its process for want of memory."""
    if outcome.result is not None or outcome.canceled or not _executor().in_job:
        return False
    if isinstance(outcome.original, WorkerLostError):
        return outcome.original.out_of_memory
    was_killed = outcome.exit_status == _KILLED or WorkerLostError.__name__ in (outcome.error or "")  # a nested one
    return was_killed and killed is not None and (kills() or 0) > killed


def _ask_for_memory(outcome: Outcome) -> None:
    """Raise Reschedule if there will be a job with more memory; else note in the outcome why there is none."""
    worker = _executor().worker
    client = worker._get_client()
    reason = client.run_on_scheduler(lacks_memory, str(worker.name), worker.get_current_task())
    if not reason:
        raise Reschedule
    outcome.error = f"{(outcome.error or '').rstrip()}\nIt is not tried again: {reason}\n"


async def lacks_memory(worker: str, key: str, dask_scheduler: Any = None) -> str:
    """Return "" when a step that has run out of memory is to be tried again, else why it is not."""
    jobs = dask_scheduler.extensions.get(JOBS)
    return "nobody can give it more memory" if jobs is None else str(await jobs.lacks_memory(worker, key))


class _Sent:
    """The steps that steps of Dask workers have sent here, by transformation."""

    def __init__(self) -> None:
        self.submissions: dict[Checksum, Submission] = {}

    def cancel(self, tf: Checksum) -> bool:
        """End one; False if it is not here."""
        submission = self.submissions.get(tf)
        return submission is not None and submission.cancel()


_sent = _Sent()


def _run_for_others(
    transformation: dict[str, Any], tf: Checksum, envelope: Envelope, refresh: bool, on_output: OutputHandler | None
) -> Outcome:
    """Do what the runner does, but never join what is under way here: that could be waiting for this very task."""
    submission = Submission(transformation, tf, envelope, runner._perform, on_output=on_output, refresh=refresh)
    submission.join()
    _sent.submissions[tf] = submission
    try:
        return submission.wait()
    finally:
        _sent.submissions.pop(tf, None)


def told_of(outcome: Outcome, envelope: Envelope) -> dict[str, Any]:
    """Return an outcome as plain values, for the client."""
    original = outcome.original
    return {
        "result": None if outcome.result is None else outcome.result.hex(),
        "content": _scratch(outcome, envelope),
        "cached": outcome.cached,
        "error": outcome.error,
        "original": pack_error(original) if isinstance(original, Exception) else None,
        "exit_status": outcome.exit_status,
        "canceled": outcome.canceled,
        "stdout": outcome.stdout,
        "stderr": outcome.stderr,
        "usage": vars(outcome.usage),
    }


def _scratch(outcome: Outcome, envelope: Envelope) -> bytes | None:
    """Return the bytes of a scratch result; store it if it is large."""
    if outcome.result is None or not (envelope.scratch or PROBE in envelope.pins):
        return None
    buffer = runner.find_undamaged(outcome.result)
    if buffer is None:
        return None
    if len(buffer) <= LARGEST_SCRATCH:
        return buffer.content
    from seamless.cache.buffer_writer import get_writer

    get_writer().store([buffer])
    return None


async def use_stores(remote_clients: dict[str, Any]) -> None:
    """Use these stores from now on, because they have moved, and have them take what is left. Called on all workers.

    So a step that any worker has executed meanwhile is known to all when this has returned.
    """
    import asyncio

    from seamless.remote.forwarding import activate_forwarded

    activate_forwarded(remote_clients, in_remote=True)
    await asyncio.to_thread(runner.keep_unkept)


def cancel_everywhere(tf: str) -> bool:
    """End a step on this Dask worker, whoever wants it; False if it is not executed here. Called on all workers."""
    here = runner.cancel(Checksum(tf))
    return _sent.cancel(Checksum(tf)) or here


async def cancel_waiting(tf: str, client: str, dask_scheduler: Any = None) -> bool:
    """Take a step that no worker executes from the scheduler, and from whom it was given to; False if there is none.

    A group that it is in goes with it: whoever has sent the group sends the other steps alone.
    """
    keys = [
        task.key
        for task in list(dask_scheduler.tasks.values())
        if (f"-{tf}" in str(task.key) or tf in (task.annotations or {}).get(MEMBERS, ()))
        and task.who_wants
        and task.state in ("queued", "no-worker", "waiting", "processing")
    ]
    if keys:
        dask_scheduler.stimulus_cancel(keys, client=client, force=True, reason=CANCELED, msg=tf)
    return bool(keys)


async def cancel_step(tf: str, key: str, dask_worker: Any = None) -> None:
    """End a step on this Dask worker, unless somebody still wants it. Called on all workers."""
    import asyncio

    for _ in range(int(_CANCEL_SECONDS / 0.05)):
        task = dask_worker.state.tasks.get(key)
        if task is None or task.state == "cancelled":
            runner.cancel(Checksum(tf))
            _sent.cancel(Checksum(tf))
            return
        await asyncio.sleep(0.05)
