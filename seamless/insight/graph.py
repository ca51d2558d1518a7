"""What can be computed again from what, and what is needed by what. Pure: works on checksums, as bytes.

A buffer is *derivable* if a known, reproducible step gives it whose inputs are stored or derivable themselves, and
this never leads back to the buffer. Removing any derivable buffers loses nothing, in whatever combination.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple


class Edge(NamedTuple):
    """A step: the checksum of its definition, the other buffers it needs, those it gives (the result first)."""

    step: bytes
    needs: frozenset[bytes]
    gives: tuple[bytes, ...]


def derivable(stored: Mapping[bytes, float], steps: Sequence[Edge], trivial: Collection[bytes] = ()) -> set[bytes]:
    """Return the stored buffers that can be computed from the others. `stored`: when each was stored.

    Where buffers can only be computed from one another, the one that was stored first counts as given.
    """
    waiting: dict[bytes, list[int]] = {}
    missing: list[int] = []
    for number, edge in enumerate(steps):
        wanted = {need for need in edge.needs if need not in trivial} | {edge.step}
        missing.append(len(wanted))
        for need in wanted:
            waiting.setdefault(need, []).append(number)
    given = {result for edge in steps for result in edge.gives}
    found: set[bytes] = set()
    available: set[bytes] = set()

    def make_available(first: Iterable[bytes]) -> None:
        pending = list(first)
        while pending:
            name = pending.pop()
            if name in available:
                continue
            available.add(name)
            for number in waiting.get(name, ()):
                missing[number] -= 1
                if missing[number] == 0:
                    new = [result for result in steps[number].gives if result not in available]
                    found.update(new)
                    pending += new

    make_available(name for name in stored if name not in given)
    rest = [(when, name) for name, when in stored.items() if name not in available]
    heapq.heapify(rest)
    while rest:
        _, name = heapq.heappop(rest)
        if name not in available:
            make_available([name])
    return {name for name in found if name in stored}


def needed(
    roots: Iterable[bytes], edges: Mapping[bytes, Edge], members: Callable[[bytes], Iterable[bytes]]
) -> Iterator[bytes]:
    """Yield what the roots need: a step all that it refers to and gives, a deep buffer its members."""
    for root in roots:
        yield root
        edge = edges.get(root)
        if edge is not None:
            yield from edge.needs
            yield from edge.gives
        else:
            yield from members(root)
