"""How far a queue is, as its files tell: for `seamless-queue --status`, whether or not a server runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seamless.cli.queueing import records
from seamless.cli.queueing.job import BLOCKED, DONE, FAILED, WAITING, Job
from seamless.cli.queueing.journal import ends, living_server
from seamless.cli.queueing.promises import numbered

if TYPE_CHECKING:
    from collections.abc import Iterator

_STATES = {DONE: DONE, FAILED: FAILED, BLOCKED: BLOCKED}


def jobs_of(queue: str) -> Iterator[Job]:
    """Yield the steps of a queue file with the ends that the journal knows; everything else counts as waiting."""
    ended = ends(records.journal_path(queue))
    for number, record, digest in numbered(queue):
        job = Job(number, record)
        event = ended.get(number, {})
        if event.get("record") == digest:
            job.state = _STATES.get(event["event"], WAITING)
            job.tf = event.get("tf") or job.tf
            job.result, job.status, job.error = event.get("result"), event.get("status"), event.get("error") or ""
        yield job


def server_of(queue: str) -> dict[str, Any] | None:
    """Return who works on the queue now: `pid`, `host`, perhaps `dashboard`; None if nobody does."""
    return living_server(records.journal_path(queue))
