"""The nearest relatives of a step: the cached transformations that differ from it in the fewest things."""

from __future__ import annotations

from typing import NamedTuple

from seamless.checksum import Checksum
from seamless.insight.definition import Definition, definition_of, features_of
from seamless.insight.differences import Difference, Read, count_differences, differences, likeness
from seamless.insight.place import connect, read_buffer, rows
from seamless.insight.sidecar import Sidecar
from seamless.stores.directory import BufferDirectory

_EXAMINED = 60  # candidates whose definitions are read
LONGEST = 1 << 20  # bytes of a buffer that is read to be compared

_Ranked = tuple[int, bool, int, str, Definition]  # differences, other code, age, checksum, definition


class Relative(NamedTuple):
    """A cached transformation, its result (hex), and what differs from the step that is explained."""

    checksum: str
    result: str
    differences: list[Difference]


def nearest(sidecar: Sidecar, checksum: str, definition: Definition, read: Read, limit: int = 1) -> list[Relative]:
    """Return the cached transformations nearest to a step, at most `limit`, the nearest first. `read` gives buffers.

    Fewest differences first; then those with the same code, with similar code, and the latest.
    """
    buffers = sidecar.place.open_buffers()
    names = [name for name in sidecar.candidates(features_of(definition), _EXAMINED + 1) if name != checksum]
    results = _results(sidecar, names)
    ranked = []
    for age, name in enumerate(names):
        data = read_buffer(buffers, name) if name in results else None
        other = definition_of(data) if data is not None else None
        if other is None:
            continue
        same_code = other.pins.get("code") == definition.pins.get("code")
        ranked.append((count_differences(other, definition), not same_code, age, name, other))
    ranked.sort(key=lambda item: item[:3])

    best = _by_code(ranked, definition, read)[:limit]
    return [Relative(name, results[name], differences(other, definition, read)) for name, other in best]


def _by_code(ranked: list[_Ranked], definition: Definition, read: Read) -> list[tuple[str, Definition]]:
    """Return (hex, definition); of those that are equally near, the ones with similar code first."""
    own = _code(definition, read)

    def key(item: _Ranked) -> tuple[int, bool, float, int]:
        count, other_code, age, _, other = item
        alike = likeness(_code(other, read), own) if other_code else 1.0
        return count, other_code, -round(alike, 2), age

    head = sorted(ranked[:12], key=key)
    return [(item[3], item[4]) for item in head + ranked[12:]]


def _code(definition: Definition, read: Read) -> bytes:
    pin = definition.pins.get("code")
    data = read(pin.checksum) if pin is not None and pin.checksum is not None else None
    return data or b""


def _results(sidecar: Sidecar, names: list[str]) -> dict[str, str]:
    """Return the results of those that still have one."""
    if not names:
        return {}
    query = f"SELECT checksum, result FROM transformation WHERE checksum IN ({','.join('?' * len(names))})"
    with connect(sidecar.place) as database:
        return dict(rows(database, query, tuple(names), checksums=slice(2)))


def read_limited(buffers: BufferDirectory, checksum: str, limit: int) -> bytes | None:
    """Return the verified bytes of a buffer; None if it is absent, damaged or longer than `limit` bytes."""
    length = buffers.length(Checksum(checksum))
    return read_buffer(buffers, checksum) if length is not None and length <= limit else None
