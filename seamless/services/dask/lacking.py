"""What follows when a job has lacked memory or time: more of it for the next jobs, or the end of the steps in it.

Plain rules over what is known of jobs and steps; nobody is asked, and nothing is done here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from seamless.config.units import bytes_of
from seamless.services.dask.batch import Limits, next_limits
from seamless.services.dask.parameters import Parameters, walltime_in_seconds

Lack = Literal["memory", "walltime"]

_TRIES = 4  # jobs that may lack the same for one step
_MOST_OF_LIFE = 0.5  # of a job: a step that has taken as much when the job ends needs a longer one
_REMEMBERED = 10_000  # steps


@dataclass(frozen=True)
class Consequence:
    """What follows. `parameters` of the next jobs; `hopeless`: steps by key, each with what is to be said of it."""

    parameters: Parameters
    text: str = ""
    hopeless: Mapping[str, str] = field(default_factory=dict)


class Lacking:
    """Counts, for each step, the jobs that have lacked something while it was executed."""

    def __init__(self) -> None:
        self._jobs: Counter[tuple[Lack, str]] = Counter()

    def consequence(
        self,
        lack: Lack,
        executing: Mapping[str, float],
        job: Parameters,
        now: Parameters,
        limits: Limits,
        lived: float | None = None,
    ) -> Consequence:
        """Return what follows from the end of a job with the parameters `job`; those of the next ones are `now`.

        `executing`: the steps in it, and for how many seconds. `lived`: for how many seconds it had a worker.
        """
        guilty = self._guilty(lack, executing, job, lived)
        if lack == "walltime" and not guilty:
            return Consequence(now)  # it has lived its life; the steps in it fit into another one
        changed, text = next_limits(job, lack, limits)
        if changed is job:
            return Consequence(now, text, {key: _no_more(lack, job, executing[key]) for key in guilty})
        late = {key: _enough(lack, job) for key in guilty if self._jobs[lack, key] >= _TRIES}
        if late and len(late) == len(guilty):
            return Consequence(now, "", late)
        if _amount(lack, changed) <= _amount(lack, now):
            return Consequence(now, "", late)  # another job has lacked the same before
        more = {"memory": changed.memory} if lack == "memory" else {"walltime": changed.walltime}
        return Consequence(now.with_limits(**more), text, late)

    def _guilty(self, lack: Lack, executing: Mapping[str, float], job: Parameters, lived: float | None) -> list[str]:
        """Return the steps that the job was too small for, as far as one can tell; count this job for all of them."""
        self._count(lack, executing)
        again = {key for key in executing if self._jobs[lack, key] > 1}
        if lack == "memory":
            return sorted(executing if len(executing) == 1 else again)
        life = job.lifetime or (walltime_in_seconds(job.walltime) if job.walltime is not None else None)
        if life is not None and lived is not None:
            life = min(life, lived)  # its worker has come late: the next one may do so, too
        long = {key for key, spent in executing.items() if life is not None and spent > _MOST_OF_LIFE * life}
        return sorted(long | again)

    def _count(self, lack: Lack, keys: Iterable[str]) -> None:
        for key in keys:
            self._jobs[lack, key] += 1
        while len(self._jobs) > _REMEMBERED:
            del self._jobs[next(iter(self._jobs))]


def _amount(lack: Lack, parameters: Parameters) -> float:
    if lack == "memory":
        return bytes_of(parameters.memory)
    return walltime_in_seconds(parameters.walltime) if parameters.walltime is not None else float("inf")


def _no_more(lack: Lack, job: Parameters, spent: float) -> str:
    if lack == "memory":
        return (
            f"its job has run out of memory ({job.memory}), and the queue allows no more. Use a queue with more "
            "memory, or give the step less to do at once"
        )
    return (
        f"its job has come to its end (walltime {job.walltime}) after {spent:.0f} s of it, and the queue allows no "
        "longer jobs. Use a queue with a longer walltime, or make smaller steps of it"
    )


def _enough(lack: Lack, job: Parameters) -> str:
    had = f"memory: {job.memory}" if lack == "memory" else f"walltime: {job.walltime}"
    return f"{_TRIES} jobs have lacked {lack} for it, each with more than the one before; the last one had {had}"
