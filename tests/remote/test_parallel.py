"""One thing done with many items, in threads."""

from __future__ import annotations

import threading

import pytest

from seamless.remote.parallel import for_each


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_every_item_is_taken_once(count: int) -> None:
    done: list[int] = []
    for_each(done.append, iter(range(count)), 4)
    assert sorted(done) == list(range(count))


def test_items_are_worked_on_at_the_same_time() -> None:
    together = threading.Barrier(3)
    for_each(lambda item: together.wait(10), range(3), 3)


def test_the_first_error_ends_it_and_is_raised() -> None:
    done: list[int] = []

    def action(item: int) -> None:
        if item == 5:
            raise ValueError("five")
        done.append(item)

    with pytest.raises(ValueError, match="five"):
        for_each(action, range(10_000_000), 3)
    assert len(done) < 10_000_000


def test_items_are_not_taken_long_before_their_turn() -> None:
    taken = 0

    def items():
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield taken

    ahead: list[int] = []
    for_each(lambda item: ahead.append(taken - item), items(), 4)
    assert max(ahead) <= 5
