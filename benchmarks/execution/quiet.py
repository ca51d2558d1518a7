"""Segments of measurement that nobody else has disturbed: wall time, own CPU time, and the share of other programs."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

QUIET = 0.1  # of one processor: what other programs may use in a segment that counts
_LEAST = 3  # quiet segments, else all count
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Measured:
    """The medians of one rival; `segments` of them counted."""

    seconds: float
    cpu_seconds: float
    segments: int
    quiet: bool


def compare(
    rivals: Mapping[str, Callable[[], object]], rounds: int, services: Sequence[int] = ()
) -> dict[str, Measured]:
    """Let the rivals take turns, once to get warm and then `rounds` times; return the medians of each.

    `services`: processes that work for this one without descending from it.
    """
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in rivals}
    for turn in range(rounds + 1):
        for name, function in rivals.items():
            segment = _segment(function, services)
            if turn:
                found[name].append(segment)
    return {name: _median(segments) for name, segments in found.items()}


def _segment(function: Callable[[], object], services: Sequence[int]) -> tuple[float, float, float]:
    """Return seconds, CPU seconds of this program, and the share of a processor that others have used."""
    own, machine, start = tree_seconds(services), machine_seconds(), time.perf_counter()
    function()
    seconds = time.perf_counter() - start
    cpu = tree_seconds(services) - own
    others = machine_seconds() - machine - cpu
    return seconds, cpu, others / max(seconds, 1 / _TICK)


def _median(segments: list[tuple[float, float, float]]) -> Measured:
    quiet = [segment for segment in segments if segment[2] < QUIET]
    enough = len(quiet) >= min(_LEAST, len(segments))
    counted = quiet if enough else segments
    return Measured(
        statistics.median(seconds for seconds, _, _ in counted),
        statistics.median(cpu for _, cpu, _ in counted),
        len(counted),
        enough,
    )


def machine_seconds() -> float:
    """Return the CPU time that everybody has used since the boot, without waiting and idling."""
    user, nice, system, _, _, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:])
    return (user + nice + system + irq + softirq) / _TICK


def tree_seconds(services: Sequence[int] = ()) -> float:
    """Return the CPU time of this process and of others, and of all that descend from them, ended ones included."""
    children: dict[int, list[int]] = {}
    ticks: dict[int, int] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        children.setdefault(int(fields[1]), []).append(int(name))
        ticks[int(name)] = sum(map(int, fields[11:15]))
    total, waiting = 0, [os.getpid(), *services]
    while waiting:
        pid = waiting.pop()
        total += ticks.get(pid, 0)
        waiting += children.get(pid, ())
    return total / _TICK
