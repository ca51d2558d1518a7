"""Steps that wait at a full worker go to one that has room; with a scheduler that is none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from seamless.services.dask.balance import rebalance


class Hashable(SimpleNamespace):
    """A namespace that can be a key."""

    __hash__ = object.__hash__  # type: ignore[assignment]


def task(number: int, resources: dict[str, float] | None = None) -> Any:
    return Hashable(key=f"base-{number}", priority=(number,), resource_restrictions=resources or {"S": 1},
                    worker_restrictions=None, host_restrictions=None)  # fmt: skip


def moves(*workers: tuple[int, list[Any]], begun: tuple[Any, ...] = (), gpus: int = 0) -> list[tuple[str, int, int]]:
    """Return what is moved between workers, each with so many places and these tasks: key, from, to.

    `gpus`: of each of them.
    """
    made = {
        i: Hashable(
            resources={"S": places, "GPU": gpus} if gpus else {"S": places},
            processing=tasks,
            executing={each: 1.0 for each in begun if each in tasks},
            status=SimpleNamespace(name="running"),
            number=i,
        )
        for i, (places, tasks) in enumerate(workers)
    }
    found: list[tuple[str, int, int]] = []
    stealing = SimpleNamespace(
        in_flight={}, move_task_request=lambda ts, victim, thief: found.append((ts.key, victim.number, thief.number))
    )
    rebalance(SimpleNamespace(extensions={"stealing": stealing}, workers=made))
    return found


def test_what_exceeds_the_places_of_a_worker_goes_to_an_idle_one() -> None:
    assert moves((1, [task(1), task(2)]), (1, [])) == [("base-2", 0, 1)]


def test_what_has_begun_stays_and_another_one_goes_although_it_came_first() -> None:
    first, last = task(1), task(2)
    assert moves((1, [first, last]), (1, []), begun=(last,)) == [("base-1", 0, 1)]
    assert moves((1, [first, last]), (1, []), begun=(first, last)) == []


def test_nothing_is_moved_when_all_are_full_or_none_is() -> None:
    assert moves((1, [task(1), task(2)]), (1, [task(3)])) == []
    assert moves((2, [task(1), task(2)]), (2, [])) == []


def test_tasks_that_take_no_place_are_left_alone() -> None:
    assert moves((1, [task(1), task(2, {"GPU": 1})]), (1, [])) == []


def test_a_step_that_takes_several_places_goes_where_there_are_as_many() -> None:
    large = task(3, {"S": 2})
    assert moves((2, [task(1), task(2), large]), (2, [task(4)]), (2, [])) == [("base-3", 0, 2)]
    assert moves((2, [task(1), task(2), large]), (2, [task(4)])) == [("base-2", 0, 1)]


def test_a_step_that_waits_for_a_resource_goes_where_it_is_free_though_there_are_places() -> None:
    both = [task(1, {"S": 1, "GPU": 1}), task(2, {"S": 1, "GPU": 1})]
    assert moves((4, both), (4, []), gpus=1) == [("base-2", 0, 1)]
    assert moves((4, both), (4, [task(3, {"S": 1, "GPU": 1})]), gpus=1) == []
