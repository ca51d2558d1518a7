"""What a worker asks of its parent while it executes a step: buffers, look-ups, and nested steps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from seamless.buffer import Buffer
from seamless.cache.buffer_cache import find_in_memory
from seamless.cache.resolve import find, is_known
from seamless.checksum import Checksum
from seamless.errors import SeamlessError
from seamless.session import session
from seamless.transformer.outcome import Envelope, Outcome
from seamless.transformer.pool import pool as threads
from seamless.transformer.workers.errors import pack_error
from seamless.transformer.workers.memory import MappedBuffer
from seamless.transformer.workers.parcel import Parcel, unpacked
from seamless.transformer.workers.protocol import Gone, close_all
from seamless.transformer.workers.step import unpack_step
from seamless.util.thread_pool import ThreadPool

if TYPE_CHECKING:
    from seamless.transformer.workers.handle import Run, Worker


_WORTH_SENDING = 1 << 20  # bytes of a nested result that go to who has asked for the step, whether it wants them or not

# Nested steps have threads of their own: they must never wait for steps that wait for a slot.
nested_threads = ThreadPool(64)
session.on_close.append(nested_threads.end_idle)


def serve(worker: Worker, main_run: Run, message: Any, fds: list[int]) -> None:
    """Deal with one message of a worker, in the thread that waits for its answer."""
    kind, number = message[0], message[1]
    run = worker.runs.get(number)
    if kind == "call":
        _, _, call, operation, arguments = message
        # What is left of an earlier step of this process counts as part of the present one.
        _call(worker, run or main_run, call, operation, arguments, fds)
    elif run is None:
        close_all(fds)
    elif kind == "begun":
        run.begin()
    elif kind == "made":
        run.made.append((message[2], fds))
    else:
        run.answer = (*message, fds)
        if run.answered is not None:
            run.answered.set()


def _call(worker: Worker, run: Run, call: int, operation: str, arguments: Any, fds: list[int]) -> None:
    if operation == "delegate":
        _Delegated(worker, run, call, arguments, fds).start()
        return
    if operation == "cancel":
        submission = run.nested.pop(call, None)
        if submission is not None:
            submission.leave()
        return
    parcel = Parcel()
    try:
        value = _OPERATIONS[operation](run, parcel, arguments, fds)
    except Exception as exc:  # noqa: BLE001  it belongs to who has asked
        reply: tuple[Any, ...] = ("reply", call, "error", pack_error(exc))
    else:
        reply = ("reply", call, "value", (value, parcel.items))
    try:
        worker.link.send(reply, parcel.fds)
    finally:
        parcel.sent()


# --- buffers ------------------------------------------------------------------------------------


def _read(run: Run, parcel: Parcel, checksum: str, _: Any) -> None:
    parcel.add_input(Checksum(checksum), run.request.buffers)


def _find(run: Run, parcel: Parcel, checksum: str, _: Any) -> None:
    buffer = find(Checksum(checksum))
    if buffer is not None:
        parcel.add(Checksum(checksum), buffer)


def _fingertip(run: Run, parcel: Parcel, checksum: str, _: Any) -> None:
    from seamless.transformer.recompute import fingertip_result

    parcel.add(Checksum(checksum), fingertip_result(Checksum(checksum)))


def _copy_to(run: Run, parcel: Parcel, arguments: Any, _: Any) -> None:
    checksum, path, executable = arguments
    run.request.buffers.copy_to(Checksum(checksum), path, executable=executable)


def _add_file(run: Run, parcel: Parcel, path: str, _: Any) -> str:
    return run.request.buffers.add_file(path).hex()


def _has(run: Run, parcel: Parcel, checksums: list[str], _: Any) -> list[bool]:
    return [is_known(Checksum(checksum)) for checksum in checksums]


def _length(run: Run, parcel: Parcel, checksum: str, _: Any) -> int | None:
    buffer = find(Checksum(checksum))
    return None if buffer is None else len(buffer)


def _put(run: Run, parcel: Parcel, items: Any, fds: list[int]) -> None:
    from seamless.cache.buffer_writer import get_writer

    buffers = unpacked(items, fds)
    if not get_writer().store(buffers):
        for buffer in buffers:
            buffer.tempref()


# --- results ------------------------------------------------------------------------------------


def _lookup(run: Run, parcel: Parcel, tf: str, _: Any) -> str | None:
    from seamless.transformer.runner import lookup

    result = lookup(Checksum(tf))
    return None if result is None else result.hex()


def _transformations(run: Run, parcel: Parcel, checksum: str, _: Any) -> list[str]:
    from seamless.transformer.recompute import candidates

    return [tf.hex() for tf in candidates(Checksum(checksum))]


_OPERATIONS: dict[str, Callable[[Any, Parcel, Any, list[int]], Any]] = {
    "read": _read,
    "find": _find,
    "fingertip": _fingertip,
    "copy_to": _copy_to,
    "add_file": _add_file,
    "has": _has,
    "length": _length,
    "put": _put,
    "lookup": _lookup,
    "transformations": _transformations,
}


# --- nested steps -------------------------------------------------------------------------------


class _Delegated:
    """A step that a step wants: looked up, executed and kept here, in a thread of its own."""

    def __init__(self, worker: Worker, run: Run, call: int, arguments: Any, fds: list[int]) -> None:
        self._worker, self._run, self._call = worker, run, call
        self._arguments, self._fds = arguments, fds

    def start(self) -> None:
        """Begin in the background. The step that waits lends its slot."""
        context = self._run.context.copy()
        self._run.hold.lend()
        # This thread has nothing to do until then, and must not keep others from beginning.
        for pool in (threads, nested_threads):
            pool.give_up(threading.get_ident())
        nested_threads.submit(lambda: context.run(self._work))

    def _work(self) -> None:
        from seamless.transformer.workers.pool import origin

        origin.set((self._run, self._call))
        parcel = Parcel()
        try:
            try:
                reply: tuple[Any, ...] = ("reply", self._call, "value", (self._outcome(parcel), parcel.items))
            except Exception as exc:  # noqa: BLE001  it belongs to who has asked
                reply = ("reply", self._call, "error", pack_error(exc))
            finally:
                with nested_threads.blocked():
                    self._run.hold.take_back()
            self._worker.link.send(reply, parcel.fds)
        except Gone:
            return  # with the step that wanted it
        finally:
            parcel.sent()

    def _outcome(self, parcel: Parcel) -> Any:
        from seamless.transformer import runner

        step, refresh, items = self._arguments
        held = unpacked(items, self._fds)  # alive, and so to be found, until there is an outcome
        transformation, tf, envelope = unpack_step(step)
        result = None if refresh else runner.lookup(tf, require_value=not envelope.scratch)
        if result is not None:
            outcome = Outcome(tf, result=result, cached=True)
        else:
            outcome = self._execute(transformation, tf, envelope, refresh)
        del held
        return _packed_outcome(outcome, parcel)

    def _execute(self, transformation: Any, tf: Checksum, envelope: Envelope, refresh: bool) -> Outcome:
        from seamless.transformer import runner
        from seamless.transformer.capture import live_output

        on_output = live_output() if envelope.direct_print else None
        submission = runner.submit(transformation, tf, envelope, on_output=on_output, refresh=refresh)
        self._run.nested[self._call] = submission
        if self._run.ended:
            self._run.abandon_nested()
        try:
            return submission.wait()
        finally:
            self._run.nested.pop(self._call, None)


def _packed_outcome(outcome: Outcome, parcel: Parcel) -> Any:
    """Return what there is to say of an outcome, and add the result if that costs little."""
    if outcome.result is not None:
        buffer: Buffer | None = find_in_memory(outcome.result)
        if buffer is not None and (isinstance(buffer, MappedBuffer) or len(buffer) < _WORTH_SENDING):
            parcel.add(outcome.result, buffer)
    original = outcome.original
    if original is not None and not isinstance(original, (SeamlessError, Exception)):
        original = None
    return (
        None if outcome.result is None else outcome.result.hex(),
        outcome.cached,
        outcome.error,
        None if original is None else pack_error(original),
        outcome.exit_status,
        outcome.canceled,
        outcome.stdout,
        outcome.stderr,
    )
