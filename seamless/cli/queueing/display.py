"""What a server of a queue says: a line a step, one line of progress on a terminal, and a summary at the end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from seamless.cli.common import Messages, Progress, is_terminal
from seamless.cli.queueing.job import BLOCKED, DONE, FAILED, RUNNING, STOPPED, Job

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHOWN = 20  # failures in the summary


class QueueProgress(Progress):
    """`12/40 done, 8 running, 1 failed`, rewritten in place."""

    DELAY = 0.0
    text = ""

    def line(self, seconds: float) -> str:
        """Return the text shown."""
        return self.text

    def show(self, text: str) -> None:
        """Show a text, soon."""
        self.text = text
        self.update(0)


class Display(Messages):
    """The messages of a server. On a terminal the progress takes the place of the lines about single steps."""

    def __init__(self, prog: str, verbosity: int):
        super().__init__(prog, verbosity)
        live = self.verbosity >= 0 and is_terminal(self.stream)
        self._bar = QueueProgress("", stream=self.stream, enabled=live)
        self._progress = self._bar
        self._level = 1 if live else 0  # of the lines about single steps

    def show(self, jobs: Iterable[Job]) -> None:
        """Show how far the queue is."""
        if self._bar.enabled:
            self._bar.show(counted(jobs))

    def waiting(self, job: Job) -> None:
        """A step was read."""
        if job.needs or job.follows:
            others = ", ".join(str(number) for number in sorted(job.needs | job.follows))
            self.message(2, f"job {job.number} waits for job {others}")

    def started(self, job: Job) -> None:
        """A step is under way."""
        if self.verbosity >= self._level:
            self._line(f"Job {job.number}, run command: {job.title}")

    def ended(self, job: Job, logs: str) -> None:
        """A step has ended."""
        if job.state == DONE:
            if self.verbosity >= self._level:
                self._line(f"*** Job {job.number}: {job.title}, FINISHED ***")
            return
        if job.state == FAILED:
            self._line(f"*** Job {job.number}: {job.title}, EXCEPTION ***")
            self._line(job.error)
            if log := existing_log(logs, job):
                self._line(f"log: {log}")
        elif job.state == STOPPED:
            self.message(0, f"job {job.number} is stopped: {job.title}")

    def bad_record(self, text: str) -> None:
        """A record was not understood."""
        self.error(text)

    def summary(self, jobs: Iterable[Job], logs: str, bad_records: int) -> None:
        """Say how it went: one line, and everything that was not done."""
        self._bar.clear()
        every = list(jobs)
        bad = [job for job in every if job.state in (FAILED, BLOCKED, STOPPED)]
        if not bad and not bad_records:
            self.message(0, f"all {len(every)} jobs are done" if every else "there was nothing to do")
            return
        unread = f", {bad_records} unreadable records" if bad_records else ""
        self._line(f"{self.prog}: {counted(every)}{unread}")
        for job in bad[:_SHOWN]:
            self._line(f"  job {job.number} {job.state}: {job.title}")
            for line in job.error.splitlines()[-1:]:
                self._line(f"    {line}")
            if log := existing_log(logs, job):
                self._line(f"    log: {log}")
        if len(bad) > _SHOWN:
            self._line(f"  ... and {len(bad) - _SHOWN} more")


def counted(jobs: Iterable[Job]) -> str:
    """Return the line of progress.

    >>> counted([])
    '0/0 done, 0 running, 0 failed'
    """
    states = [job.state for job in jobs]
    text = f"{states.count(DONE)}/{len(states)} done, {states.count(RUNNING)} running, {states.count(FAILED)} failed"
    if BLOCKED in states:
        text += f", {states.count(BLOCKED)} blocked"
    if STOPPED in states:
        text += f", {states.count(STOPPED)} stopped"
    return text


def existing_log(logs: str, job: Job) -> str | None:
    """Return the path of the log of a step, if it has one."""
    path = os.path.join(logs, f"job-{job.number}.log")
    if not os.path.exists(path):
        return None
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative
