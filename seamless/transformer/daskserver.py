"""Execution on a daskserver: the way of a request to the scheduler, and of the answer back."""

from __future__ import annotations

import dataclasses
import pickle
import threading
from typing import TYPE_CHECKING, Any

from seamless.buffer import Buffer
from seamless.checksum import Checksum
from seamless.errors import (
    BufferCorruptionError,
    CacheMissError,
    StoreError,
    TransformationError,
    UsageError,
    WorkerLostError,
)
from seamless.remote import daskserver_remote
from seamless.session import session
from seamless.transformer.dask_output import LiveOutput
from seamless.transformer.execute import StepError
from seamless.transformer.execution import Cancellation, ExecutionAnswer, ExecutionRequest, seam
from seamless.transformer.inputs import inputs_in_memory, small_inputs, store_members
from seamless.transformer.outcome import Usage
from seamless.transformer.recording.mode import PROBE, RecordMode, recording
from seamless.transformer.remote_job import RemoteJobWritten
from seamless.transformer.resources import wanted_of
from seamless.transformer.workers.errors import unpack_error
from seamless.transformer.workers.step import pack_step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from seamless.remote.dask_client import SeamlessDaskClient
    from seamless.transformer.outcome import Envelope

_PRIORITY = 10
_NESTED_PRIORITY = 20  # before those of clients: somebody holds a place and waits
_ATTEMPTS = 4  # with as many schedulers, if one after the other ends
_MOST = 1000  # steps in flight
_WAITING = 32  # of them for each that can be executed at once
_CANCEL_SECONDS = 5.0
_FAILED_LATELY = 3  # workers that may die with a step, after which it is not tried again


class DaskExecutor:
    """Executes at the active daskserver, except local steps."""

    remote = True

    def stops(self, envelope: Envelope) -> bool:
        """A Dask worker ends what is canceled or late."""
        return not envelope.local

    def keeps(self, envelope: Envelope) -> bool:
        """The workers look up, execute once, and write results. Raises StoreError if they could not."""
        if envelope.local:
            return False
        _require_stores()
        return True

    def execute(self, request: ExecutionRequest) -> ExecutionAnswer:
        """Execute one step there; block until it has ended."""
        if request.envelope.local:
            return seam.in_process.execute(request)
        along = inputs_along(request)
        from seamless.transformer.dask_step import use_stores

        attempts, moved, output = _ATTEMPTS, False, (b"", b"")
        while True:
            client = daskserver_remote.client()
            client.prepare(_set_up)
            try:
                answer = _execute(client, request, along)
                if not (answer.stdout or answer.stderr):
                    answer.stdout, answer.stderr = output
                return answer
            except SchedulerLostError:
                attempts -= 1
                if not attempts or request.canceled.is_set():
                    raise
            except StoreError as exc:
                if moved or request.canceled.is_set():
                    raise
                moved = True  # the stores may have been launched again, elsewhere
                output = getattr(exc, "stdout", b""), getattr(exc, "stderr", b"")
                client.client.run(use_stores, daskserver_remote.stores())

    def cancel(self, tf: Checksum) -> bool:
        """End the execution of a transformation, whoever wants it; True if it was under way. Raises StoreError."""
        from seamless.transformer.dask_step import cancel_everywhere, cancel_waiting

        client = daskserver_remote.client().client
        if any(client.run(cancel_everywhere, tf.hex()).values()):
            return True
        if not client.run_on_scheduler(cancel_waiting, tf.hex(), client.id):
            return False
        client.run(cancel_everywhere, tf.hex())  # it may have begun meanwhile
        return True


class SchedulerLostError(TransformationError):
    """The connection to the scheduler has ended while a step was under way."""


def executor() -> DaskExecutor:
    """Return an executor."""
    return DaskExecutor()


# --- the way there --------------------------------------------------------------------------------


def _require_stores() -> None:
    if not session.writable_buffer_stores():
        raise StoreError("Remote execution requires an active hashserver that can be written to")
    if not session.writable_result_stores():
        raise StoreError("Remote execution requires an active database server that can be written to")


def store_inputs(request: ExecutionRequest) -> None:
    """Have a store keep what the step reads, as far as it is in the memory of this process. Raises StoreError."""
    from seamless.cache.buffer_writer import get_writer

    writer = get_writer()
    buffers = inputs_in_memory(request.transformation, scratch=True)
    if request.envelope.env:
        buffers.append(Buffer(request.envelope.env, "plain"))
    writer.store(buffers)
    store_members()


