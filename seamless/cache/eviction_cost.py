"""What it would cost to get a buffer back, in arbitrary units: the score by which the cache evicts.

Cost = the dearer of downloading it and of having its inputs, plus the CPU time of recomputing it.
All bookkeeping is bounded: the oldest entries are forgotten.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

from seamless.checksum import Checksum

# profile -> (units per GiB, least units)
DOWNLOAD_PROFILES = {
    "read_buffer": (1.0, 0.0),
    "local_hashserver": (10.0, 0.001),
    "remote_hashserver": (100.0, 0.01),
}
UNITS_PER_CPU_SECOND = 0.1
_GIB = 1024**3
_LIMIT = 100_000


class EvictionCost:
    """Costs of buffers, per checksum. Thread-safe."""

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._profile: OrderedDict[Checksum, str] = OrderedDict()
        self._download: OrderedDict[Checksum, float] = OrderedDict()
        self._cpu_seconds: OrderedDict[Checksum, float] = OrderedDict()
        self._dependencies: OrderedDict[Checksum, tuple[Checksum, ...]] = OrderedDict()
        self._length: OrderedDict[Checksum, int] = OrderedDict()

    def _remember(self, table: OrderedDict, checksum: Checksum, value: object) -> None:  # type: ignore[type-arg]
        with self._lock:
            table[checksum] = value
            table.move_to_end(checksum)
            if len(table) > self._limit:
                table.popitem(last=False)

    def set_download_profile(self, checksum: Checksum, profile: str) -> None:
        """Say where a buffer comes from; without that it is taken for `read_buffer`. Raises ValueError if unknown."""
        if profile not in DOWNLOAD_PROFILES:
            raise ValueError(f"unknown download profile {profile!r}; known: {', '.join(DOWNLOAD_PROFILES)}")
        self._remember(self._profile, checksum, profile)

    def override_download_cost(self, checksum: Checksum, cost: float) -> None:
        """Set the download cost of one buffer (units)."""
        self._remember(self._download, checksum, cost)

    def record_transformation_cost(self, checksum: Checksum, cpu_seconds: float) -> None:
        """Note that computing this buffer took so much CPU time (seconds)."""
        self._remember(self._cpu_seconds, checksum, cpu_seconds)

    def register_dependencies(self, checksum: Checksum, dependencies: Iterable[Checksum]) -> None:
        """Note which buffers are needed to compute this one."""
        self._remember(self._dependencies, checksum, tuple(dependencies))

    def register_buffer_length(self, checksum: Checksum, length: int) -> None:
        """Note the length of a buffer (bytes)."""
        self._remember(self._length, checksum, length)

    def get_cost(self, checksum: Checksum, length: int | None = None) -> float | None:
        """Return the cost (units), or None if the length is unknown."""
        return self._cost(checksum, length, depth=8)

    def _cost(self, checksum: Checksum, length: int | None, depth: int) -> float | None:
        if length is None:
            length = self._length.get(checksum)
        if length is None:
            return None
        per_gib, least = DOWNLOAD_PROFILES[self._profile.get(checksum, "read_buffer")]
        download = self._download.get(checksum, max(least, length / _GIB * per_gib))
        inputs = 0.0
        if depth:
            for dependency in self._dependencies.get(checksum, ()):
                inputs += self._cost(dependency, None, depth - 1) or 0.0
        return max(download, inputs) + self._cpu_seconds.get(checksum, 0.0) * UNITS_PER_CPU_SECOND


_costs = EvictionCost()
set_download_profile = _costs.set_download_profile
override_download_cost = _costs.override_download_cost
record_transformation_cost = _costs.record_transformation_cost
register_dependencies = _costs.register_dependencies
register_buffer_length = _costs.register_buffer_length
get_cost = _costs.get_cost
