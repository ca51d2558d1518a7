"""What a server remembers of the jobs that have ended: the answer, and nothing of the execution."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from seamless.checksum import Checksum
from seamless.services.jobserver import jobs as module
from seamless.services.jobserver.jobs import Job, Jobs
from seamless.services.jobserver.requests import JobRequest
from seamless.transformer import runner
from seamless.transformer.outcome import Envelope, Outcome
from seamless.transformer.submission import Submission


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[Job], list[Any]]]:
    """Have so many jobs executed by a function; return the jobs, and weak references to their submissions."""

    def execute(count: int, perform: Callable[[Submission], Outcome]) -> tuple[list[Job], list[Any]]:
        submissions: list[Any] = []

        def submit(transformation: Any, tf: Checksum, envelope: Envelope, **more: Any) -> Submission:
            submission = Submission(transformation, tf, envelope, perform, **more)
            submission.join()
            submissions.append(weakref.ref(submission))
            return submission

        monkeypatch.setattr(runner, "submit", submit)
        jobs = Jobs(most=count)

        async def run() -> list[Job]:
            requests = [JobRequest({}, Checksum.of(b"%d" % i), request=f"request {i}") for i in range(count)]
            begun = [jobs.submit(request, Envelope()) for request in requests]
            for job in begun:
                while not job.done:
                    await job.changed(60)
            return [job for job in begun if jobs.get(job.tf) is job]

        return asyncio.run(run()), submissions

    return execute


def succeed(submission: Submission) -> Outcome:
    return Outcome(submission.tf, result=submission.tf)


def fail(submission: Submission) -> Outcome:
    def inner() -> None:
        held = submission  # by the frame  # noqa: F841
        raise ValueError("inner")

    try:
        try:
            inner()
        except ValueError as exc:
            raise RuntimeError("outer") from exc
    except RuntimeError as exc:
        return Outcome(submission.tf, error="outer\n", original=exc)


@pytest.mark.parametrize("perform", [succeed, fail])
def test_of_a_job_that_has_ended_no_part_of_the_execution_is_left(
    executed: Callable[..., tuple[list[Job], list[Any]]], perform: Callable[[Submission], Outcome]
) -> None:
    jobs, submissions = executed(50, perform)
    gc.collect()
    assert len(jobs) == 50
    assert {job.status for job in jobs} == {"done" if perform is succeed else "failed"}
    # One may still be held by the thread that has executed it.
    assert sum(ref() is not None for ref in submissions) <= 1


def test_only_so_many_jobs_that_have_ended_are_remembered(
    executed: Callable[..., tuple[list[Job], list[Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 10)
    jobs, _ = executed(50, succeed)
    assert len(jobs) == 10
