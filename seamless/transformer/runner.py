"""Look a transformation up, or execute it once and keep the result.

Order: memory of this process, the active result stores, an execution already under way (here or in
another process that shares the store), and only then an execution. A result becomes visible in a store
after its buffer is durable there.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from seamless.buffer import Buffer
from seamless.cache.access import Buffers
from seamless.cache.buffer_cache import get_buffer_cache
from seamless.cache.resolve import find, is_known
from seamless.checksum import Checksum
from seamless.errors import BufferCorruptionError, CacheMissError, SeamlessError, StoreError, TransformationError
from seamless.session import ResultStore, session
from seamless.shutdown import ensure_open
from seamless.stores.memory import MemoryResults
from seamless.transformer.execute import StepError
from seamless.transformer.execution import ExecutionAnswer, ExecutionRequest, seam
from seamless.transformer.failures import failure, where
from seamless.transformer.inputs import inputs_in_memory
from seamless.transformer.outcome import Envelope, Outcome, OutputHandler
from seamless.transformer.pool import pool
from seamless.transformer.recording.mode import PROBE, recording
from seamless.transformer.submission import Submission
from seamless.transformer.unkept import unkept

if TYPE_CHECKING:
    from seamless.transformer.buckets.probe import Required

_running: dict[Checksum, Submission] = {}
_running_lock = threading.Lock()
_GRACE = 4.0  # seconds for commands to end when the process does
# Transformation -> what is held in memory on its behalf: its result, or several buffers.
_held: dict[Checksum, Checksum | tuple[Checksum, ...]] = {}
_warned: set[str] = set()  # names of read-only stores


def _release(tf: Checksum, result: Checksum | None = None) -> None:
    held = _held.pop(tf, ())
    for checksum in (held,) if isinstance(held, Checksum) else held:
        checksum.decref()


memory = MemoryResults(on_evict=_release)


def lookup(tf: Checksum, *, require_value: bool = False, without: Collection[ResultStore] = ()) -> Checksum | None:
    """Return the known result, from memory or the active stores, without executing anything.

    With `require_value` only a result whose buffer can be had counts. `without`: stores that need not be asked.
    Raises StoreError.
    """
    result = memory.get_result(tf)
    if result is not None and (not require_value or is_known(result)):
        return result
    session.ensure_active()
    for store in session.result_stores:
        result = store.get_result(tf) if store not in without else None
        if result is not None and (not require_value or is_known(result)):
            memory.set_result(tf, result)
            return result
    return None


def missing(transformations: Collection[Checksum]) -> set[Checksum]:
    """Return those whose result is neither in memory nor in an active store; remember the others. Raises StoreError."""
    left = [tf for tf in transformations if memory.get_result(tf) is None]
    if not left:
        return set()
    session.ensure_active()
    for store in session.result_stores:
        get_results = getattr(store, "get_results", None)
        found = get_results(left) if get_results is not None else [store.get_result(tf) for tf in left]
        for tf, result in zip(left, found, strict=True):
            if result is not None:
                memory.set_result(tf, result)
        left = [tf for tf, result in zip(left, found, strict=True) if result is None]
    return set(left)


def lookup_buffer(tf: Checksum) -> Buffer | None:
    """Return the buffer of the known result, or None. Executes nothing, also not to get a lost buffer back."""
    result = memory.get_result(tf)
    if result is not None:
        return find_undamaged(result)
    session.ensure_active()
    for store in session.result_stores:
        result = store.get_result(tf)
        if result is not None and (buffer := find_undamaged(result)) is not None:
            memory.set_result(tf, result)
            return buffer
    return None


def find_undamaged(checksum: Checksum) -> Buffer | None:
    """Return the buffer of a result, or None; warn if it is there but damaged: it can be computed again."""
    try:
        return find(checksum)
    except BufferCorruptionError as exc:
        import warnings

        warnings.warn(f"{exc}; it is computed again", stacklevel=2)
        return None


def submit(
    transformation: Mapping[str, Any],
    tf: Checksum,
    envelope: Envelope,
    *,
    on_output: OutputHandler | None = None,
    refresh: bool = False,
) -> Submission:
    """Return the submission for this transformation, joined: the one under way, whatever its envelope, or a new one.

    Neither looked up nor started yet: `wait()` or `start()` it, and `leave()` it to lose interest. With a
    strict envelope, an execution under way with another envelope is refused (RuntimeError). Raises
    TransformationError if the caller is part of that very execution.
    """
    ensure_open("transformation")
    with _running_lock:
        running = _running.get(tf)
        if running is not None and not running.done:
            if running.is_around():
                raise TransformationError(
                    f"Transformation {tf} needs its own result: the step calls itself with the same inputs"
                )
            if envelope.strict and _digest(running.envelope) != _digest(envelope):
                raise RuntimeError(
                    f"Transformation {tf} is already running with a different dunder envelope; "
                    "wait for it, or submit without strict"
                )
            if running.join():
                return running
        submission = Submission(transformation, tf, envelope, _perform, on_output=on_output, refresh=refresh)
        submission.join()
        _running[tf] = submission
    submission.add_done_callback(lambda outcome: _forget(submission))
    return submission


def run_transformation(
    transformation: Mapping[str, Any],
    tf: Checksum,
    envelope: Envelope,
    *,
    on_output: OutputHandler | None = None,
    refresh: bool = False,
) -> Outcome:
    """Look up or execute one transformation in this process; blocks. Failures are in the outcome.

    Raises StoreError when the result cannot be kept, BufferCorruptionError when an input is damaged,
    KeyboardInterrupt after the step has been stopped.
    """
    if not refresh and (result := lookup(tf, require_value=not envelope.scratch)) is not None:
        return Outcome(tf, result=result, cached=True)
    outcome = submit(transformation, tf, envelope, on_output=on_output, refresh=refresh).wait()
    if isinstance(outcome.original, (StoreError, BufferCorruptionError)):
        raise outcome.original
    return outcome


def keep_unkept() -> None:
    """Have the stores take what they would not take before; executes nothing. What fails again is left, and logged."""
    for left in unkept.left:
        step = left.submission
        with recording.of_step(left.mode):
            outcome = submit(step.transformation, step.tf, step.envelope).wait()
        if outcome.result is not None:
            unkept.discard(step.tf)
        else:
            import logging

            logging.getLogger(__name__).warning("a result could again not be kept: %s", (outcome.error or "").strip())


def forget(tf: Checksum) -> bool:
    """Drop the result of a transformation from memory and from every writable store; False if none had it."""
    known = memory.delete_result(tf)
    _release(tf)
    for store in session.writable_result_stores():
        known = store.delete_result(tf) or known
    return known


def cancel(tf: Checksum) -> bool:
    """Stop the execution of this transformation if it is under way in this process."""
    submission = _running.get(tf)
    return submission is not None and submission.cancel()


def reset() -> None:
    """Forget all results in memory (not in stores) and everything that is under way."""
    with _running_lock:
        under_way = list(_running.values())
        _running.clear()
    for submission in under_way:
        submission.cancel()
    memory.clear()
    for tf in list(_held):
        _release(tf)
    _warned.clear()
    unkept.clear()


# A forked child must not find the lock held by a thread that it does not have.
os.register_at_fork(
    before=_running_lock.acquire, after_in_parent=_running_lock.release, after_in_child=_running_lock.release
)


def _stop_commands() -> None:
    """At the end of the process: stop the commands that are under way, so that none outlives it."""
    with _running_lock:
        commands = [s for s in _running.values() if s.transformation.get("__language__") != "python"]
    for submission in commands:
        submission.cancel()
    deadline = time.monotonic() + _GRACE
    # Asked again and again, not waited for: Ctrl-C may have struck while the lock of the event was being taken.
    while not all(submission.idle.is_set() for submission in commands) and time.monotonic() < deadline:
        time.sleep(0.01)


session.on_reset(reset)
session.on_close.append(_stop_commands)
session.on_close.append(pool.end_idle)


def _forget(submission: Submission) -> None:
    with _running_lock:
        if _running.get(submission.tf) is submission:
            del _running[submission.tf]


def _digest(envelope: Envelope) -> str:
    return repr((sorted(envelope.meta.items(), key=repr), envelope.env, envelope.scratch, sorted(envelope.pins)))


@contextlib.contextmanager
def _claims(submission: Submission) -> Iterator[Checksum | None]:
    """Hold the right to execute in every writable result store.

    Gives the result if another thread or process has finished it since the caller looked, or while we waited.
    """
    tf, scratch = submission.tf, submission.envelope.scratch
    asked: list[ResultStore] = []
    result: Checksum | None = None
    with contextlib.ExitStack() as stack:
        # In one order everywhere: who holds one and waits for another must not wait for each other.
        for store in sorted(session.writable_result_stores(), key=lambda store: store.name):
            claim = getattr(store, "claim_unless_known", None)  # of a service: one request instead of two
            if claim is None or submission.refresh:
                stack.enter_context(store.claim(tf))
                continue
            asked.append(store)
            result = stack.enter_context(claim(tf, lambda known: scratch or is_known(known)))
            if result is not None:
                memory.set_result(tf, result)
                break
        if result is None and not submission.refresh:
            result = lookup(tf, require_value=not scratch, without=asked)
        yield result


def _perform(submission: Submission) -> Outcome:
    """Look up once more, execute and keep: the body of every submission of this process."""
    if seam.parent is not None:
        return seam.parent.delegate(submission)
    if session.result_stores or session.buffer_stores:
        with pool.slow():  # disks and servers
            return _performed(submission)
    return _performed(submission)


def _performed(submission: Submission) -> Outcome:
    tf, envelope = submission.tf, submission.envelope
    buffers = Buffers(scratch=envelope.scratch, fingertip=envelope.allow_input_fingertip)
    try:
        kept_there = seam.keeps(envelope)
        if not kept_there and PROBE in envelope.pins:
            return _probe(submission)
        with contextlib.nullcontext() if kept_there else _claims(submission) as result:
            if result is not None:
                return Outcome(tf, result=result, cached=True)
            buckets = None
            request = _request(submission, buffers)
            if recording.mode.record and not kept_there:
                from seamless.transformer.recording.full import prepare

                buckets = prepare(envelope.env)
                request.envelope = replace(envelope, record=True)
            known = None if submission.refresh else unkept.take(tf, buffers)
            done = known or seam.executor_for(submission.executor).execute(request)
            if submission.canceled.is_set():
                return Outcome(tf, error="Transformation was canceled", canceled=True)
            record = None
            if not kept_there:
                with unkept.unless_kept(submission, done, buffers):
                    record = _keep(submission, done, buffers, buckets)
            elif PROBE not in envelope.pins:
                _note_kept(submission, done, buffers)
    except StepError as exc:
        return failure(submission, exc, exc.stdout, exc.stderr)
    except TransformationError as exc:
        return failure(submission, exc, getattr(exc, "stdout", b""), getattr(exc, "stderr", b""))
    except CacheMissError as exc:
        text = f"CacheMissError: an input of the transformation cannot be found: {exc}\n"
        return Outcome(tf, error=text + where(submission, exc), original=exc)
    except StoreError as exc:
        stdout, stderr = getattr(exc, "stdout", b""), getattr(exc, "stderr", b"")  # if it could only not be kept
        return Outcome(tf, error=f"{type(exc).__name__}: {exc}\n", original=exc, stdout=stdout, stderr=stderr)
    except BufferCorruptionError as exc:
        text = f"BufferCorruptionError: an input of the transformation is damaged: {exc}\n"
        return Outcome(tf, error=text + where(submission, exc), original=exc)
    except (SeamlessError, OSError) as exc:
        return Outcome(tf, error=f"{type(exc).__name__}: {exc}\n" + where(submission, exc), original=exc)
    except (ValueError, TypeError) as exc:
        text = f"{type(exc).__name__}: an input of the transformation cannot be read: {exc}\n"
        return Outcome(tf, error=text + where(submission, exc), original=exc)
    kept = list(buffers.added.values())
    return Outcome(
        tf,
        result=done.result,
        stdout=done.stdout,
        stderr=done.stderr,
        usage=done.usage,
        record=record,
        kept=kept,
    )


def _probe(submission: Submission) -> Outcome:
    """Have the buckets of this machine up to date instead of executing; the result, kept by nobody, says which."""
    from seamless.transformer.recording.probing import probe

    report = probe(submission.envelope)
    checksum = report.get_checksum()
    get_buffer_cache().tempref(checksum, buffer=report, scratch=True)
    return Outcome(submission.tf, result=checksum, kept=[report])


def _keep(
    submission: Submission, done: ExecutionAnswer, buffers: Buffers, buckets: Required | None
) -> dict[str, Any] | None:
    """Make the result, and what is needed to compute it again, durable; then make it known.

    With the buckets for it, return the full record.
    """
    tf, envelope = submission.tf, submission.envelope
    cache = get_buffer_cache()
    stores = session.writable_result_stores()
    if session.writable_buffer_stores() and not envelope.scratch:
        for buffer in inputs_in_memory(submission.transformation):
            buffers.added.setdefault(buffer.get_checksum(), buffer)
        with pool.blocked():  # threads that come meanwhile share the next commit
            buffers.commit()
    elif not envelope.scratch:
        # Nothing but memory: the buffers live as long as the result is remembered.
        _warn_read_only()
        _release(tf)  # of an earlier execution
        _held[tf] = done.result if [*buffers.added] == [done.result] else tuple(buffers.added)
        for checksum, buffer in buffers.added.items():
            cache.incref(checksum, buffer=buffer)
    else:
        for checksum, buffer in buffers.added.items():
            cache.tempref(checksum, buffer=buffer, scratch=True)
        _store_definition(submission)
        _note_members(submission, done, buffers)
    record = None
    if buckets is not None:
        from seamless.transformer.recording.full import full_record

        record = full_record(submission.transformation, tf, envelope, done, buckets)
        _write_with_record(submission, done, stores, record)
    else:
        _make_known(submission, done, stores)
    memory.set_result(tf, done.result)
    return record


def _request(submission: Submission, buffers: Buffers) -> ExecutionRequest:
    return ExecutionRequest(
        submission.transformation,
        submission.tf,
        submission.envelope,
        buffers,
        submission.on_output,
        submission.canceled,
        submission.refresh,
    )


def _note_kept(submission: Submission, done: ExecutionAnswer, buffers: Buffers) -> None:
    """Remember what others have made known. Of a scratch result, keep the buffers that came with it for a while."""
    cache = get_buffer_cache()
    for checksum, buffer in buffers.added.items():
        cache.tempref(checksum, buffer=buffer, scratch=True)
    memory.set_result(submission.tf, done.result)


def _note_members(submission: Submission, done: ExecutionAnswer, buffers: Buffers) -> None:
    """Note where the members of a scratch result come from: each may be the input of another step."""
    members = [checksum for checksum in buffers.added if checksum != done.result]
    for store in session.writable_result_stores():
        add_reverse = getattr(store, "add_reverse", None)
        if members and add_reverse is not None:
            add_reverse(submission.tf, members)


def _replaced(store: ResultStore, tf: Checksum, result: Checksum) -> bool:
    """Replace the result that the store keeps, a different one, if its buffer is gone: it would never be a hit."""
    kept = store.get_result(tf)
    if kept is None or is_known(kept):
        return False
    store.delete_result(tf)
    return store.set_result(tf, result)


def _warn_read_only() -> None:
    """Say once of each store that is read-only that new results do not get there."""
    for store in session.result_stores:
        if store.name not in _warned:
            _warned.add(store.name)
            import warnings

            warnings.warn(
                f"{store.name} is read-only: new results are kept in the memory of this process only", stacklevel=2
            )


def _store_definition(submission: Submission) -> None:
    """Of a scratch transformation, store what is needed to compute it again."""
    if session.writable_buffer_stores():
        from seamless.cache.buffer_writer import get_writer

        get_writer().store(inputs_in_memory(submission.transformation))


def _write_with_record(
    submission: Submission, done: ExecutionAnswer, stores: list[ResultStore], record: dict[str, Any]
) -> None:
    """Write result and full record in one transaction: there is no result without its record. Raises StoreError."""
    tf, result = submission.tf, done.result
    for store in stores:
        kept = store.get_result(tf)
        if kept is not None and kept != result and not is_known(kept):
            store.delete_result(tf)  # its buffer is gone: it would never be a hit
            kept = None
        if kept is None or kept == result:
            store.set_record(tf, result, record)
        else:
            store.set_result(tf, result)  # the first one stays, and the attempt is noted


def _make_known(submission: Submission, done: ExecutionAnswer, stores: list[ResultStore]) -> None:
    """Write the result to the stores, and the record to those that keep this result. Raises StoreError."""
    if not stores:
        return
    from seamless.transformer.records import minimal_record

    tf, result = submission.tf, done.result
    record = minimal_record(tf, done)
    for store in stores:
        keep = getattr(store, "keep", None)  # of a service: one request instead of two
        if keep is not None and keep(tf, result, record):
            continue
        if not store.set_result(tf, result) and not _replaced(store, tf, result):
            continue
        try:
            store.set_record(tf, result, record)
        except (StoreError, ValueError) as exc:
            import warnings

            warnings.warn(f"no execution record for {submission.tf}: {exc}", stacklevel=2)
