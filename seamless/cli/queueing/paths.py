"""Which steps touch which files: the index by which one step is found to need what another one makes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class PathIndex:
    """Absolute paths and the numbers of the steps that do something with them.

    Two paths touch if they are the same, or one is a directory above the other.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, set[int]] = {}
        self._below: dict[str, set[str]] = {}

    def add(self, path: str, number: int) -> None:
        """Add the number of one more step to a path."""
        if path not in self._numbers:
            self._numbers[path] = set()
            for parent in parents(path):
                self._below.setdefault(parent, set()).add(path)
        self._numbers[path].add(number)

    def replace(self, path: str, number: int) -> None:
        """Let this number be the only one of a path."""
        self.add(path, number)
        self._numbers[path] = {number}

    def touching(self, paths: Iterable[str]) -> set[int]:
        """Return the numbers of all paths that touch any of these."""
        found: set[int] = set()
        for path in paths:
            for other in (path, *parents(path), *self._below.get(path, ())):
                found |= self._numbers.get(other, set())
        return found

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
