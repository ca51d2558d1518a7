"""Which steps touch which files: the index by which one step is found to need what another one makes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from seamless.cli.commandline.results import is_pattern, matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class PathIndex:
    """Absolute paths and the numbers of the steps that do something with them.

    Two paths touch if they are the same, or one is a directory above the other. One whose last part has wildcards, as
    the name of a capture may, stands for all that it matches.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, set[int]] = {}
        self._below: dict[str, set[str]] = {}
        self._patterns: set[str] = set()

    def add(self, path: str, number: int) -> None:
        """Add the number of one more step to a path."""
        if path not in self._numbers:
            self._numbers[path] = set()
            for parent in parents(path):
                self._below.setdefault(parent, set()).add(path)
            if is_pattern(os.path.basename(path)):
                self._patterns.add(path)
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
            for other in self._matched(path):
                found |= self._numbers[other]
        return found

    def _matched(self, path: str) -> Iterator[str]:
        """Yield the paths that match `path`, or that it matches, by wildcards in either."""
        for pattern in self._patterns:
            if any(overlap(other, pattern) for other in (path, *parents(path))):
                yield pattern
        directory, last = os.path.split(path)
        if is_pattern(last):
            for other in self._below.get(directory, ()):
                first = other[len(directory.rstrip("/")) + 1 :].partition("/")[0]
                if matches(first, last):
                    yield other

    def __contains__(self, path: object) -> bool:
        return path in self._numbers

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)


def overlap(path: str, pattern: str) -> bool:
    """Tell whether some path matches both; only the last part of either may have wildcards (`*`, `?`).

    >>> overlap("/a/x.csv", "/a/*.csv"), overlap("/a/x*", "/a/*.csv"), overlap("/a/x*.txt", "/a/*.csv")
    (True, True, False)
    """
    (directory, last), (other, wildcards) = os.path.split(path), os.path.split(pattern)
    if directory != other:
        return False
    return _both_match(last, wildcards) if is_pattern(last) else matches(last, wildcards)


def _both_match(one: str, two: str) -> bool:
    """Tell whether some text matches both patterns."""
    reached = [[False] * (len(two) + 1) for _ in range(len(one) + 1)]  # by the beginnings of these lengths
    reached[0][0] = True
    for i in range(len(one) + 1):
        for j in range(len(two) + 1):
            if i and one[i - 1] == "*":
                reached[i][j] |= reached[i - 1][j] or (j > 0 and reached[i][j - 1])
            if j and two[j - 1] == "*":
                reached[i][j] |= reached[i][j - 1] or (i > 0 and reached[i - 1][j])
            if i and j and (one[i - 1] == two[j - 1] or "?" in (one[i - 1], two[j - 1])):
                reached[i][j] |= reached[i - 1][j - 1]
    return reached[-1][-1]


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
