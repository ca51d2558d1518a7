"""What the server before has done, as its journal tells: which of the steps that are read again need no second look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seamless.cli.queueing.job import DONE
from seamless.cli.queueing.journal import ENDS, record_digest
from seamless.cli.queueing.work import from_event

if TYPE_CHECKING:
    from seamless.cli.queueing.job import Job
    from seamless.cli.queueing.ordering import Ordering
    from seamless.cli.queueing.work import Delivered


class History:
    """The ends of the steps in an earlier life of the queue."""

    def __init__(self, events: list[dict[str, Any]]):
        self._ends = {event["job"]: event for event in events if event["event"] in ENDS and "job" in event}
        self._digests: dict[int, str] = {}

    def recall(self, job: Job, record: bytes, ordering: Ordering, delivered: Delivered) -> None:
        """Mark the step as done if the journal says so of this very record; `delivered` gets its results.

        A step with promised inputs counts only if all of them are from steps that count: the journal may be that of
        another file of this name, in which they had other contents.
        """
        self._digests[job.number] = digest = record_digest(record)
        event = self._ends.get(job.number)
        if event is None or event["event"] != DONE or event.get("record") != digest:
            return
        if not all(ordering.is_done(path) for path in job.promised.values()):
            return
        try:
            targets = from_event(event["targets"])
        except (KeyError, TypeError, ValueError):
            return  # damaged: it is looked up again
        job.state, job.tf, job.result, job.cached = DONE, event.get("tf"), event.get("result"), True
        delivered.update(targets)

    def digest(self, job: Job) -> str:
        """Return what identifies the record of a step."""
        return self._digests[job.number]
