"""Moves steps that wait at a full worker to one that has room: Dask itself counts threads, not places for steps."""

from __future__ import annotations

from typing import Any

PLACE = "S"  # the resource of which a step takes one


def rebalance(scheduler: Any) -> int:
    """Ask workers to give up steps that others could begin; return how many. In the loop of the scheduler.

    A step that has begun stays where it is: equal steps are in no order, so it may well be the last one of a worker.
    """
    stealing = scheduler.extensions.get("stealing")
    if stealing is None:
        return 0
    moved = 0
    steps = {worker: _steps(worker) for worker in scheduler.workers.values()}
    room = {w: int(w.resources.get(PLACE, 0)) - len(found) for w, found in steps.items() if w.status.name == "running"}
    for victim, tasks in steps.items():
        surplus = len(tasks) - int(victim.resources.get(PLACE, 0))
        waiting = [task for task in tasks if task not in victim.executing]  # as of its last heartbeat
        for task in sorted(waiting, key=lambda each: each.priority or (), reverse=True)[: max(0, surplus)]:
            thief = max(room, key=lambda worker: room[worker], default=None)
            if thief is None or room[thief] < 1:
                return moved
            if task in stealing.in_flight or _is_bound(task):
                continue
            stealing.move_task_request(task, victim, thief)
            room[thief] -= 1
            moved += 1
    return moved


def _steps(worker: Any) -> list[Any]:
    return [task for task in worker.processing if PLACE in (task.resource_restrictions or ())]


def _is_bound(task: Any) -> bool:
    return bool(task.worker_restrictions or task.host_restrictions)
