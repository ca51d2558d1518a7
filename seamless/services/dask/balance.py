"""Moves steps that wait at a full worker to one that has room: Dask itself counts threads, not places for steps."""

from __future__ import annotations

from collections import Counter
from typing import Any

PLACE = "S"  # the resource of which every step takes some


def rebalance(scheduler: Any) -> int:
    """Ask workers to give up steps that others could begin; return how many. In the loop of the scheduler.

    A step that has begun stays where it is: equal steps are in no order, so it may well be the last one of a worker.
    """
    stealing = scheduler.extensions.get("stealing")
    if stealing is None:
        return 0
    moved = 0
    room = {worker: _room(worker) for worker in scheduler.workers.values()}
    thieves = [worker for worker in room if worker.status.name == "running" and room[worker][PLACE] > 0]
    for victim in room if thieves else ():
        waiting = [task for task in _steps(victim) if task not in victim.executing]  # as of its last heartbeat
        for task in sorted(waiting, key=lambda each: each.priority or (), reverse=True):
            wanted = task.resource_restrictions
            if task in stealing.in_flight or _is_bound(task) or not any(room[victim][name] < 0 for name in wanted):
                continue
            able = [worker for worker in thieves if all(room[worker][name] >= n for name, n in wanted.items())]
            if not able:
                continue
            thief = max(able, key=lambda worker: room[worker][PLACE])
            stealing.move_task_request(task, victim, thief)
            room[thief].subtract(wanted)
            room[victim].update(wanted)
            moved += 1
    return moved


def _room(worker: Any) -> Counter[str]:
    """Return what a worker has, less what all of its steps take, begun or not: below 0 where some have to wait."""
    room = Counter(worker.resources)
    for task in _steps(worker):
        room.subtract(task.resource_restrictions)
    return room


def _steps(worker: Any) -> list[Any]:
    return [task for task in worker.processing if PLACE in (task.resource_restrictions or ())]


def _is_bound(task: Any) -> bool:
    return bool(task.worker_restrictions or task.host_restrictions)