def inputs_along(request: ExecutionRequest) -> list[bytes]:
    """Return the inputs that go along with the step; if it cannot be all, have a store keep them. Raises StoreError."""
    envelope = request.envelope
    along = None if envelope.env or envelope.scratch else small_inputs(request.transformation, scratch=True)
    if along is None:
        store_inputs(request)
        return []
    store_members()
    return [buffer.content for buffer in along]


def _set_up(client: SeamlessDaskClient) -> None:
    """Make the workers, present and future, those of Seamless. Raises StoreError."""
    from seamless.remote.errors import RemoteError
    from seamless.transformer.dask_groups import Groups
    from seamless.transformer.dask_step import SeamlessWorkerSetup, version
    from seamless.transformer.pool import pool

    pool.limit = max(pool.limit, min(_MOST, _WAITING * client.most))  # a thread waits for each
    client.groups = Groups(client, _PRIORITY)
    try:
        theirs = tuple(client.client.run_on_scheduler(version))
        answers = client.client.register_plugin(SeamlessWorkerSetup(client.workers, client.remote_clients))
    except Exception as exc:
        raise RemoteError(f"the Dask workers cannot execute steps: {exc}", service="daskserver") from exc
    if theirs != version():
        raise RemoteError(
            f"the daskserver runs Seamless {theirs[0]} on Python {theirs[1]}, this program {version()[0]} on Python "
            f"{version()[1]}: they must be the same. Stop it (seamless-service-stop), or change its environment",
            service="daskserver",
        )
    failed = [
        str(answer)
        for answer in (answers or {}).values()
        if isinstance(answer, dict) and answer.get("status") == "error"
    ]
    if failed:
        raise RemoteError(f"the Dask workers cannot execute steps: {failed[0]}", service="daskserver")


def _execute(client: SeamlessDaskClient, request: ExecutionRequest, along: list[bytes]) -> ExecutionAnswer:
    """Have one step executed, with other short ones if there are any."""
    told = client.groups.execute(request, along) if client.groups.takes(request) else None
    if told is not None and not request.canceled.is_set():
        output = LiveOutput(client.client, request)
        answer = _answer(request, output, told)
    else:
        mode = _record_mode(request)
        answer = submit(client.client, request, mode=mode, along=along, resources=_resources(client, request))
        if PROBE in request.envelope.pins:
            from seamless.transformer.dask_probes import probe_others

            return probe_others(client.client, request, answer, _answer_to, mode=mode, along=along)
    client.groups.learn(request, answer)
    return answer


def _answer_to(client: Any, request: ExecutionRequest, told: dict[str, Any]) -> ExecutionAnswer:
    return _answer(request, LiveOutput(client, request), told)


def _resources(client: SeamlessDaskClient, request: ExecutionRequest) -> dict[str, float]:
    """Return what a step takes of its Dask worker. Raises UsageError if none has as much: it would wait for ever."""
    try:
        return wanted_of(request.envelope.meta, client.resources)
    except ValueError as exc:
        name = daskserver_remote.queue()[0]
        raise UsageError(f"queue {name!r}: {exc}; `dask_resources` of a queue says what its workers have") from None


def _record_mode(request: ExecutionRequest) -> RecordMode | None:
    """Return what the workers must know for full records and probes; None if neither is wanted."""
    if not recording.mode.record and PROBE not in request.envelope.pins:
        return None
    queue, configuration = daskserver_remote.queue()
    return dataclasses.replace(
        recording.mode, queue=queue, remote_target="daskserver", queue_configuration=configuration
    )


def key_of(request: ExecutionRequest, depth: int) -> str:
    """Return the name of the task: equal for equal steps, and the same beginning for the same code."""
    code = request.transformation.get("code")
    prefix = "nested" if depth else "base"
    first = f"{prefix}_{code[2]}" if code and isinstance(code[2], str) else prefix
    ending = "-probe" if PROBE in request.envelope.pins else "-again" if request.refresh else ""
    return f"{first}-{request.tf}{ending}"


