"""The execution of one step of a queue, in a thread of its server: inputs, look-up, command, delivery."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from seamless.checksum import Checksum
from seamless.cli.commandline.data import Input
from seamless.cli.commandline.typing import Finder, Found
from seamless.cli.common import OK, Messages, describe
from seamless.cli.queueing.job import JobError, JobStoppedError
from seamless.cli.queueing.job_run import JobRun, check
from seamless.cli.queueing.log import JobLog
from seamless.cli.running.command import complete
from seamless.cli.running.description import file_system_format, file_system_pin
from seamless.cli.running.inputs import HashedInput, hash_inputs, store_inputs
from seamless.errors import SeamlessError, WorkerLostError

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from seamless.cli.queueing.job import Job
    from seamless.cli.storage import Storage

_KILLED = 137  # the exit status of what was ended by SIGKILL

Delivered = dict[str, tuple[str, str]]  # absolute path -> (kind, checksum) of what was delivered there


class Work:
    """What all steps of a server share. `delivered` is only read here; `stop` is set when nothing new may begin."""

    def __init__(self, storage: Storage, logs: str, delivered: Delivered, stop: threading.Event, retries: int):
        self.storage, self.logs, self.delivered, self.stop, self.retries = storage, logs, delivered, stop, retries

    def do(self, job: Job) -> Delivered:
        """Execute one step; return what it has delivered. Blocks.

        A command that was killed by somebody else is run again, a limited number of times. Raises JobError,
        JobStoppedError.
        """
        job.started = time.time()
        log = JobLog(self.logs, job.number)
        try:
            transformation = self._transformation(job)
            while True:
                job.attempts += 1
                run = JobRun(job, transformation, self.storage, log)
                check(job, run)
                job.tf = run.checksum.hex()
                if self.stop.is_set():
                    raise JobStoppedError("stopped")
                lost = self._attempt(job, run, log)
                if not lost:
                    return _delivered(run)
        except (JobError, JobStoppedError):
            raise
        except (SeamlessError, OSError, ValueError) as exc:
            if log.written:
                log.write(describe(exc) + "\n")
            raise JobError(describe(exc)) from exc
        finally:
            job.seconds = time.time() - job.started
            log.close()

    def _attempt(self, job: Job, run: JobRun, log: JobLog) -> bool:
        """Execute or look up, and deliver; True if that has to be done again, as the command was killed."""
        again = job.attempts <= self.retries
        try:
            status = complete(run)
        except WorkerLostError as exc:
            if not again or self.stop.is_set():
                raise
            log.write(f"{exc}; it is run again\n")
            return True
        if run.canceled:
            raise JobStoppedError(run.error or "canceled")
        if status == OK:
            job.status = 0
            job.cached, job.result = run.cached, run.result.hex() if run.result is not None else None
            return False
        job.status = status
        if status == _KILLED and again and not self.stop.is_set():
            log.write("the command was killed; it is run again\n")
            return True
        raise JobError(_failure(run, status, log), status)

    def _transformation(self, job: Job) -> dict[str, Any]:
        """Return the transformation with all its inputs. Raises JobError for a promised one that is not there."""
        if not job.promised:
            return job.transformation
        messages = Messages("seamless-queue", -1)
        entries = [self._found(pin, path) for pin, path in job.promised.items()]
        inputs = hash_inputs([entry for entry in entries if isinstance(entry, Input)], messages)
        store_inputs(inputs, self.storage)
        inputs += [entry for entry in entries if isinstance(entry, HashedInput)]
        transformation = {**job.transformation, **{entry.name: file_system_pin(entry) for entry in inputs}}
        formats = {entry.name: file_system_format(entry) for entry in inputs}
        transformation["__format__"] = {**(job.transformation.get("__format__") or {}), **formats}
        return transformation

    def _found(self, pin: str, path: str) -> Input | HashedInput:
        """Return what was delivered by a step of this queue, else what is at `path` now."""
        if path in self.delivered:
            kind, checksum = self.delivered[path]
            known = Found("directory" if kind == "directory" else "file", None, checksum, path)
            return HashedInput(Input(pin, known.kind, None, checksum), checksum, None)
        found = Finder().find(path, f"input '{pin}'", expand=False)
        if found is None:
            raise JobError(f"input '{pin}' is not there: no step has made {path}")
        return Input(pin, found.kind, found.path, found.checksum)


def _failure(run: JobRun, status: int, log: JobLog) -> str:
    """Return one line about a command that has failed, or has not made what it should."""
    absent = [target.name for target in run.targets if target.kind == "absent"]
    if absent:
        return f"it has not made {', '.join(absent)}"
    return f"exit status {status}: {log.last_line}" if log.last_line else f"exit status {status}"


def _delivered(run: JobRun) -> Delivered:
    return {target.local: (target.kind, target.checksum) for target in run.targets if target.checksum is not None}


def as_event(delivered: Mapping[str, tuple[str, str]]) -> dict[str, list[str]]:
    """Return what the journal keeps of it."""
    return {path: list(entry) for path, entry in delivered.items()}


def from_event(targets: Mapping[str, Any]) -> Delivered:
    """Return what the journal has kept. Raises ValueError, TypeError for a journal that is damaged."""
    return {path: (str(kind), Checksum(checksum).hex()) for path, (kind, checksum) in targets.items()}
