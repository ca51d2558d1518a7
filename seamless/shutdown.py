"""The end of a session: `close()`, its hooks, and the guard against work after it."""

from __future__ import annotations

import atexit
import os
import sys
import time

from seamless.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_BYTES_PER_SECOND = 1_000_000  # what a slow store is trusted to take
_FLUSH_SECONDS = 3.0  # the least that it is given


def is_worker() -> bool:
    """Tell whether this process is a Seamless worker."""
    return session.is_worker


def set_is_worker(value: bool = True) -> None:
    """Mark this process as a Seamless worker: it has no buffer cache of its own."""
    session.is_worker = bool(value)


def ensure_open(op: str | None = None, *, mark_required: bool = True) -> None:
    """Raise RuntimeError if Seamless has been closed. `op` names what is being attempted."""
    if session.closed:
        what = f" for {op}" if op else ""
        raise RuntimeError(f"Seamless has been closed; cannot perform further operations{what}.")
    if mark_required:
        session.close_required = True


def register_close_hook(hook: Callable[[], Any]) -> None:
    """Have `hook()` called by `close()`. TypeError if it cannot be called."""
    if not callable(hook):
        raise TypeError(f"a close hook must be callable, not {type(hook).__name__}")
    session.close_hooks.append(hook)


def _debug(text: str) -> None:
    if os.environ.get("SEAMLESS_DEBUG_SHUTDOWN"):
        print(f"[seamless.close DEBUG] {text}", file=sys.stderr, flush=True)


def _main_process() -> bool:
    multiprocessing = sys.modules.get("multiprocessing.process")
    return multiprocessing is None or multiprocessing.current_process().name == "MainProcess"


def _interrupted() -> bool:
    """Tell whether Ctrl-C has ended the program, which could not do anything orderly then."""
    return issubclass(getattr(sys, "last_type", None) or type(None), KeyboardInterrupt)


def close(*, from_atexit: bool = False, strict: bool = False) -> None:
    """End the session: run the hooks, stop executions, store what is queued. Idempotent; imports nothing new.

    Buffers that could not be stored are named on standard error; with `strict` a RuntimeError is raised.
    """
    if session.closed or session.is_worker or not _main_process():
        return
    session.closed = True
    problems = [session.unclosed] if from_atexit and session.unclosed and not _interrupted() else []
    session.unclosed = None
    try:
        for hook in [*session.close_hooks, *session.on_close]:
            _debug(f"hook {hook!r}")
            try:
                hook()
            except Exception as exc:  # noqa: BLE001  one failing hook must not keep the others from running
                problems.append(f"close hook {getattr(hook, '__name__', hook)!r} failed: {exc}")
        waiting = len(session.buffer_writer.pending()) if session.buffer_writer is not None else 0
        problems += _flush_writer()
    finally:  # also after Ctrl-C: leave no files behind
        if session.buffer_cache is not None:
            session.buffer_cache.close()
    if from_atexit and waiting:
        problems.append(
            f"{waiting} buffers were still to be stored when the program ended; call seamless.close() before the end"
        )
    _debug("closed" + (" with problems" if problems else ""))
    if problems:
        print("[seamless.close] " + "; ".join(problems), file=sys.stderr, flush=True)
        if strict:
            raise RuntimeError("; ".join(problems))


def _flush_writer() -> list[str]:
    """Store what is queued, in two attempts; return what went wrong."""
    writer = session.buffer_writer
    if writer is None:
        return []
    started = time.monotonic()
    left = writer.flush(max(_FLUSH_SECONDS, writer.pending_bytes() / _BYTES_PER_SECOND))
    if left:
        left = writer.flush(2 * max(_FLUSH_SECONDS, writer.pending_bytes() / _BYTES_PER_SECOND))
    _debug(f"writer flushed in {time.monotonic() - started:.2f} s, {len(left)} left")
    writer.stop(timeout=0.5 if left else 5.0)
    if not left:
        return []
    reasons = dict.fromkeys(str(error) for c in left if (error := writer.failure(c)) is not None)
    problem = "unwritten buffers: " + ", ".join(checksum.hex() for checksum in left)
    return [problem + (f" ({'; '.join(list(reasons)[:3])})" if reasons else "")]


def reopen() -> None:
    """Allow operations again after `close()`, in the same process (notebooks, tests)."""
    session.closed = False


def _close_at_exit() -> None:
    if session.close_required:
        close(from_atexit=True)


def _dump_stacks_on_signal() -> None:
    """With SEAMLESS_DEBUG_SHUTDOWN: have SIGUSR2 print the stack of every thread on standard error."""
    if os.environ.get("SEAMLESS_DEBUG_SHUTDOWN") and sys.__stderr__ is not None:
        import faulthandler
        import signal

        faulthandler.register(signal.SIGUSR2, file=sys.__stderr__, all_threads=True)


atexit.register(_close_at_exit)
_dump_stacks_on_signal()
