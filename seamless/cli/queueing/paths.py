"""Which steps touch which files: the index by which one step is found to need what another one makes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class PathIndex:
    """Absolute paths, each with a number: the latest one that was added for it.

    Two paths touch if they are the same, or one is a directory above the other.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._below: dict[str, set[str]] = {}

    def add(self, path: str, number: int) -> None:
        """Add a path, or give it another number."""
        if path not in self._numbers:
            for parent in parents(path):
                self._below.setdefault(parent, set()).add(path)
        self._numbers[path] = number

    def remove(self, path: str) -> None:
        """Take a path out, if it is there."""
        if self._numbers.pop(path, None) is not None:
            for parent in parents(path):
                self._below[parent].discard(path)

    def touching(self, paths: Iterable[str]) -> set[int]:
        """Return the numbers of the paths that touch any of these."""
        return {self._numbers[other] for path in paths for other in self.touched(path)}

    def touched(self, path: str) -> list[str]:
        """Return the paths that touch this one."""
        found = [other for other in (path, *parents(path)) if other in self._numbers]
        return found + sorted(self._below.get(path, ()))

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)


def parents(path: str) -> list[str]:
    """Return the directories above an absolute path, the nearest first.

    >>> parents("/a/b/c")
    ['/a/b', '/a', '/']
    """
    found = []
    while (parent := os.path.dirname(path)) != path:
        found.append(parent)
        path = parent
    return found
