"""How many jobs a scheduler needs, and whether it is idle: arithmetic over a snapshot of it. Asks nobody."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from seamless.config.units import seconds
from seamless.services.dask.parameters import Parameters

UNFINISHED = frozenset(("waiting", "queued", "no-worker", "processing"))
_OWN_CLIENTS = ("fire-and-forget", "Client-worker-")  # that are there without anybody's wish


@dataclass(frozen=True)
class Snapshot:
    """What a scheduler is doing.

    `durations` are longer for steps that take more than one place, or keep others from theirs. `clients`: programs
    that are connected. By worker name, `workers`: unfinished tasks; `executing`: those under way,
    and for how many seconds, as of its last heartbeat.
    """

    durations: tuple[float, ...] = ()  # of the unfinished tasks, as far as is known; in seconds
    steps: int = 0  # of them, those that want a job of their own on an exclusive queue
    clients: int = 0
    workers: Mapping[str, int] = field(default_factory=dict)
    executing: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def idle(self) -> bool:
        """Whether nobody is connected, and nothing to be done."""
        return not self.clients and not self.durations


def snapshot(scheduler: Any, unknown: float, offered: Mapping[str, float] = MappingProxyType({})) -> Snapshot:
    """Return what a `distributed.Scheduler` of this process is doing; call it in the loop of the scheduler.

    `unknown`: seconds of a step of which no other is known; `offered`: the resources of each worker.
    """
    durations, steps = [], 0
    for task in scheduler.tasks.values():
        if task.state not in UNFINISHED:
            continue
        known = task.prefix.duration_average
        duration = known if known is not None and known >= 0 else unknown
        durations.append(duration * places_of(task.resource_restrictions or {}, offered))
        steps += str(task.key).startswith("base")
    workers = {str(worker.name): len(worker.processing) for worker in scheduler.workers.values()}
    executing = {
        str(worker.name): {str(task.key): float(spent) for task, spent in worker.executing.items()}
        for worker in scheduler.workers.values()
    }
    return Snapshot(tuple(durations), steps, clients_of(scheduler.clients), workers, executing)


def places_of(taken: Mapping[str, float], offered: Mapping[str, float]) -> float:
    """Return how many places of a worker a step makes use of, or useless for others of its kind.

    >>> worker = {"S": 16.0, "GPU": 2.0}
    >>> [places_of(taken, worker) for taken in ({}, {"S": 1}, {"S": 4}, {"S": 1, "GPU": 1})]
    [1.0, 1.0, 4.0, 8.0]
    """
    shares = [amount / offered[name] for name, amount in taken.items() if offered.get(name)]
    return max(shares) * offered.get("S", 1.0) if shares else 1.0


def clients_of(names: Iterable[str]) -> int:
    """Count the programs that are connected, without workers and the scheduler's own.

    >>> clients_of(["fire-and-forget", "Client-worker-1f", "Client-2e"])
    1
    """
    return sum(not str(name).startswith(_OWN_CLIENTS) for name in names)


def wanted_jobs(parameters: Parameters, now: Snapshot) -> int:
    """Return the number of jobs for what is to be done.

    >>> four = Parameters(memory="1GB", cores=4, maximum_jobs=5)
    >>> [wanted_jobs(four, Snapshot((60.0,) * n)) for n in (0, 1, 40, 41, 1000)]
    [0, 1, 1, 2, 5]
    """
    if parameters.exclusive:
        wanted = now.steps or min(1, len(now.durations))
    else:
        at_once = parameters.processes_per_job * (
            parameters.threads if parameters.pure else int(parameters.resources.get("S") or parameters.steps)
        )
        wanted = math.ceil(sum(now.durations) / (seconds(parameters.target_duration) * max(1, at_once)))
        wanted = max(wanted, min(1, len(now.durations)))
    return min(max(wanted, int(parameters.interactive)), parameters.maximum_jobs)
