"""The jobs of a server: each transformation that is waiting, running or was executed lately, and who wants it.

Lives in the event loop. A job goes on when its clients have gone; it ends early when the last of those who have
named themselves takes the request back, or when somebody cancels the transformation.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from seamless.cache.buffer_cache import register_weakly
from seamless.checksum import Checksum
from seamless.services.jobserver.requests import JobRequest, RefusedError
from seamless.transformer import runner
from seamless.transformer.outcome import Envelope, Outcome
from seamless.transformer.submission import Submission

_REMEMBERED = 1000  # jobs that have ended
_OUTPUT = 1 << 20  # bytes of live output that wait for a client
_STILL_THE_SAME = 2.0  # seconds in which the repetition of a failed request gets the same answer
_MOST_REPETITIONS = 4
_OUTPUTS_KEPT = 32 << 20  # bytes of captured output in jobs that have ended


class Job:
    """One execution. Of many that have ended something is remembered: it has to be little."""

    __slots__ = (
        *("tf", "command", "buffers", "clients", "anonymous", "outcome", "created", "finished", "repetitions", "live"),
        *("_submission", "_pieces", "_first", "_size", "_waiters", "_watchers"),
    )

    def __init__(self, request: JobRequest, submission: Submission):
        self.tf = request.tf
        self._submission: Submission | None = submission  # None: it is done
        self.command = request.command or request.name
        self.buffers = request.buffers  # findable while it is under way, and stored with the result
        self.clients: set[str] = set()  # requests that want it
        self.anonymous = False  # whether somebody wants it who has no name, and so cannot lose interest
        self.outcome: Outcome | None = None
        self.created, self.finished = time.time(), 0.0
        self.repetitions = 0
        self.live = False
        self._pieces: list[tuple[str, bytes]] = []
        self._first, self._size = 0, 0  # number of the first piece, bytes of all
        self._waiters: list[asyncio.Future[None]] = []
        self._watchers: list[Callable[..., None]] = []

    @property
    def submission(self) -> Submission:
        """The execution; not when it is done."""
        assert self._submission is not None
        return self._submission

    def end(self, outcome: Outcome) -> None:
        """Note the outcome, and let go of what was needed until now."""
        outcome.kept = self.buffers = []  # the buffers are where they belong
        _let_go_of_frames(outcome.original)
        self.outcome, self.finished, self._submission = outcome, time.time(), None

    @property
    def done(self) -> bool:
        """Whether there is an outcome."""
        return self.outcome is not None

    @property
    def status(self) -> str:
        """One of queued, running, done, failed, canceled."""
        if self.outcome is None:
            return "queued" if self.submission.idle.is_set() else "running"
        return "canceled" if self.outcome.canceled else "done" if self.outcome.result is not None else "failed"

    def add(self, request: JobRequest) -> None:
        """Count one more who wants it."""
        if request.request is None:
            self.anonymous = True
        else:
            self.clients.add(request.request)
        self.live = self.live or request.live

    def wanted_by(self, name: str | None) -> bool:
        """Tell whether this request is one of those that want it."""
        return name is None or name in self.clients

    # --- output -------------------------------------------------------------------------------

    def add_output(self, stream: str, data: bytes) -> None:
        """Keep a piece of live output; the oldest are lost if nobody fetches them."""
        if not self.live:
            return
        self._pieces.append((stream, data))
        self._size += len(data)
        lost = 0
        while self._size > _OUTPUT and lost < len(self._pieces) - 1:
            self._size -= len(self._pieces[lost][1])
            lost += 1
        del self._pieces[:lost]
        self._first += lost
        self.notify()

    def output(self, start: int) -> tuple[list[tuple[str, bytes]], int]:
        """Return the pieces from number `start` on as far as they are still there, and the number of the first."""
        first = max(start, self._first)
        return self._pieces[first - self._first :], first

    def has_output(self, start: int) -> bool:
        """Tell whether there are pieces from that number on."""
        return self._first + len(self._pieces) > start

    # --- waiting ------------------------------------------------------------------------------

    def notify(self) -> None:
        """Wake who waits."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        for watcher in list(self._watchers):
            watcher()

    def watch(self, watcher: Callable[..., None], seconds: float) -> Callable[[], None]:
        """Have `watcher()` called at each notification, and `watcher(late=True)` after some time.

        Returns what ends that.
        """
        timer = asyncio.get_running_loop().call_later(seconds, functools.partial(watcher, late=True))
        self._watchers.append(watcher)

        def end() -> None:
            timer.cancel()
            self._watchers.remove(watcher)

        return end

    async def changed(self, seconds: float) -> None:
        """Wait for the next notification, but not for longer than that."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(waiter, seconds)
        finally:
            self._waiters.remove(waiter)


class Jobs:
    """All jobs. `most`: how many may be unfinished."""

    def __init__(self, most: int):
        self.most = most
        self.executed = self.cached = self.failed = self.canceled = self.joined = self.refused = 0
        self._jobs: OrderedDict[Checksum, Job] = OrderedDict()
        self._unfinished: dict[Submission, Job] = {}
        self._kept_output = 0

    def __len__(self) -> int:
        return len(self._unfinished)

    def unfinished(self) -> list[Job]:
        """Return the jobs that wait or run, in the order in which they came."""
        return list(self._unfinished.values())

    def get(self, tf: Checksum) -> Job | None:
        """Return the job of a transformation: the present one, else the last one as far as it is remembered."""
        return self._jobs.get(tf)

    def answered(self, request: JobRequest) -> Job | None:
        """Return the job that has answered this very request before, or None.

        Clients of the reference repeat a request at once when the step has failed.
        """
        job = self._jobs.get(request.tf)
        if job is None or not job.done:
            return None
        if request.request is not None:
            return job if request.request in job.clients else None
        if job.status != "failed" or not job.anonymous or job.repetitions >= _MOST_REPETITIONS:
            return None
        if time.time() - job.finished > _STILL_THE_SAME:
            return None
        job.repetitions += 1
        return job

    def submit(self, request: JobRequest, envelope: Envelope) -> Job:
        """Return the job for a request: the one that is under way, or a new one. Raises RefusedError."""
        present = self._jobs.get(request.tf)
        if (present is None or present.done) and len(self._unfinished) >= self.most:
            self.refused += 1
            raise RefusedError(429, f"the queue is full: {len(self._unfinished)} transformations", retry_after=1)
        loop = asyncio.get_running_loop()
        late: list[Job] = []

        def on_output(stream: str, data: bytes) -> None:
            if late:
                _in_loop(loop, late[0].add_output, stream, data)

        try:
            submission = runner.submit(
                request.transformation, request.tf, envelope, on_output=on_output, refresh=request.refresh
            )
        except RuntimeError as exc:
            raise RefusedError(409, str(exc)) from None
        job = self._unfinished.get(submission)
        if job is not None:
            submission.leave()  # the job wants it once, however many want the job
            self.joined += 1
            job.add(request)
            return job
        job = Job(request, submission)
        for buffer in job.buffers:
            register_weakly(buffer.get_checksum(), buffer)
        job.add(request)
        late.append(job)
        self._jobs[request.tf] = job
        self._jobs.move_to_end(request.tf)
        self._unfinished[submission] = job
        submission.add_done_callback(lambda outcome: _in_loop(loop, self._finish, job, outcome))
        submission.start()
        return job

    def leave(self, job: Job, name: str) -> bool:
        """Take a request back; the job ends if nobody else wants it. False if it did not want it (any more)."""
        if name not in job.clients or job.done:
            return False
        job.clients.discard(name)
        if not job.clients and not job.anonymous:
            job.submission.leave()
        job.notify()
        return True

    def cancel(self, job: Job) -> bool:
        """End a job, whoever wants it. False if it had ended."""
        return not job.done and job.submission.cancel()

    def cancel_all(self) -> None:
        """End every job."""
        for job in self.unfinished():
            job.submission.cancel()

    def notify(self) -> None:
        """Wake everybody who waits."""
        for job in self.unfinished():
            job.notify()

    def _finish(self, job: Job, outcome: Outcome) -> None:
        self._unfinished.pop(job.submission, None)
        job.end(outcome)
        self._count(outcome)
        self._kept_output += _output_size(job)
        job.notify()
        self._forget_old()

    def _forget_old(self) -> None:
        while len(self._jobs) > len(self._unfinished) + _REMEMBERED or self._kept_output > _OUTPUTS_KEPT:
            oldest = next((tf for tf, job in self._jobs.items() if job.done), None)
            if oldest is None:
                return
            self._kept_output -= _output_size(self._jobs.pop(oldest))

    def _count(self, outcome: Outcome) -> None:
        if outcome.canceled:
            self.canceled += 1
        elif outcome.result is None:
            self.failed += 1
        elif outcome.cached:
            self.cached += 1
        else:
            self.executed += 1


def _let_go_of_frames(exc: BaseException | None) -> None:
    """Drop the tracebacks of an exception: they hold all that there was around it, and its text has been taken."""
    while exc is not None:
        exc.__traceback__ = None
        exc = exc.__cause__ or exc.__context__


def _output_size(job: Job) -> int:
    outcome = job.outcome
    return 0 if outcome is None else len(outcome.stdout) + len(outcome.stderr)


def _in_loop(loop: asyncio.AbstractEventLoop, function: Any, *arguments: Any) -> None:
    """Call a function in the event loop, from any thread; at the end of the server there is none."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(function, *arguments)
