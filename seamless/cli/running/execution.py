"""A cache miss: store the inputs, execute with live output and FUTURE files, note the run in the journal."""

from __future__ import annotations

import os

from seamless.cli.common import OWN
from seamless.cli.running.inputs import store_inputs
from seamless.cli.running.requests import CancelRequests
from seamless.errors import BufferCorruptionError, StoreError, StoreReadOnlyError
from seamless.transformer.failures import note_failure
from seamless.transformer.outcome import Envelope, Outcome
from seamless.transformer.runner import cancel, run_transformation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from seamless.checksum import Checksum
    from seamless.cli.running.run_state import Run

_WRITTEN_LINES = 20  # of the unfinished result of a failed command
TIMED_OUT = 124  # as `timeout` has it
NO_RESULT = 1  # the command succeeded, but did not make its result


def execute(run: Run, *, refresh: bool = False) -> Outcome:
    """Execute the transformation of `run`, or take the result of a process that has just finished it. Blocks.

    `refresh`: execute although there is a result. A failure of the command is in the outcome.
    Raises SeamlessError, and KeyboardInterrupt after the command has been stopped.
    """
    require_writable(run)
    store_everything(run)
    if run.detachment is not None:
        run.detachment.leave(run)
    with CancelRequests(run.control_directory) as requests, requests.accept(run.checksum):
        try:
            outcome = _submit(run, refresh)
        except BufferCorruptionError as exc:
            run.messages.message(0, f"{exc}; it is stored again")
            store_inputs(run.inputs, run.store, again=True)
            outcome = _submit(run, refresh)
        _note(run, outcome)
        for left in range(run.options.retry, 0, -1):
            if outcome.canceled or outcome.result is not None or not outcome.exit_status:
                break
            run.messages.message(
                0, f"the command failed with exit status {outcome.exit_status}; it is run again ({left} left)"
            )
            outcome = _submit(run, refresh)
            _note(run, outcome)
    return outcome


def _note(run: Run, outcome: Outcome) -> None:
    if not outcome.cached and not outcome.canceled:
        from seamless.cli.running.journal import note

        note(run, outcome)


def require_writable(run: Run) -> None:
    """Raise StoreReadOnlyError before anything is run whose result could not be kept."""
    for store in (run.store.buffers, run.store.results):
        if not store.writable:
            raise StoreReadOnlyError(
                f"the result is not in the cache, and could not be kept: {store.name} may not be written. "
                "Make it writable for you, or set SEAMLESS_CACHE to a directory of yours."
            )


def store_everything(run: Run) -> None:
    """Store what the execution needs. A read-only store is no obstacle if all of it is there."""
    run.uploaded = count, size = store_inputs(run.inputs, run.store)
    description = run.description
    description.environment_pin()
    buffers = dict(description.buffers)
    if all(entry.checksum is not None for entry in run.inputs):
        buffers[description.checksum] = description.identity
    present = run.store.buffers.has(list(buffers))
    missing = [pair for pair, there in zip(buffers.items(), present, strict=True) if not there]
    if missing:
        run.store.buffers.put(missing)
    if count:
        from seamless.cli.common import format_size

        run.messages.message(1, f"Upload {count} files, total {format_size(size)}")


def _submit(run: Run, refresh: bool) -> Outcome:
    """Execute in this thread, so that an exception in it (Ctrl-C) first stops the command."""
    run.messages.message(1, f"run {run.checksum}")
    _tell_of_other(run)
    with _TimeLimit(run) as limit:
        outcome = run_transformation(
            run.description.transformation,
            run.checksum,
            run.envelope,
            on_output=run.on_output,
            refresh=refresh,
        )
    if outcome.canceled and limit.expired:
        text = f"Time limit of {run.options.timeout:g} s exceeded, the command was ended: {run.plan.command}\n"
        note_failure(run.checksum, run.envelope, text, outcome.stderr, TIMED_OUT)
        return Outcome(run.checksum, error=text, exit_status=TIMED_OUT)
    return outcome


