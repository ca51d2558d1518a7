"""Doing one thing with many items, a few at a time, in threads. Items are taken one by one, when there is room."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Generic, TypeVar

from seamless.session import session
from seamless.util.thread_pool import ThreadPool

T = TypeVar("T")

_pool = ThreadPool(32)  # kept: starting threads costs more than a request
session.on_close.append(_pool.end_idle)


def for_each(action: Callable[[T], object], items: Iterable[T], threads: int) -> None:
    """Run `action` for every item; the first error ends it, once what is under way is done, and is raised."""
    iterator = iter(items)
    first = list(islice(iterator, 2))
    if len(first) < 2:
        for item in first:
            action(item)
        return
    _Work(action, first, iterator).run(threads)


class _Work(Generic[T]):
    """The items that are left, and how many threads are at it."""

    def __init__(self, action: Callable[[T], object], first: list[T], others: Iterable[T]) -> None:
        self._action, self._first, self._others = action, first, iter(others)
        self._condition = threading.Condition()
        self._helping = 0
        self._over = False
        self._errors: list[BaseException] = []

    def run(self, threads: int) -> None:
        """Do everything, with the help of as many threads less one as are free. Raises the first error."""
        for _ in range(threads - 1):
            _pool.submit(self._help)
        try:
            self._work()
        finally:
            with self._condition:
                self._over = True  # who has not begun by now is not needed
                while self._helping:
                    self._condition.wait()
        if self._errors:
            raise self._errors[0]

    def _help(self) -> None:
        with self._condition:
            if self._over:
                return
            self._helping += 1
        try:
            self._work()
        finally:
            with self._condition:
                self._helping -= 1
                self._condition.notify_all()

    def _take(self) -> list[T]:
        with self._condition:
            if self._errors:
                return []
            return [self._first.pop(0)] if self._first else list(islice(self._others, 1))

    def _work(self) -> None:
        try:
            while item := self._take():
                self._action(item[0])
        except BaseException as exc:  # noqa: BLE001  the main loop of a thread; raised by `run`
            self._errors.append(exc)
