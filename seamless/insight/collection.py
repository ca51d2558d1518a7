"""What may be removed from a store, and removing it: by size, age and need, derivable buffers only unless told.

A plan changes nothing. Results stay known when their buffers go: like those of scratch steps they are computed again
when somebody needs them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from time import time
from typing import Any, Literal

from seamless.checksum import Checksum
from seamless.checksum.calculate_checksum import TRIVIAL_CHECKSUMS
from seamless.errors import StoreError
from seamless.insight.graph import Edge, derivable, needed
from seamless.insight.inventory import Inventory, Item, is_unused, take_inventory
from seamless.insight.pinned import pinned_roots
from seamless.insight.place import Place, all_results, irreproducible_steps
from seamless.insight.sidecar import Sidecar
from seamless.stores.claims import DIRECTORY as RUNNING
from seamless.stores.claims import FileClaims
from seamless.stores.layout import Layout

KINDS = ("result", "input", "definition", "other")
GRACE = 3600.0  # seconds
_TRIVIAL = frozenset(map(bytes.fromhex, TRIVIAL_CHECKSUMS))
_BATCH = 500  # buffers between two looks at what is being executed

Notify = Callable[[int], object]


@dataclass(frozen=True)
class Criteria:
    """What is to go. All that are given must hold; `max_size` ends the removal as soon as it is reached."""

    max_size: int | None = None  # bytes that may stay
    older_than: float | None = None  # seconds since the last use
    larger_than: int | None = None  # bytes
    unreachable: Literal["results", "pins"] | None = None  # not needed by any of these
    irreplaceable: bool = False  # also what cannot be computed again
    grace: float = GRACE  # seconds since the last use in which nothing is touched


@dataclass
class Count:
    """Buffers of one kind: all, and those that go."""

    buffers: int = 0
    size: int = 0
    go: int = 0
    freed: int = 0


@dataclass
class Plan:
    """What would be removed from a place, the first to go first."""

    place: Place
    inventory: Inventory
    going: list[bytes]
    kinds: dict[str, Count]
    withheld: Count  # what would go, too, with `irreplaceable`
    pinned: int  # buffers that stay only because they are pinned, or needed by what is executed now
    size: int  # bytes before
    limit: int | None
    unknown: int  # results of steps whose definitions are not stored

    @property
    def freed(self) -> int:
        """Bytes that would be freed."""
        return sum(count.freed for count in self.kinds.values())

    def as_dict(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "store": self.place.label,
            "buffers": self.place.buffers,
            "size": self.size,
            "limit": self.limit,
            "freed": self.freed,
            "kinds": {kind: dict(vars(count)) for kind, count in self.kinds.items()},
            "withheld": {"buffers": self.withheld.go, "size": self.withheld.freed},
            "protected": self.pinned,
            "unknown_definitions": self.unknown,
        }


@dataclass
class Removal:
    """What has been removed, what was used meanwhile and stays, and what could not be removed."""

    removed: int = 0
    freed: int = 0
    used: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass
class _Known:
    """What the database and the index tell about the buffers of a place."""

    edges: dict[bytes, Edge]
    reproducible: list[Edge]
    unknown: int


def plan(sidecar: Sidecar, criteria: Criteria, notify: Notify = lambda n: None) -> Plan:
    """Return what would go by these criteria. The index must be up to date. Raises StoreError, UsageError."""
    place = sidecar.place
    known = _known(sidecar)
    inventory = take_inventory(place, notify)
    items = inventory.items
    replaceable = derivable({name: item.stored for name, item in items.items()}, known.reproducible, _TRIVIAL)
    kinds = _kinds(items, known.edges.values())
    protected = set(needed(_roots(place), known.edges, lambda name: sidecar.members(name) or ()))
    selected = _selected(items, criteria, _reached(known, protected, criteria))
    size = inventory.size
    result = Plan(
        place, inventory, [], {kind: Count() for kind in KINDS}, Count(), 0, size, criteria.max_size, known.unknown
    )
    for name, item in items.items():
        count = result.kinds[kinds.get(name, "other")]
        count.buffers, count.size = count.buffers + 1, count.size + item.size
    excess = None if criteria.max_size is None else size - criteria.max_size
    for name in selected:
        item = items[name]
        if name in protected:
            result.pinned += 1
        elif excess is not None and result.freed >= excess:
            break
        elif name in replaceable or criteria.irreplaceable:
            count = result.kinds[kinds.get(name, "other")]
            count.go, count.freed = count.go + 1, count.freed + item.size
            result.going.append(name)
        else:
            result.withheld.go += 1
            result.withheld.freed += item.size
    return result


def remove(sidecar: Sidecar, plan: Plan, notify: Notify = lambda n: None) -> Removal:
    """Remove what the plan says, except what is used meanwhile. Other programs may use the store all the time."""
    place, items = plan.place, plan.inventory.items
    buffers = place.open_buffers(writable=True)
    layout = Layout(place.buffers, create=False)
    edges: dict[bytes, Edge] | None = None
    done = Removal()
    for start in range(0, len(plan.going), _BATCH):
        batch, gone = plan.going[start : start + _BATCH], []
        busy = list(running_steps(place))
        if busy and edges is None:
            edges = _known(sidecar).edges
        protected = set(needed(busy, edges or {}, lambda name: sidecar.members(name) or ()))
        for name in batch:
            if name in protected or not is_unused(layout, name.hex(), items[name]):
                done.used += 1
                continue
            try:
                if buffers.remove(Checksum(name)):
                    gone.append(name)
                    done.removed += 1
                    done.freed += items[name].size
            except StoreError as exc:
                done.problems.append(str(exc))
        sidecar.note_removed(gone, time())
        notify(len(batch))
    return done


def running_steps(place: Place) -> Iterator[bytes]:
    """Yield the transformations that are executed now, as far as the locks of the store tell."""
    try:
        names = os.listdir(place.file(RUNNING))
    except OSError:
        return
    claims = FileClaims(place.results, writable=False)
    for name in names:
        hexsum = name.removesuffix(".lock")
        if len(hexsum) == 64 and claims.running(hexsum) is not None:
            yield bytes.fromhex(hexsum)


def _known(sidecar: Sidecar) -> _Known:
    results = {bytes.fromhex(name): bytes.fromhex(result) for name, result in all_results(sidecar.place).items()}
    bad = {bytes.fromhex(name) for name in irreproducible_steps(sidecar.place)}
    found = _Known({}, [], 0)
    with sidecar.transaction():
        for step in list(sidecar.steps()):
            result = results.get(step.checksum)
            if result is None:
                continue
            needs, complete = set(step.needs), True
            for index in step.deep:
                members = sidecar.members(index)
                complete = complete and members is not None
                needs.update(members or ())
            gives = (result, *(sidecar.members(result) or ())) if step.deep_result else (result,)
            edge = Edge(step.checksum, frozenset(needs), gives)
            found.edges[step.checksum] = edge
            if complete and step.checksum not in bad:
                found.reproducible.append(edge)
    found.unknown = len(results) - len(found.edges)
    return found


def _roots(place: Place) -> list[bytes]:
    return [*map(bytes.fromhex, pinned_roots(place)), *running_steps(place)]


def _kinds(items: dict[bytes, Item], edges: Iterable[Edge]) -> dict[bytes, str]:
    kinds: dict[bytes, str] = {}
    for edge in edges:
        kinds[edge.step] = "definition"
        for name in edge.needs:
            kinds.setdefault(name, "input")
    for edge in edges:
        for name in edge.gives:
            kinds[name] = "result"
    return kinds


def _reached(known: _Known, protected: set[bytes], criteria: Criteria) -> set[bytes]:
    """Return what is needed by results or pinned roots, as the criteria ask."""
    if criteria.unreachable is None:
        return set()
    reached = set(protected)
    if criteria.unreachable == "results":
        for edge in known.edges.values():
            reached.add(edge.step)
            reached.update(edge.needs, edge.gives)
    return reached


def _selected(items: dict[bytes, Item], criteria: Criteria, reached: set[bytes]) -> list[bytes]:
    """Return the buffers that the criteria mean, the longest unused first."""
    now = time()
    before = now - max(criteria.grace, criteria.older_than or 0)
    smallest = criteria.larger_than or 0
    names = [n for n, item in items.items() if item.used <= before and item.size >= smallest and n not in reached]
    return sorted(names, key=lambda name: (items[name].used, -items[name].size))