def _tell_of_other(run: Run) -> None:
    """Say so if another process executes this very step: its result will be taken."""
    import time

    running = getattr(run.store.results, "running", None)
    holder = running(run.checksum) if running is not None else None
    if holder:
        since = time.strftime("%H:%M:%S", time.localtime(holder.get("start", 0)))
        run.messages.message(
            0, f"Waiting for the same step, run by process {holder.get('pid')} on {holder.get('host')} since {since}..."
        )


class _TimeLimit:
    """Cancel the transformation after `--timeout` seconds."""

    def __init__(self, run: Run):
        self.expired = False
        self._run = run

    def __enter__(self) -> _TimeLimit:
        if self._run.options.timeout is not None:
            from threading import Timer

            self._timer = Timer(self._run.options.timeout, self._expire)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._run.options.timeout is not None:
            self._timer.cancel()

    def _expire(self) -> None:
        self.expired = cancel(self._run.checksum)


def envelope_of(run: Run) -> Envelope:
    """Return how the transformation is to be executed."""
    options = run.options
    return Envelope(
        meta=meta_of(run),
        env=run.description.environment or None,
        scratch=options.scratch,
        local=options.local,
        direct_print=options.direct_print,
        allow_input_fingertip=True,
        pins=run.description.pins,
        command=run.plan.command,
    )


def meta_of(run: Run) -> dict[str, Any]:
    """Return `__meta__`."""
    meta: dict[str, Any] = {}
    if run.options.direct_print:
        meta["__direct_print__"] = True
    if run.options.local and not run.options.dry:  # a job directory may be brought anywhere
        meta["local"] = True
    if run.options.hermetic:
        meta["hermetic"] = True
    return meta


def show_output(stream: str, data: bytes) -> None:
    """Write what the command prints to stderr, as it comes: stdout is for the result."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(2, view) :]
    except OSError:
        return  # nobody reads it; the command goes on


def failure_status(outcome: Outcome) -> int:
    """Return the exit status for an outcome without result."""
    if outcome.exit_status:
        return outcome.exit_status
    from seamless.transformer.bash.failure import ResultProblem

    return NO_RESULT if isinstance(outcome.original, ResultProblem) else OWN


def failure_text(run: Run, outcome: Outcome) -> str:
    """Return the message for an outcome without result; the command's own stderr has been shown already."""
    status = outcome.exit_status
    if not status or status == TIMED_OUT or run.messages.verbosity >= 1:
        return (outcome.error or f"transformation {run.checksum} has no result").rstrip()
    from seamless.transformer.bash.failure import exit_advice

    signal = f" (killed by signal {status - 128})" if status > 128 else ""
    _show_written(run, outcome)
    text = f"the command failed with exit status {status}{signal}; nothing is kept (transformation {run.checksum})"
    advice = exit_advice(status, outcome.stderr)
    return f"{text}\n{advice}" if advice else text


def _show_written(run: Run, outcome: Outcome) -> None:
    """Show the end of what a failed command has written to its result: stdout stays empty."""
    written = getattr(outcome.original, "written", b"")
    if written.strip():
        lines = written.rstrip(b"\n").split(b"\n")[-_WRITTEN_LINES:]
        run.on_output("stdout", b"\n".join(lines) + b"\n")


def contest(run: Run, earlier: Checksum, outcome: Outcome) -> None:
    """Replace a result that the same step has not given again, and say so."""
    assert outcome.result is not None
    run.messages.warning(
        f"not reproducible: the same step gave {earlier} before, and now {outcome.result} "
        f"(transformation {run.checksum}). The new result is kept. Does the step read anything beside its inputs: "
        "the time, random numbers, the environment, the order of threads?"
    )
    results = run.store.results
    try:
        results.contest(run.checksum, earlier)  # type: ignore[attr-defined]  # every store that is not memory can
        results.set_result(run.checksum, outcome.result)
    except StoreError as exc:
        run.messages.warning(f"this could not be noted in {results.name}: {exc}")
