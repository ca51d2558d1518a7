"""Doing one thing with many items, a few at a time, in threads. Items are taken one by one, when there is room."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def for_each(action: Callable[[T], object], items: Iterable[T], threads: int) -> None:
    """Run `action` for every item; the first error ends it, once what is under way is done, and is raised."""
    iterator = iter(items)
    first = list(islice(iterator, 2))
    if len(first) < 2:
        for item in first:
            action(item)
        return
    lock = threading.Lock()
    errors: list[BaseException] = []

    def take() -> list[T]:
        with lock:
            if errors:
                return []
            return [first.pop(0)] if first else list(islice(iterator, 1))

    def work() -> None:
        try:
            while item := take():
                action(item[0])
        except BaseException as exc:  # noqa: BLE001  the main loop of a thread; raised below
            errors.append(exc)

    others = [threading.Thread(target=work, daemon=True) for _ in range(threads - 1)]
    for thread in others:
        thread.start()
    work()
    for thread in others:
        thread.join()
    if errors:
        raise errors[0]
