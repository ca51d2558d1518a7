"""Execution at a jobserver: the way of a request to the active clients, and of the answer back."""

from __future__ import annotations

import base64
import builtins
import dataclasses
import time
from typing import TYPE_CHECKING, Any

from seamless.buffer import Buffer
from seamless.cache.resolve import open_buffer
from seamless.checksum import Checksum
from seamless.errors import CacheMissError, StoreError, TransformationError, WorkerLostError
from seamless.remote import jobserver_remote
from seamless.remote.jobserver_calls import JobCanceledError, JobFailedError
from seamless.remote.jobserver_client import JobOrder
from seamless.session import session
from seamless.transformer.execute import StepError
from seamless.transformer.execution import Cancellation, ExecutionAnswer, ExecutionRequest, seam
from seamless.transformer.inputs import inputs_in_memory, small_inputs, store_members
from seamless.transformer.outcome import Usage
from seamless.transformer.remote_job import RemoteJobWritten

if TYPE_CHECKING:
    from collections.abc import Callable

    from seamless.remote.jobserver_client import JobserverClient
    from seamless.transformer.outcome import Envelope

_PATIENCE = 30.0  # seconds for a result to arrive in a store
_LARGEST = 64 << 20  # bytes of a scratch result that are fetched without being asked for


class JobserverExecutor:
    """Executes at the active jobservers, except local steps."""

    remote = True

    def stops(self, envelope: Envelope) -> bool:
        """A jobserver ends what is canceled or late."""
        return not envelope.local

    def keeps(self, envelope: Envelope) -> bool:
        """Tell whether the jobserver keeps the result; one of the reference leaves it to its clients."""
        return not envelope.local and jobserver_remote.first(lambda client: client.keeps_results())

    def execute(self, request: ExecutionRequest) -> ExecutionAnswer:
        """Execute one step there; block until it has ended."""
        if request.envelope.local:
            return seam.in_process.execute(request)
        along = _inputs_along(request)
        repairs: dict[str, Callable[[JobserverClient | None], None]] = {
            "missing": lambda client: _store_inputs(request, scratch=True),
            "store": _repair_stores,
        }
        while True:
            order = _order(request, along)
            try:
                client, answer = _execute(request, order)
            except JobFailedError as exc:
                repair = repairs.pop(exc.kind, None)  # each once
                if repair is None or request.canceled.is_set():
                    raise _error(request, exc) from _cause(exc)
                repair(next(iter(jobserver_remote.active.clients), None))
                along = {}
            else:
                return _answer(request, client, answer)

    def cancel(self, tf: Checksum) -> bool:
        """End the execution of a transformation, whoever wants it; True if it was under way."""
        return jobserver_remote.cancel_transformation(tf)


def executor() -> JobserverExecutor:
    """Return an executor."""
    return JobserverExecutor()


# --- the way there --------------------------------------------------------------------------------


def _inputs_along(request: ExecutionRequest) -> dict[str, str]:
    """Return the inputs that go along with the step; if it cannot be all, have a store keep them. Raises StoreError."""
    envelope = request.envelope
    along = None if envelope.env or envelope.scratch else small_inputs(request.transformation)
    if along is None or not jobserver_remote.first(lambda client: client.takes_buffers()):
        _store_inputs(request)
        return {}
    store_members()
    return {buffer.get_checksum().hex(): base64.b64encode(buffer.content).decode() for buffer in along}


def _store_inputs(request: ExecutionRequest, *, scratch: bool = False) -> None:
    """Have a store keep what the step reads, as far as it is in the memory of this process. Raises StoreError."""
    if not session.writable_buffer_stores():
        return
    from seamless.cache.buffer_writer import get_writer

    writer = get_writer()
    buffers = inputs_in_memory(request.transformation, scratch=scratch)
    if request.envelope.env:
        buffers.append(Buffer(request.envelope.env, "plain"))
    writer.store(buffers)
    store_members()


def _order(request: ExecutionRequest, along: dict[str, str]) -> JobOrder:
    envelope = request.envelope
    dunder: dict[str, Any] = dict(envelope.pins)
    if envelope.meta:
        dunder["__meta__"] = dict(envelope.meta)
    if envelope.env:
        dunder["__env__"] = Buffer(envelope.env, "plain").get_checksum().hex()
    return JobOrder(
        request.transformation,
        request.tf,
        dunder,
        envelope.scratch,
        envelope.strict,
        jobserver_remote.active.record,
        {
            "timeout": envelope.timeout,
            "refresh": request.refresh or None,
            "command": envelope.command,
            "name": envelope.name,
            "buffers": along or None,
            "origin": list(envelope.origin) if envelope.origin is not None else None,
        },
        request.on_output,
        request.canceled,
    )


