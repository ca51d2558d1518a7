"""In which order steps may run: what a step needs must be done, and nobody writes a file that is still to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seamless.cli.queueing.job import BLOCKED, DONE, WAITING
from seamless.cli.queueing.paths import PathIndex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seamless.cli.queueing.job import Job


class Ordering:
    """The steps of a queue, in the order in which they were submitted."""

    def __init__(self) -> None:
        self.jobs: dict[int, Job] = {}
        self._writers, self._readers = PathIndex(), PathIndex()
        self._dependants: dict[int, set[int]] = {}
        self._free: dict[int, None] = {}  # waiting steps that wait for no other step, in order

    def add(self, job: Job) -> None:
        """Add the next step."""
        self.jobs[job.number] = job
        targets = job.targets.values()
        job.needs = self._writers.touching(job.promised.values())
        followed = self._writers.touching(targets) | self._readers.touching(targets)
        job.follows = {number for number in followed - job.needs if not self.jobs[number].ended}
        for path in targets:
            self._writers.replace(path, job.number)
        for path in job.promised.values():
            self._readers.add(path, job.number)
        for number in job.needs | job.follows:
            self._dependants.setdefault(number, set()).add(job.number)
        if not job.ended:
            job.needs = {number for number in job.needs if not self._settles(job, self.jobs[number])}
            self._note(job)

    def ended(self, job: Job) -> list[Job]:
        """Take note that a step has ended; return the steps that therefore never run."""
        never: list[Job] = []
        for number in sorted(self._dependants.pop(job.number, ())):
            other = self.jobs[number]
            other.follows.discard(job.number)
            if other.ended:
                continue
            if job.number in other.needs and self._settles(other, job):
                other.needs.discard(job.number)
            self._note(other)
            if other.state == BLOCKED:
                never += [other, *self.ended(other)]
        return never

    def _settles(self, job: Job, needed: Job) -> bool:
        """Tell whether `job` need not wait for `needed`; if that has failed, `job` never runs."""
        if needed.ended and needed.state != DONE and job.state == WAITING:
            job.state = BLOCKED
            job.error = f"it needs a result of job {needed.number}, which is {needed.state}: {needed.title}"
        return needed.ended

    def _note(self, job: Job) -> None:
        if job.state == WAITING and not job.needs and not job.follows:
            self._free[job.number] = None

    def free(self) -> Iterator[Job]:
        """Yield the steps that wait for no other step of the queue."""
        for number in list(self._free):
            job = self.jobs[number]
            if job.state == WAITING:
                yield job
            else:
                del self._free[number]

    def is_done(self, path: str) -> bool:
        """Tell whether steps of this queue have made what is at `path`, all that is to be made there so far."""
        writers = self._writers.touching([path])
        return bool(writers) and all(self.jobs[number].state == DONE for number in writers)

    def unfinished(self) -> list[Job]:
        """Return the steps that have not ended."""
        return [job for job in self.jobs.values() if not job.ended]
