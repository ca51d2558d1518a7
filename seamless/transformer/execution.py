"""The seam between the runner and the places where steps are executed: one request, one answer, one protocol.

The runner looks up, claims and keeps. An executor only executes: in this process, in a pool of worker
processes, or on another machine. Which one is active is set by who wires (`worker.spawn`, the configuration).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from seamless.session import session
from seamless.transformer.outcome import Envelope, OutputHandler, Usage

if TYPE_CHECKING:
    from concurrent.futures import Future

    from seamless.buffer import Buffer
    from seamless.cache.access import Buffers
    from seamless.checksum import Checksum
    from seamless.transformer.outcome import Outcome
    from seamless.transformer.submission import Submission


def has_own_process(transformation: Mapping[str, Any], envelope: Envelope) -> bool:
    """Tell whether a step is executed in a process started for it, which can be ended without ending this one."""
    if transformation.get("__language__") != "python":
        return True
    if not envelope.env:
        return False
    from seamless.transformer.environments.isolated import needs_process

    return needs_process(envelope.env)


class Cancellation(threading.Event):
    """An event that also calls who must know at once that it was set."""

    def __init__(self) -> None:
        super().__init__()
        self._callbacks: list[Callable[[], None]] = []
        self._changing = threading.Lock()

    def set(self) -> None:
        """Set it and call the callbacks, once. They are short, take no lock of a caller, and do not raise."""
        super().set()
        with self._changing:
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def add_callback(self, callback: Callable[[], None]) -> None:
        """Have `callback()` called when it is set: at once if it is."""
        with self._changing:
            self._callbacks.append(callback)
        if self.is_set():
            self.set()

    def remove_callback(self, callback: Callable[[], None]) -> None:
        """Take one `add_callback` back; it may have been called."""
        with self._changing:
            if callback in self._callbacks:
                self._callbacks.remove(callback)


@dataclass
class ExecutionRequest:
    """One step to be executed. `buffers` gives the inputs and takes the result; who asks has it committed."""

    transformation: Mapping[str, Any]  # identity dict
    tf: Checksum
    envelope: Envelope  # orthogonal data, scratch, time limit
    buffers: Buffers
    on_output: OutputHandler | None = None
    canceled: Cancellation = field(default_factory=Cancellation)
    refresh: bool = False  # for executors that keep: execute also if the result is known


@dataclass
class ExecutionAnswer:
    """What a step has given. Its buffers are in `request.buffers.added`."""

    result: Checksum
    stdout: bytes = b""
    stderr: bytes = b""
    usage: Usage = field(default_factory=Usage)
    compilation: dict[str, Any] | None = None  # of a compiled step: how its code was made, for the record
    mode: str = "process"  # execution_mode of the record
    remote_target: str | None = None  # of the record
    site: dict[str, Any] | None = None  # what a full record needs of where it was executed
    retry_count: int = 0  # how often its process had died before


class Executor(Protocol):
    """A place where steps are executed. Thread-safe. A `local` step it executes in the process that wants it.

    It may have `keeps(envelope) -> bool`: whether it looks such a step up, executes it once however many want it, and
    makes result and record known, all by itself. Raises StoreError. `remote`: whether it executes on another machine.
    `shares_memory`: whether large buffers are best made in shared memory. `ended`: whether the user has ended it.
    """

    def stops(self, envelope: Envelope) -> bool:
        """Tell whether it ends such a step itself, on cancellation and at the time limit."""

    def execute(self, request: ExecutionRequest) -> ExecutionAnswer:
        """Execute one step; block until it has ended.

        Raises StepError when the step fails, WorkerLostError when the process that executed it has died, and
        CacheMissError, BufferCorruptionError or StoreError for the buffers. The output is attached to the first two.
        After `request.canceled` it returns soon, with whatever error.
        """


class InProcess:
    """Execution in the calling thread."""

    def stops(self, envelope: Envelope) -> bool:
        """A thread cannot be ended from outside."""
        return False

    def execute(self, request: ExecutionRequest) -> ExecutionAnswer:
        """Execute one step in this thread."""
        from seamless.transformer.execute import execute

        done = execute(
            request.transformation,
            request.tf,
            request.envelope,
            request.buffers,
            on_output=request.on_output,
            canceled=request.canceled,
        )
        return ExecutionAnswer(done.result, done.stdout, done.stderr, done.usage, done.compilation, site=done.site)


class Parent(Protocol):
    """What a worker process hands over instead of deciding itself."""

    def delegate(self, submission: Submission) -> Outcome:
        """Have the parent look up, execute and keep; block until it has."""

    def fingertip(self, checksum: Checksum) -> Buffer:
        """Return a buffer, computed again if it is gone. Raises CacheMissError."""


_SMALL = frozenset({int, float, bool, str, type(None)})  # types of values that are not worth a look


class Seam:
    """The active executor of this process; in a worker process, its parent instead."""

    def __init__(self) -> None:
        self.in_process = InProcess()
        self.executor: Executor = self.in_process
        self.parent: Parent | None = None

    def executor_for(self, first: Executor | None) -> Executor:
        """Return the executor of a step that was started when `first` was the active one.

        That is the one which is active now; but what the user has ended with all its steps, says so.
        """
        return first if first is not None and getattr(first, "ended", False) else self.executor

    def stops(self, envelope: Envelope) -> bool:
        """Tell whether such a step, canceled or late, is ended where it is executed."""
        return self.parent is not None or self.executor.stops(envelope)

    def keeps(self, envelope: Envelope) -> bool:
        """Tell whether such a step is looked up, executed once and kept where it is executed. Raises StoreError."""
        keeps = getattr(self.executor, "keeps", None)
        return keeps is not None and keeps(envelope)

    def shared_buffer(self, value: Any, celltype: str) -> Buffer | None:
        """Return the buffer of a large value, in memory shared with who executes; None where that is no gain."""
        if type(value) in _SMALL or self.parent is None and not getattr(self.executor, "shares_memory", False):
            return None
        from seamless.transformer.workers.memory import buffer_of_large

        return buffer_of_large(value, celltype)

    def reset(self) -> None:
        """Execute in this process from now on."""
        self.executor = self.in_process


seam = Seam()


def submit(executor: Executor, request: ExecutionRequest) -> Future[ExecutionAnswer]:
    """Have a request executed in the background; the future has the answer, or the exception of `execute`.

    Canceling the future does not stop a step: set `request.canceled`.
    """
    from concurrent.futures import Future

    from seamless.transformer.pool import pool

    future: Future[ExecutionAnswer] = Future()

    def work() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            answer = executor.execute(request)
        except BaseException as exc:  # noqa: BLE001  it belongs to who waits for the future
            future.set_exception(exc)
        else:
            future.set_result(answer)

    pool.submit(work)
    return future


session.on_fork(seam.reset)
