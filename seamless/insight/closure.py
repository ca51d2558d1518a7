"""What belongs to some results: the steps that gave them, all inputs of these, and so on up to what no step has given.

Works on any stores, also on services. Reads definitions and deep buffers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from seamless.cache.protocols import BufferStore, ResultStore
from seamless.checksum import Checksum
from seamless.checksum.calculate_checksum import TRIVIAL_CHECKSUMS
from seamless.errors import BufferCorruptionError, UsageError
from seamless.insight.definition import Definition, definition_of, members_of

_LONGEST_DEFINITION = 1 << 24  # bytes

Notify = Callable[[int], object]
Origins = Callable[[Checksum], "list[Checksum]"]  # the steps that give a buffer, as their result or a part of it


@dataclass
class Closure:
    """Steps with their results and records, and the buffers; checksums as hex, in the order in which they were found.

    `missing`: buffers that belong to it but are not stored (a scratch result, or one that was removed).
    """

    roots: list[str] = field(default_factory=list)
    steps: dict[str, str] = field(default_factory=dict)
    records: dict[str, Any] = field(default_factory=dict)
    buffers: dict[str, int] = field(default_factory=dict)  # with the lengths
    missing: list[str] = field(default_factory=list)


class _Collector:
    """Gathers a closure, one buffer after the other."""

    def __init__(self, buffers: BufferStore, results: ResultStore, history: bool, origins: Origins, notify: Notify):
        self.found = Closure()
        self._buffers, self._results, self._history = buffers, results, history
        self._origins, self._notify = origins, notify
        self._pending: list[str] = []
        self._seen: set[str] = set()

    def add_root(self, name: str) -> None:
        """Add what a root stands for: a step, or a buffer with the steps that give it."""
        self.found.roots.append(name)
        definition = self._definition(name)
        if definition is not None:
            result = self._results.get_result(Checksum(name))
            if result is None:
                raise UsageError(f"the transformation {name} has no result in {self._results.name}: run it first")
            self._add_step(name, definition, result.hex())
        else:
            self._add_buffer(name, False)
            self._add_origin(name)
            # Without a step that tells, only its content can say whether it names others.
            self._add_members(name)
        self._follow()

    def _follow(self) -> None:
        while self._pending:
            self._add_origin(self._pending.pop())

    def _add_origin(self, name: str) -> None:
        for step in self._origins(Checksum(name)):
            hexsum = step.hex()
            result = None if hexsum in self.found.steps else self._results.get_result(step)
            definition = None if result is None else self._definition(hexsum)
            if result is not None and definition is not None:
                self._add_step(hexsum, definition, result.hex())
                return  # one way to compute it is enough

    def _add_step(self, name: str, definition: Definition, result: str) -> None:
        if name in self.found.steps:
            return
        self.found.steps[name] = result
        record = self._results.get_record(Checksum(name))
        if record:
            self.found.records[name] = record
        self._add_buffer(name, False)
        self._add_buffer(result, definition.deep_result)
        for need, deep in definition.references():
            for buffer in self._add_buffer(need, deep):
                if self._history:
                    self._pending.append(buffer)

    def _add_buffer(self, name: str, deep: bool) -> list[str]:
        """Add a buffer, and its members if it is deep; return what was new."""
        new = []
        if name not in self._seen:
            self._seen.add(name)
            new.append(name)
            length = self._buffers.length(Checksum(name))
            if length is None and name not in TRIVIAL_CHECKSUMS:
                self.found.missing.append(name)
            elif length is not None:
                self.found.buffers[name] = length
                self._notify(1)
        return new + (self._add_members(name) if deep else [])

    def _add_members(self, name: str) -> list[str]:
        data = self._read(name)
        new: list[str] = []
        for member in members_of(data) if data is not None else ():
            new += self._add_buffer(member, False)
        return new

    def _definition(self, name: str) -> Definition | None:
        data = self._read(name)
        return definition_of(data) if data is not None else None

    def _read(self, name: str) -> bytes | None:
        length = self._buffers.length(Checksum(name))
        if length is None or length > _LONGEST_DEFINITION:
            return None
        try:
            return self._buffers.get(Checksum(name))
        except BufferCorruptionError:
            return None


def closure(
    roots: Iterable[Checksum],
    buffers: BufferStore,
    results: ResultStore,
    *,
    history: bool = True,
    origins: Origins | None = None,
    notify: Notify = lambda n: None,
) -> Closure:
    """Return what belongs to the roots (transformations, results, or other buffers).

    `history`: also the steps that gave the inputs, and so on. `origins`: how these are found
    (default: as `results` knows them, by whole results only). Raises UsageError for an unknown root, StoreError.
    """
    collector = _Collector(buffers, results, history, origins or results.get_transformations, notify)
    for root in roots:
        collector.add_root(root.hex())
    found = collector.found
    lost = [root for root in found.roots if root in found.missing and root not in found.steps.values()]
    if lost:
        raise UsageError(f"{lost[0]} is neither stored in {buffers.name} nor a known result in {results.name}")
    return found
