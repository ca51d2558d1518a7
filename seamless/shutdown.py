"""The end of a session: `close()`, its hooks, and the guard against work after it."""

from __future__ import annotations

import atexit
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from seamless.session import session

_BYTES_PER_SECOND = 1_000_000  # what a slow store is trusted to take


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


def close(*, from_atexit: bool = False, strict: bool = False) -> None:
    """End the session: run the hooks, stop executions, store what is queued. Idempotent; imports nothing new.

    Buffers that could not be stored are named on standard error; with `strict` a RuntimeError is raised.
    """
    if session.closed or session.is_worker or not _main_process():
        return
    session.closed = True
    problems = []
    for hook in [*session.close_hooks, *session.on_close]:
        _debug(f"hook {hook!r}")
        try:
            hook()
        except Exception as exc:  # noqa: BLE001  one failing hook must not keep the others from running
            problems.append(f"close hook {getattr(hook, '__name__', hook)!r} failed: {exc}")
    waiting = len(session.buffer_writer.pending()) if session.buffer_writer is not None else 0
    unsent = _flush_writer()
    if unsent:
        problems.append("unwritten buffers: " + ", ".join(unsent))
    if session.buffer_cache is not None:
        session.buffer_cache.close()
    if from_atexit and waiting:
        problems.append(
            f"{waiting} buffers were still to be stored when the program ended; call seamless.close() before the end"
        )
    if problems:
        print("[seamless.close] " + "; ".join(problems), file=sys.stderr, flush=True)
        if strict:
            raise RuntimeError("; ".join(problems))


def _flush_writer() -> list[str]:
    """Store what is queued, in two attempts; return the checksums (hex) that are left."""
    writer = session.buffer_writer
    if writer is None:
        return []
    timeout = max(3.0, writer.pending_bytes() / _BYTES_PER_SECOND)
    started = time.monotonic()
    left = writer.flush(timeout)
    if left:
        left = writer.flush(2 * timeout)
    _debug(f"writer flushed in {time.monotonic() - started:.2f} s, {len(left)} left")
    writer.stop()
    return [checksum.hex() for checksum in left]


def reopen() -> None:
    """Allow operations again after `close()`, in the same process (notebooks, tests)."""
    session.closed = False


def _close_at_exit() -> None:
    if session.close_required:
        close(from_atexit=True)


atexit.register(_close_at_exit)
