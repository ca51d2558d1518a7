"""One worker process as its parent sees it: sends it a step, serves what it asks for, takes output and answer."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from seamless.transformer.capture import capture
from seamless.transformer.execution import ExecutionRequest, has_own_process
from seamless.transformer.pool import pool as threads
from seamless.transformer.workers.parcel import Item, Parcel
from seamless.transformer.workers.protocol import MARK_BYTES, Gone, Link, close_all, pair
from seamless.transformer.workers.slots import Hold
from seamless.transformer.workers.step import pack_step
from seamless.transformer.workers.supervisor import Exit, Supervisor

if TYPE_CHECKING:
    from seamless.transformer.submission import Submission

_EXIT_SECONDS = 5.0  # to hear of the end of a process that has let go of its link
_BEGIN_SECONDS = 120.0  # for a worker to begin with a step that has a time limit
_COMMAND_GRACE = 5.0  # that a command gets beyond its time limit, to end by itself
_PIECE, _PIECES = 1 << 16, 64
_SHORT_STEP = 1  # ms: threads that wait for such steps keep two workers as busy as more threads would

# Serves one message of a worker: (worker, run, message, descriptors), which it closes.
Serve = Callable[["Worker", "Run", Any, "list[int]"], None]


class Lost(Exception):
    """The worker has ended while it executed a step, or, unless `begun`, before that."""

    def __init__(self, how: Exit, pid: int, begun: bool) -> None:
        super().__init__(how.text())
        self.how, self.pid, self.begun = how, pid, begun


class TimeLimit(Exception):
    """The step took too long; its worker has been ended."""


class Run:
    """One execution of one step by a worker."""

    def __init__(self, request: ExecutionRequest, number: int, hold: Hold) -> None:
        self.request, self.number, self.hold = request, number, hold
        self.context: Context = copy_context()  # nested work belongs to what this thread is executing
        self.output = capture(request.on_output)
        self.made: list[tuple[list[Item], list[int]]] = []  # parcels with results that came ahead of the answer
        self.nested: dict[int, Submission] = {}  # by number of the call
        self.answer: Any = None
        self.deadline: float | None = None  # in terms of time.monotonic()
        self.ended = False
        self.answered: threading.Event | None = None  # set with the answer, if another thread waits for it
        self.worker: Worker | None = None

    @property
    def is_command(self) -> bool:
        """Whether it has a process of its own, which the worker can end, instead of code that ends with the worker."""
        return has_own_process(self.request.transformation, self.request.envelope)

    def begin(self) -> None:
        """Let the time limit, if there is one, run from now on."""
        limit = self.request.envelope.timeout
        if limit is not None:
            self.deadline = time.monotonic() + limit + (_COMMAND_GRACE if self.is_command else 0.0)

    def abandon_nested(self) -> None:
        """Have nested work that nobody waits for any more stopped."""
        for submission in list(self.nested.values()):
            submission.leave()
        self.nested.clear()

    def discard(self) -> None:
        """Close the descriptors that nobody has taken."""
        for _, fds in self.made:
            close_all(fds)
        self.made.clear()


class Worker:
    """A worker process. `execute` is for one thread at a time, that which has taken it from the pool."""

    def __init__(self, number: int, supervisor: Supervisor) -> None:
        self.number = number
        self._supervisor = supervisor
        self._lock = threading.Lock()
        self.runs: dict[int, Run] = {}  # the present one, and those that are executed in its process, too
        self.condemned = False  # it must not be used again
        self._paths: list[str] = []
        self._directory: str | None = None
        ours, theirs = pair()
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        # Where the worker writes which run it begins: nothing that is sent tells whether it came to that.
        self._mark = os.memfd_create("seamless-begun", os.MFD_CLOEXEC)
        try:
            os.ftruncate(self._mark, MARK_BYTES)
            supervisor.fork(number, [theirs.fileno(), out_end, err_end, self._mark])
        except BaseException:
            ours.close()
            close_all([out, err, self._mark])
            raise
        finally:
            theirs.close()
            close_all([out_end, err_end])
        self.link = Link(ours)
        self._streams: dict[int, Any] = {out: "stdout", err: "stderr"}
        self._descriptors = [out, err, self._mark]
        self._poll = select.poll()
        self._socket = ours.fileno()
        self._poll.register(self._socket, select.POLLIN)  # first: see `_await`
        for fd in (out, err):
            os.set_blocking(fd, False)
            self._poll.register(fd, select.POLLIN)

    @property
    def pid(self) -> int | None:
        """The process, once it is known."""
        return self._supervisor.pids.get(self.number)

    # --- executing ----------------------------------------------------------------------------

    def execute(self, run: Run, parcel: Parcel, serve: Serve) -> Any:
        """Execute a step; return the answer as it came. Raises Lost, TimeLimit, and what interrupts this thread.

        In those cases the worker has been ended.
        """
        canceled = run.request.canceled

        def interrupt() -> None:
            self._interrupt(run)

        run.worker = self
        self.runs[run.number] = run
        canceled.add_callback(interrupt)
        try:
            self.link.send(self.message("execute", run, parcel), parcel.fds)
            return self._await(run, serve)
        except Gone:
            raise self._lost(run) from None
        except BaseException:
            self.end()  # before the run is forgotten: how depends on it
            raise
        finally:
            canceled.remove_callback(interrupt)
            with self._lock:
                del self.runs[run.number]
            run.ended = True

    def message(self, what: str, run: Run, parcel: Parcel) -> tuple[Any, ...]:
        """Return the message for a run: the step, and where this process is, if that has changed."""
        request = run.request
        paths = directory = None
        if sys.path != self._paths:
            paths = self._paths = list(sys.path)
        try:
            here: str | None = os.getcwd()
        except OSError:  # it has been removed
            here = self._directory
        if here != self._directory:
            directory = self._directory = here
        step = pack_step(request.transformation, request.tf, request.envelope)
        return (what, run.number, step, parcel.items, paths, directory)

    def _await(self, run: Run, serve: Serve) -> Any:
        if run.request.envelope.timeout is not None:
            run.deadline = time.monotonic() + _BEGIN_SECONDS  # until it says that it has begun
        while run.answer is None:
            events = self._poll.poll(_SHORT_STEP)
            if not events:
                wait = None if run.deadline is None else max(0.0, run.deadline - time.monotonic()) * 1000
                with threads.slow():
                    events = self._poll.poll(wait)
            if not events and run.deadline is not None and time.monotonic() >= run.deadline:
                raise TimeLimit
            for fd, _ in events:
                if fd != self._socket:
                    self._take_output(fd, run)
            if events and events[0][0] == self._socket:
                message, fds = self.link.receive()
                serve(self, run, message, fds)
        # What was printed before the answer was seen by the same look that has seen the answer, or by an earlier one:
        # the link is looked at first.
        return run.answer

    def _take_output(self, fd: int, run: Run) -> None:
        """Take what is in a pipe now; something that goes on writing must not hold this up."""
        for _ in range(_PIECES):
            try:
                data = os.read(fd, _PIECE)
            except BlockingIOError:
                return
            if not data:
                if not self.condemned:
                    self._poll.unregister(fd)  # closed by the step
                return
            run.output.add(self._streams[fd], data)
            if len(data) < _PIECE:
                return

    def _lost(self, run: Run) -> Lost:
        pid = self.pid or 0
        self._supervisor.kill(self.number)
        how = self._supervisor.exit_of(self.number, _EXIT_SECONDS)
        self.condemned = True
        for fd in self._streams:
            self._take_output(fd, run)
        begun = os.pread(self._mark, MARK_BYTES, 0) == run.number.to_bytes(MARK_BYTES, sys.byteorder)
        return Lost(how, pid or how.pid, begun)

    # --- ending -------------------------------------------------------------------------------

    def _interrupt(self, run: Run) -> None:
        """End the step of a run, if it is still that."""
        with self._lock:
            if self.runs.get(run.number) is not run:
                return
            self.condemned = True
        self.end()

    def end(self) -> None:
        """End the process: at once, or if it executes a command, after that; returns before it has ended."""
        self.condemned = True
        if any(run.is_command for run in list(self.runs.values())):
            self._supervisor.stop(self.number)
        else:
            self._supervisor.kill(self.number)

    def hang_up(self) -> None:
        """Note that the process has ended: whoever waits for it stops waiting."""
        import socket

        self.condemned = True
        try:
            self.link.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # closed here already

    def close(self) -> None:
        """Let go of it; an idle process ends then. Only by who has taken it from the pool."""
        self.condemned = True
        self.link.close()
        self._let_go()

    def abandon(self) -> None:
        """In a forked child: close the descriptors of the parent."""
        self.link.sock.close()
        self._let_go()

    def _let_go(self) -> None:
        close_all(self._descriptors)
        self._descriptors.clear()
        self._streams.clear()
