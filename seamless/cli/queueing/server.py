"""The server of a queue: reads the file, starts what may start, notes what has ended, and goes on until EOF.

Everything is decided in one thread; steps run in others and report back. Restarted after a crash, it reads the file
from its beginning: what the journal calls done is done, everything else is looked up or executed again.
"""

from __future__ import annotations

import os
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from seamless.checksum import Checksum
from seamless.cli.queueing import records
from seamless.cli.queueing.futures import QueueFutures
from seamless.cli.queueing.history import History
from seamless.cli.queueing.job import (
    BLOCKED,
    DONE,
    FAILED,
    RUNNING,
    STOPPED,
    WAITING,
    Job,
    JobError,
    JobStoppedError,
)
from seamless.cli.queueing.ordering import Ordering
from seamless.cli.queueing.records import BadRecordError, Tail
from seamless.cli.queueing.work import Delivered, Work, as_event
from seamless.transformer.runner import cancel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seamless.cli.queueing.display import Display
    from seamless.cli.queueing.journal import Journal
    from seamless.cli.storage import Storage

_POLL = 0.05  # seconds between two looks at the file
_STOP_POLL = 0.05  # seconds between two attempts to stop what is still running


class Settings:
    """How a server works. `scope`: the project and stage that it serves; `retries`: of killed commands."""

    def __init__(self, workers: int, *, retries: int = 1, fail_fast: bool = False, scope: tuple[str, str] = ("", "")):
        self.workers, self.retries, self.fail_fast, self.scope = workers, retries, fail_fast, scope


