"""What threads want at the same time is done by one of them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from seamless.util.together import Together

_SECONDS = 60


class Gated:
    """Performs rounds that each wait until they are let go, and notes them."""

    def __init__(self) -> None:
        self.rounds: list[list[Any]] = []
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)

    def __call__(self, items: list[Any]) -> list[Any]:
        self.rounds.append(items)
        self.begun.release()
        assert self.go.acquire(timeout=_SECONDS)
        return [item * 10 if isinstance(item, int) else item for item in items]


def gathered(together: Together, gated: Gated, pool: ThreadPoolExecutor, items: list[Any]) -> list[Any]:
    """Have the first item done alone, and the others wait meanwhile; return their futures."""
    futures = [pool.submit(together.do, items[0])]
    assert gated.begun.acquire(timeout=_SECONDS)
    for number, item in enumerate(items[1:], 1):
        futures.append(pool.submit(together.do, item))
        while len(together._waiting) < number:
            assert not futures[-1].done()
    return futures


def test_one_alone_is_done_at_once() -> None:
    assert Together(lambda items: [item + 1 for item in items], most=9).do(1) == 2


def test_those_that_come_during_a_round_share_the_next_one() -> None:
    gated = Gated()
    together = Together(gated, most=9)
    with ThreadPoolExecutor(5) as pool:
        futures = gathered(together, gated, pool, [1, 2, 3, 4, 5])
        gated.go.release(2)
        assert [future.result(_SECONDS) for future in futures] == [10, 20, 30, 40, 50]
    assert gated.rounds == [[1], [2, 3, 4, 5]]


def test_no_round_is_larger_than_it_may_be() -> None:
    gated = Gated()
    together = Together(gated, most=2)
    with ThreadPoolExecutor(6) as pool:
        futures = gathered(together, gated, pool, [1, 2, 3, 4, 5, 6])
        gated.go.release(4)
        assert [future.result(_SECONDS) for future in futures] == [10, 20, 30, 40, 50, 60]
    assert [len(items) for items in gated.rounds] == [1, 2, 2, 1]


def test_as_many_rounds_are_under_way_as_may_be() -> None:
    gated = Gated()
    together = Together(gated, most=9, rounds=2)
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(together.do, item) for item in (1, 2)]
        assert gated.begun.acquire(timeout=_SECONDS) and gated.begun.acquire(timeout=_SECONDS)
        gated.go.release(2)
        assert [future.result(_SECONDS) for future in futures] == [10, 20]


def test_an_exception_among_the_answers_is_raised_to_whom_it_belongs() -> None:
    gated = Gated()
    together = Together(gated, most=9)
    with ThreadPoolExecutor(3) as pool:
        first, good, bad = gathered(together, gated, pool, [1, 2, ValueError("three")])
        gated.go.release(2)
        assert (first.result(_SECONDS), good.result(_SECONDS)) == (10, 20)
        with pytest.raises(ValueError, match="three"):
            bad.result(_SECONDS)


def test_what_a_round_raises_is_raised_to_all_of_it_and_to_nobody_else() -> None:
    calls = threading.Semaphore(0), threading.Semaphore(0)

    def perform(items: list[int]) -> list[int]:
        calls[0].release()
        assert calls[1].acquire(timeout=_SECONDS)
        if 2 in items:
            raise OSError("no way")
        return items

    together = Together(perform, most=9)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(together.do, 1)
        assert calls[0].acquire(timeout=_SECONDS)
        others = [pool.submit(together.do, item) for item in (2, 3)]
        while len(together._waiting) < 2:
            assert not any(future.done() for future in others)
        calls[1].release(2)
        assert first.result(_SECONDS) == 1
        for future in others:
            with pytest.raises(OSError, match="no way"):
                future.result(_SECONDS)
    calls[1].release()
    assert together.do(4) == 4


def test_when_the_one_that_works_is_interrupted_the_others_are_served() -> None:
    begun, go = threading.Event(), threading.Event()

    def perform(items: list[int]) -> list[int]:
        if items == [1]:
            begun.set()
            assert go.wait(_SECONDS)
            raise KeyboardInterrupt
        return items

    together = Together(perform, most=9)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(together.do, 1)
        assert begun.wait(_SECONDS)
        others = [pool.submit(together.do, item) for item in (2, 3)]
        while len(together._waiting) < 2:
            assert not any(future.done() for future in others)
        go.set()
        with pytest.raises(KeyboardInterrupt):
            first.result(_SECONDS)
        assert [future.result(_SECONDS) for future in others] == [2, 3]