class _Cancellations:
    """What is on its way to schedulers to end steps there. Thread-safe."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._under_way = 0

    def send(self, cancel: Callable[[], None]) -> None:
        """Have `cancel()` called soon, in another thread."""
        from seamless.transformer.pool import pool

        def run() -> None:
            try:
                cancel()
            except (OSError, TimeoutError) as exc:  # with the connection the wish for the step has ended, too
                import logging

                logging.getLogger(__name__).info("a step could not be canceled: %s", exc)
            finally:
                with self._condition:
                    self._under_way -= 1
                    self._condition.notify_all()

        with self._condition:
            self._under_way += 1
        pool.submit(run)

    def wait(self) -> None:
        """Return when all have gone, or soon."""
        with self._condition:
            self._condition.wait_for(lambda: self._under_way == 0, _CANCEL_SECONDS)


cancellations = _Cancellations()
session.on_close.insert(0, cancellations.wait)  # before connections are closed


def submit(
    client: Any,
    request: ExecutionRequest,
    *,
    depth: int = 0,
    mode: RecordMode | None = None,
    along: Sequence[bytes] = (),
    resources: Mapping[str, float] | None = None,
) -> ExecutionAnswer:
    """Have one step executed by a `distributed.Client`; block until it has ended.

    `depth`: how many steps wait for it; `along`: inputs that may be in no store yet. Steps of clients take `resources`
    of a worker, others do not: they could wait for those that wait for them.
    """
    from seamless.transformer.dask_step import cancel_step, run_step

    key = key_of(request, depth)
    output = LiveOutput(client, request)
    future = client.submit(
        run_step,
        pack_step(request.transformation, request.tf, request.envelope),
        request.refresh,
        depth,
        mode,
        output.topic,
        pickle.dumps(list(along), 5),
        key=key,
        pure=True,
        priority=_NESTED_PRIORITY if depth else _PRIORITY,
        resources=resources,
        retries=0,
    )

    def cancel() -> None:
        future.cancel()
        client.run(cancel_step, request.tf.hex(), key, wait=False)

    def stop() -> None:
        cancellations.send(cancel)

    request.canceled.add_callback(stop)
    try:
        return _answer(request, output, _result(request, future))
    finally:
        output.close()
        request.canceled.remove_callback(stop)
        future.release()


def _result(request: ExecutionRequest, future: Any) -> dict[str, Any]:
    from concurrent.futures import CancelledError as Canceled

    from distributed import CancelledError, KilledWorker

    from seamless.remote.dask_client import LOST
    from seamless.transformer.dask_step import CANCELED

    try:
        answer: dict[str, Any] = future.result()
        return answer
    except KilledWorker as exc:
        text = (
            f"WorkerLostError: {_FAILED_LATELY + 1} Dask workers in a row have ended while they executed "
            f"{request.envelope.name}; the last one was {getattr(exc.last_worker, 'address', exc.last_worker)}. "
            "If it needs more memory than the jobs of the queue have, use a queue with more\n"
        )
        raise WorkerLostError(text) from None
    except (CancelledError, Canceled) as exc:
        if CANCELED in str(exc) and isinstance(request.canceled, Cancellation):
            request.canceled.set()  # by `cancel`, before it has begun
        if request.canceled.is_set():
            raise TransformationError("Transformation was canceled") from None
        if getattr(exc, "reason", None) == LOST:
            text = getattr(exc, "msg", "")
            raise WorkerLostError(f"WorkerLostError: {request.envelope.name} was not finished: {text}\n") from None
        raise SchedulerLostError(
            "The Dask scheduler has ended, or another program has canceled the step; to see why: "
            "seamless-service-logs --service daskserver\n"
        ) from None
    except (OSError, TimeoutError) as exc:
        raise SchedulerLostError(f"The Dask scheduler cannot be reached any more: {exc}\n") from exc


# --- the way back ---------------------------------------------------------------------------------


def _answer(request: ExecutionRequest, output: LiveOutput, told: dict[str, Any]) -> ExecutionAnswer:
    stdout, stderr = told["stdout"], told["stderr"]
    output.complete(stdout, stderr)
    if told["result"] is None:
        raise _error(request, told)
    result = Checksum(told["result"])
    if told["content"] is not None:
        request.buffers.added[result] = Buffer(told["content"], checksum=result)
    known = {field.name for field in dataclasses.fields(Usage)}
    usage = Usage(**{name: value for name, value in told["usage"].items() if name in known})
    return ExecutionAnswer(result, stdout, stderr, usage, mode="remote", remote_target="daskserver")


def _error(request: ExecutionRequest, told: dict[str, Any]) -> BaseException:
    """Return the error that the same failure is in this process."""
    original = unpack_error(told["original"]) if told["original"] is not None else None
    if told["canceled"]:
        if isinstance(request.canceled, Cancellation):
            request.canceled.set()  # by somebody else: the outcome is the same
        return TransformationError("Transformation was canceled")
    if isinstance(original, (CacheMissError, StoreError, BufferCorruptionError, RemoteJobWritten)):
        return original
    if isinstance(original, TransformationError):
        original.args = (told["error"],)
        error: TransformationError = original
    else:
        error = StepError(told["error"], exit_status=told["exit_status"])
        error.__cause__ = original
    vars(error).update(stdout=told["stdout"], stderr=told["stderr"], complete=True)
    return error