class Server:
    """One server; `serve` blocks until the queue is finished. Raises KeyboardInterrupt after everything is stopped."""

    def __init__(self, path: str, journal: Journal, storage: Storage, settings: Settings, display: Display):
        self.path, self.settings, self.display = path, settings, display
        self.ordering = Ordering()
        self.futures = QueueFutures()
        self.bad_records = 0
        self._tail = Tail(path)
        self._journal = journal
        self._history = History(journal.events())
        self._delivered: Delivered = {}
        self._stop = threading.Event()
        self._work = Work(storage, records.log_directory(path), self._delivered, self._stop, settings.retries)
        self._ended: queue.SimpleQueue[tuple[Job, Delivered | Exception]] = queue.SimpleQueue()
        self._running: set[Job] = set()
        self._answers: list[str] = []
        self._eof = self._canceled = self._read_anything = False

    @property
    def jobs(self) -> dict[int, Job]:
        """All steps so far, by number."""
        return self.ordering.jobs

    @property
    def failed(self) -> bool:
        """Whether anything was not done."""
        return self.bad_records > 0 or any(job.ended and job.state != DONE for job in self.jobs.values())

    def serve(self) -> None:
        """Work until the queue is finished, and its file is gone; or with `fail_fast` until the first failure."""
        pool = ThreadPoolExecutor(self.settings.workers, thread_name_prefix="seamless-queue")
        try:
            with self.futures:
                while not self._turn(pool):
                    pass
        except KeyboardInterrupt:
            self.stop("interrupted")
            raise
        except BaseException:
            self._abandon()
            raise
        finally:
            pool.shutdown(wait=True)
            self._tail.close()

    def _turn(self, pool: ThreadPoolExecutor) -> bool:
        """Do one round; True when there is nothing left to do."""
        self._read()
        self._start(pool)
        self._collect()
        self.display.show(self.jobs.values())
        if self._running or self.ordering.unfinished():
            return False
        if self._stop.is_set() and not self._canceled:
            self._answer()
            return True
        if not self._read_anything or (self._tail.is_current() and not self._eof):
            return False
        if self._tail.is_current():
            return self._tail.remove_if_read(self._answer)
        self._answer()  # somebody has taken the file away
        return True

    # --- reading --------------------------------------------------------------------------------

    def _read(self) -> None:
        for data in self._tail.records():
            self._read_anything = True
            try:
                self._take(data)
            except BadRecordError as exc:
                self.bad_records += 1
                self.display.bad_record(str(exc))

    def _take(self, data: bytes) -> None:
        record = records.decode(data)
        command = record["queue_command"]
        if command == records.EOF:
            self._eof = True
            self._note_answer(record)
        elif command == records.CANCEL:
            self._eof = self._canceled = True
            self._note_answer(record)
            self.stop("canceled")
        else:
            self._add(Job(len(self.jobs) + 1, record), data)

    def _note_answer(self, record: dict[str, Any]) -> None:
        if isinstance(record.get("answer"), str):
            self._answers.append(record["answer"])

    def _add(self, job: Job, data: bytes) -> None:
        self._history.recall(job, data, self.ordering, self._delivered)
        self.ordering.add(job)
        if job.state == DONE:
            self._end_futures_of(job)
            return
        if self._stop.is_set():
            job.state, job.error = STOPPED, "not started"
        elif job.state == BLOCKED:
            self._settle(job)
        else:
            self.futures.add(job)
            self.display.waiting(job)

    def _end_futures_of(self, job: Job) -> None:
        """Remove what a server that was killed just after the delivery has left."""
        self.futures.add(job)
        self.futures.release(job)

    # --- working --------------------------------------------------------------------------------

    def _start(self, pool: ThreadPoolExecutor) -> None:
        for job in self.ordering.free():
            if len(self._running) >= self.settings.workers or self._stop.is_set():
                return
            if any(self.futures.foreign(path) for path in job.promised.values()):
                continue
            job.state = RUNNING
            self._running.add(job)
            self.display.started(job)
            pool.submit(self._run, job)

    def _run(self, job: Job) -> None:
        """Execute one step; in a thread of the pool."""
        try:
            self._check_scope(job)
            delivered = self._work.do(job)
        except (JobError, JobStoppedError) as exc:
            self._ended.put((job, exc))
        except Exception as exc:  # noqa: BLE001 - a bug of ours fails the step, and is shown with it
            import traceback

            self._ended.put((job, JobError("".join(traceback.format_exception(exc)))))
        else:
            self._ended.put((job, delivered))

    def _check_scope(self, job: Job) -> None:
        wanted = (job.parameters.get("project", ""), job.parameters.get("stage", ""))
        if wanted != self.settings.scope:
            options = (
                " ".join(f"--{n} {v}" for n, v in zip(("project", "stage"), wanted, strict=True) if v) or "neither"
            )
            raise JobError(f"submitted with other --project and --stage ({options}) than the server has")

    def _collect(self) -> None:
        """Take note of what has ended; wait a moment for it if nothing else is to be done."""
        timeout = _POLL
        while True:
            try:
                job, outcome = self._ended.get(timeout=timeout) if timeout else self._ended.get_nowait()
            except queue.Empty:
                return
            timeout = 0.0
            self._running.discard(job)
            if isinstance(outcome, JobStoppedError):
                job.state, job.error = STOPPED, str(outcome)
            elif isinstance(outcome, Exception):
                job.state, job.error = FAILED, str(outcome)
            else:
                job.state = DONE
                self._delivered.update(outcome)
                self._journal.write(
                    "done",
                    job=job.number,
                    record=self._history.digest(job),
                    tf=job.tf,
                    result=job.result,
                    targets=as_event(outcome),
                )
            self._settle(job)

    def _settle(self, job: Job) -> None:
        """Do what follows from the end of a step."""
        never = self.ordering.ended(job)
        for ended in (job, *never):
            self.futures.release(ended)
            if ended.state in (FAILED, BLOCKED):
                fields = {"tf": ended.tf, "status": ended.status, "error": ended.error}
                self._journal.write(ended.state, job=ended.number, record=self._history.digest(ended), **fields)
            self.display.ended(ended, records.log_directory(self.path))
        if self.settings.fail_fast and job.state == FAILED and not self._stop.is_set():
            self.stop("not started, as --fail-fast was given", running=False)

    def stop(self, reason: str, *, running: bool = True) -> None:
        """Start nothing more; `running`: also end what is under way, and wait for it."""
        self._stop.set()
        for job in self.ordering.unfinished():
            if job.state == WAITING:
                job.state, job.error = STOPPED, reason
                self.futures.release(job)
        while running and self._running:
            for job in self._running:
                if job.tf is not None:
                    cancel(Checksum(job.tf))
            self._collect_one(_STOP_POLL)

    def _abandon(self) -> None:
        """After an error of the server itself: end what is under way, note nothing."""
        self._stop.set()
        while self._running:
            for job in self._running:
                if job.tf is not None:
                    cancel(Checksum(job.tf))
            try:
                self._running.discard(self._ended.get(timeout=_STOP_POLL)[0])
            except queue.Empty:
                continue

    def _collect_one(self, seconds: float) -> None:
        """Take note of the end of a step that was stopped; one that was quicker is done."""
        try:
            job, outcome = self._ended.get(timeout=seconds)
        except queue.Empty:
            return
        self._ended.put((job, outcome))
        self._collect()

    # --- the end --------------------------------------------------------------------------------

    def _answer(self) -> None:
        """Tell those who wait for the end how it went, before the file disappears."""
        import json

        from seamless.util.files import write_atomically

        counts = count(self.jobs.values())
        for path in self._answers:
            if os.path.exists(path + records.WANTED):
                write_atomically(path, json.dumps({**counts, "bad_records": self.bad_records}).encode(), durable=True)


def count(jobs: Iterable[Job]) -> dict[str, int]:
    """Return how many steps are in each state, and in all."""
    counts = {"total": 0, DONE: 0, RUNNING: 0, WAITING: 0, FAILED: 0, BLOCKED: 0, STOPPED: 0}
    for job in jobs:
        counts["total"] += 1
        counts[job.state] += 1
    return counts
