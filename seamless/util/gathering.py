"""Small items in groups, large ones alone. Knows nothing of what they are."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeVar

    T = TypeVar("T")


def gathered(
    items: Iterable[T], size_of: Callable[[T], int], is_alone: Callable[[T], bool], *, most: int, most_bytes: int
) -> Iterator[list[T]]:
    """Yield groups; each ends with the item that makes it `most` items or `most_bytes` bytes.

    >>> [*gathered([1, 9, 2, 3, 1], lambda n: n, lambda n: n > 5, most=3, most_bytes=5)]
    [[9], [1, 2, 3], [1]]
    """
    group: list[T] = []
    size = 0
    for item in items:
        if is_alone(item):
            yield [item]
            continue
        group.append(item)
        size += size_of(item)
        if len(group) >= most or size >= most_bytes:
            yield group
            group, size = [], 0
    if group:
        yield group