def _execute(request: ExecutionRequest, order: JobOrder) -> tuple[JobserverClient, dict[str, Any]]:
    """Have it executed; a cancellation goes there at once."""
    from seamless.transformer.pool import pool

    def execute(client: JobserverClient) -> tuple[JobserverClient, dict[str, Any]]:
        def leave() -> None:
            pool.submit(lambda: client.leave(order))

        request.canceled.add_callback(leave)
        try:
            return client, client.execute(order)
        finally:
            request.canceled.remove_callback(leave)

    return jobserver_remote.first(execute)


def _repair_stores(client: JobserverClient | None) -> None:
    """Tell a jobserver of ours where its stores are, in case they have been launched again. Raises StoreError."""
    repair = getattr(client, "repair_stores", None)
    if repair is not None:
        repair()


# --- the way back ---------------------------------------------------------------------------------


def _answer(request: ExecutionRequest, client: JobserverClient, answer: dict[str, Any]) -> ExecutionAnswer:
    if "remote_job_written" in answer:
        raise RemoteJobWritten(str(answer["remote_job_written"]))
    result = Checksum(answer["result_checksum"])
    if request.envelope.scratch:
        _fetch(request, client, result)
    elif not client.keeps_results():
        _await_buffer(request, result)
    compilation = answer.get("compilation")
    return ExecutionAnswer(
        result,
        answer.get("stdout", b""),
        answer.get("stderr", b""),
        _usage(answer),
        compilation if isinstance(compilation, dict) else None,
        mode="remote",
        remote_target="jobserver",
    )


def _fetch(request: ExecutionRequest, client: JobserverClient, result: Checksum) -> None:
    """Get a scratch result, which is in no store, unless it is large: then it is computed again when it is needed."""
    content = client.get_buffer(result, most=_LARGEST)
    if content is not None:
        request.buffers.added[result] = Buffer(content, checksum=result)


def _await_buffer(request: ExecutionRequest, result: Checksum) -> None:
    """Return when the buffer is in a store: a jobserver of the reference answers before. Raises StoreError."""
    deadline = time.monotonic() + _PATIENCE
    pause = 0.02
    while session.buffer_stores:
        try:
            open_buffer(result).close()
            return
        except CacheMissError as exc:
            if time.monotonic() > deadline:
                raise StoreError(
                    f"the jobserver says that the result is {result}, but its buffer is in no store of this process "
                    f"after {_PATIENCE:g} s: does the jobserver work with the same stores?"
                ) from exc
        if request.canceled.wait(pause):
            return
        pause = min(2 * pause, 0.5)


def _usage(answer: dict[str, Any]) -> Usage:
    if "usage" in answer:
        known = {field.name for field in dataclasses.fields(Usage)}
        return Usage(**{key: value for key, value in answer["usage"].items() if key in known})
    runtime = answer.get("record_runtime") or {}
    return Usage(
        wall_time_seconds=runtime.get("wall_time_seconds") or 0.0,
        cpu_time_user_seconds=runtime.get("cpu_user_seconds") or 0.0,
        cpu_time_system_seconds=runtime.get("cpu_system_seconds") or 0.0,
        memory_peak_bytes=runtime.get("memory_peak_bytes") or 0,
    )


def _error(request: ExecutionRequest, exc: JobFailedError) -> Exception:
    """Return the error that the same failure is in this process."""
    text = str(exc)
    if isinstance(exc, JobCanceledError):
        if isinstance(request.canceled, Cancellation):
            request.canceled.set()  # by somebody else: the outcome is the same
        return TransformationError(text)
    if exc.kind == "missing" and "checksum" in exc.error:
        return CacheMissError(exc.error["checksum"])
    if exc.kind == "store":
        return StoreError(f"the jobserver cannot use its stores: {text.strip()}")
    error: TransformationError
    if exc.kind == "lost":
        error = WorkerLostError(text)
    elif request.transformation.get("__language__") == "bash":
        from seamless.transformer.bash.failure import BashFailure

        error = BashFailure(text, exit_status=exc.exit_status, written=_bytes(exc.error.get("written")))
    else:
        error = StepError(text, exit_status=exc.exit_status)
    vars(error).update(stdout=exc.stdout, stderr=exc.stderr, complete=True)
    return error


def _cause(exc: JobFailedError) -> BaseException | None:
    """Return what the step has raised, as far as it can be known here: same name, same text."""
    name, message = exc.error.get("type"), exc.error.get("message") or ""
    if exc.kind != "step" or not name or name in ("StepError", "BashFailure"):
        return None
    if name == "ResultProblem":
        from seamless.transformer.bash.failure import ResultProblem

        return ResultProblem(message, "")
    builtin = getattr(builtins, name, None)
    if isinstance(builtin, type) and issubclass(builtin, Exception):
        try:
            return builtin(message)
        except TypeError:  # one that wants more than a text
            return type(name, (Exception,), {"__module__": "transformer"})(message)
    return type(name, (Exception,), {"__module__": "transformer"})(message)


def _bytes(text: str | None) -> bytes:
    return base64.b64decode(text) if text else b""
