"""One execution in this process, shared by everyone who asks for the same transformation meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from seamless.checksum import Checksum
from seamless.transformer.outcome import Envelope, Outcome, OutputHandler
from seamless.transformer.pool import pool

_QUEUED, _RUNNING, _DONE = range(3)


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
        self.canceled = threading.Event()
        self.outcome: Outcome | None = None
        self.idle = threading.Event()  # set when nothing (any more) is executing it
        self.idle.set()
        self.owners = 0  # handles that wait for it; the last one to cancel stops it
        self._perform = perform
        self._state = _QUEUED
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[Outcome], None]] = []

    @property
    def done(self) -> bool:
        """Whether there is an outcome."""
        return self._state == _DONE

    def start(self) -> None:
        """Have it executed by the pool, unless somebody has claimed it already."""
        if self._state == _QUEUED:
            pool.submit(self._run_if_unclaimed)

    def wait(self) -> Outcome:
        """Return the outcome: execute in the calling thread if unclaimed, else wait for the other thread."""
        if self.envelope.timeout is not None and self.transformation.get("__language__") == "python":
            self.start()  # only another thread can be given up on; a command is stopped by its own clock
        else:
            self._run_if_unclaimed()
        if self.outcome is None:
            finished = threading.Event()
            self.add_done_callback(lambda outcome: finished.set())
            with pool.blocked():
                in_time = finished.wait(self.envelope.timeout)
            if not in_time:
                self.canceled.set()
                self._finish(Outcome(self.tf, error=f"Timeout: not finished after {self.envelope.timeout} s\n"))
        assert self.outcome is not None
        return self.outcome

    def cancel(self) -> bool:
        """Stop it if possible and give everyone who waits a canceled outcome; False if it was done."""
        self.canceled.set()
        return self._finish(Outcome(self.tf, error="Transformation was canceled", canceled=True))

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
            self.idle.clear()
        try:
            outcome = self._perform(self)
        except BaseException as exc:
            # Ctrl-C in the thread that executes: others must not wait for ever.
            self._finish(Outcome(self.tf, error=f"{type(exc).__name__}: {exc}\n", original=exc, canceled=True))
            raise
        finally:
            self.idle.set()
        self._finish(outcome)

    def _finish(self, outcome: Outcome) -> bool:
        with self._lock:
            if self._state == _DONE:
                return False
            self.outcome = outcome
            self._state = _DONE
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(outcome)
        return True
