"""One execution in this process, shared by everyone who asks for the same transformation meanwhile."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from seamless.checksum import Checksum
from seamless.transformer.execution import Cancellation, Executor, seam
from seamless.transformer.outcome import Envelope, Outcome, OutputHandler
from seamless.transformer.pool import pool

_QUEUED, _RUNNING, _DONE = range(3)

# What this context is executing: the inner of nested submissions know their way up.
_executing: ContextVar[Submission | None] = ContextVar("seamless_submission", default=None)


class Submission:
    """An execution that is waiting, running or done. Thread-safe.

    `perform(submission) -> Outcome` does the work; it is called once, in the thread that claims it.
    """

    def __init__(
        self,
        transformation: Mapping[str, Any],
        tf: Checksum,
        envelope: Envelope,
        perform: Callable[[Submission], Outcome],
        *,
        on_output: OutputHandler | None = None,
        refresh: bool = False,
    ) -> None:
        self.transformation, self.tf, self.envelope = transformation, tf, envelope
        self.on_output, self.refresh = on_output, refresh
        self.canceled = Cancellation()
        self.outcome: Outcome | None = None
        self.executor: Executor | None = None  # the active one when it was started
        self.idle = threading.Event()  # set when nothing (any more) is executing it
        self.idle.set()
        self._owners = 0  # how many want the outcome; the last one to leave stops it
        self._parent = _executing.get()
        self._thread = 0  # that executes it
        self._pid = os.getpid()
        self._perform = perform
        self._state = _QUEUED
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[Outcome], None]] = []

    @property
    def done(self) -> bool:
        """Whether there is an outcome."""
        return self._state == _DONE

    def join(self) -> bool:
        """Count one more who wants the outcome; False if it is being stopped."""
        self._adopt()
        with self._lock:
            if self.canceled.is_set():
                return False
            self._owners += 1
            return True

    def leave(self) -> None:
        """Take back one `join`; the last one to leave stops the execution."""
        with self._lock:
            self._owners -= 1
            if self._owners > 0 or self._state == _DONE:
                return
            self.canceled.set()  # under the lock: nobody can join any more
        self.cancel()

    def is_around(self) -> bool:
        """Tell whether the calling code is part of this very execution, and would wait for itself."""
        above = _executing.get()
        while above is not None:
            if above is self:
                return True
            above = above._parent
        return False

    def start(self) -> None:
        """Have it executed by the pool, unless somebody has claimed it already."""
        self._adopt()
        if self._state == _QUEUED:
            self.executor = self.executor or seam.executor
            pool.submit(self._run_if_unclaimed)

    def wait(self) -> Outcome:
        """Return the outcome: execute in the calling thread if unclaimed, else wait for the other thread."""
        self._adopt()
        if self._may_be_abandoned():
            self.start()  # only another thread can be given up on
        else:
            self._run_if_unclaimed()
        if self.outcome is None:
            finished = threading.Event()
            self.add_done_callback(lambda outcome: finished.set())
            with pool.blocked():
                finished.wait()
        assert self.outcome is not None
        return self.outcome

    def cancel(self) -> bool:
        """Stop it if possible and give everyone who waits a canceled outcome; False if it was done."""
        return self._abandon(Outcome(self.tf, error="Transformation was canceled", canceled=True))

    def _adopt(self) -> None:
        """In a forked child, queue it anew: the thread that was executing it does not exist here."""
        if self._pid == os.getpid():
            return
        self._pid, self._lock, self.executor = os.getpid(), threading.Lock(), None
        if self._state == _RUNNING:
            self._state = _QUEUED
            self.idle = threading.Event()
            self.idle.set()

    def _may_be_abandoned(self) -> bool:
        """Tell whether the clock has to end it from outside; commands and workers are ended by their executor."""
        if self.envelope.timeout is None or self.transformation.get("__language__") != "python":
            return False
        return not seam.stops(self.envelope)

    def _expire(self) -> None:
        text = f"Timeout: not finished after {self.envelope.timeout:g} s\n"

        def note() -> None:
            from seamless.transformer.failures import note_failure

            note_failure(self.tf, self.envelope, text, b"", None)

        self._abandon(Outcome(self.tf, error=text), note)

    def _abandon(self, outcome: Outcome, note: Callable[[], None] | None = None) -> bool:
        """Give the outcome without waiting for the thread that executes it, which may never come back."""
        self.canceled.set()
        finished = self._finish(outcome, note)
        if finished and not self.idle.is_set():
            pool.give_up(self._thread)
        return finished

    def add_done_callback(self, callback: Callable[[Outcome], None]) -> None:
        """Have `callback(outcome)` called when it is done: at once if it is, else in the finishing thread."""
        with self._lock:
            if self._state != _DONE:
                self._callbacks.append(callback)
                return
        assert self.outcome is not None
        callback(self.outcome)

    def _run_if_unclaimed(self) -> None:
        with self._lock:
            if self._state != _QUEUED:
                return
            self._state = _RUNNING
            self._thread = threading.get_ident()
            self.executor = self.executor or seam.executor
            self.idle.clear()
        timer = self._started_timer()
        token = _executing.set(self)
        try:
            outcome = self._perform(self)
        except Exception as exc:  # noqa: BLE001  a bug of ours must end neither the thread nor those who wait
            import traceback

            outcome = Outcome(self.tf, error="".join(traceback.format_exception(exc)), original=exc)
        except BaseException as exc:
            # Ctrl-C in the thread that executes: others must not wait for ever.
            self._finish(Outcome(self.tf, error=f"{type(exc).__name__}: {exc}\n", original=exc, canceled=True))
            raise
        finally:
            _executing.reset(token)
            self.idle.set()
            if timer is not None:
                timer.cancel()
        self._finish(outcome)

    def _started_timer(self) -> threading.Timer | None:
        if not self._may_be_abandoned():
            return None
        assert self.envelope.timeout is not None
        timer = threading.Timer(self.envelope.timeout, self._expire)
        timer.daemon = True
        timer.start()
        return timer

    def _finish(self, outcome: Outcome, note: Callable[[], None] | None = None) -> bool:
        """Give the outcome, unless there is one. `note()` is called before those who wait go on, and may end."""
        with self._lock:
            if self._state == _DONE:
                return False
            self.outcome = outcome
            self._state = _DONE
            callbacks, self._callbacks = self._callbacks, []
        try:
            if note is not None:
                note()
        finally:
            for callback in callbacks:
                callback(outcome)
        return True
