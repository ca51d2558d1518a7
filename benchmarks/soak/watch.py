"""What processes and directories take: memory, descriptors, threads, children, files. Reads /proc, changes nothing."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

Sample = dict[str, float]  # by what is measured, such as "hashserver: descriptors"

_SETTLE = 3.0  # seconds in which connections that were closed may disappear on the other side
MEMORY = "MB of memory"
WAL = "MB of the journal of the database"
_SLACK = {MEMORY: 4.0, "descriptors": 2.0, "threads": 2.0}  # that may come on top: connections and pools
_SHARE = {MEMORY: 0.04}
_CEILING = {WAL: 64.0}  # it grows until it is merged into the file, which makes way for a new one


class Growth(NamedTuple):
    """What has become of one measure: its middle values early on and at the end."""

    name: str
    early: float
    late: float
    allowed: float

    @property
    def flat(self) -> bool:
        """Whether it has grown no more than it may."""
        return self.late <= self.allowed


def measure(processes: Mapping[str, int], directories: Mapping[str, Callable[[], float]]) -> Sample:
    """Return a sample: what each process takes with its children, and what each function counts."""
    sample: Sample = {name: count() for name, count in directories.items()}
    others = set(processes.values())
    for name, pid in processes.items():
        pids = [pid, *descendants(pid, without=others)]
        sample[f"{name}: {MEMORY}"] = sum(resident(one) for one in pids)
        sample[f"{name}: descriptors"] = sum(entries(f"/proc/{one}/fd") for one in pids)
        sample[f"{name}: threads"] = sum(entries(f"/proc/{one}/task") for one in pids)
        sample[f"{name}: processes"] = len(pids)
    return sample


def settled(take: Callable[[], Sample], before: Sample | None) -> Sample:
    """Take a sample, again and again until nothing is above the one before it, for a few seconds at most."""
    deadline = time.monotonic() + _SETTLE
    while True:
        sample = take()
        counts = [name for name in sample if not name.endswith(MEMORY)]
        if before is None or all(sample[name] <= before.get(name, 0.0) for name in counts):
            return sample
        if time.monotonic() > deadline:
            return sample
        time.sleep(0.05)


def growth(samples: Sequence[Sample]) -> list[Growth]:
    """Compare the second quarter of the samples with the last one; the first one is for warming up."""
    quarter = len(samples) // 4
    if quarter < 1:
        raise ValueError(f"{len(samples)} samples are too few; at least 4 are needed")
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    found = []
    for name in samples[-1]:
        before = statistics.median(sample[name] for sample in early)
        kind = name.rpartition(": ")[2]
        allowed = _CEILING.get(name, before * (1 + _SHARE.get(kind, 0.0)) + _SLACK.get(kind, 0.0))
        found.append(Growth(name, before, statistics.median(sample[name] for sample in late), allowed))
    return found


def descendants(pid: int, *, without: Collection[int] = ()) -> list[int]:
    """Return the children of a process and theirs, the ended ones that nobody has asked after among them.

    `without`: those that are not meant, with all below them.
    """
    found = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    for task in tasks:
        try:
            children = Path(f"/proc/{pid}/task/{task}/children").read_text().split()
        except OSError:
            continue
        for child in map(int, children):
            if child not in without:
                found += [child, *descendants(child, without=without)]
    return found


def resident(pid: int) -> float:
    """Return the memory of a process in MB, without mapped files; what is shared is divided among those who share."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    sizes = {words[0]: int(words[1]) for line in text.splitlines()[1:] if len(words := line.split()) >= 2}
    return (sizes.get("Pss_Anon:", sizes.get("Anonymous:", 0)) + sizes.get("Pss_Shmem:", 0)) * 1024 / 1e6


def entries(directory: str | os.PathLike[str]) -> int:
    """Return how many entries a directory has; 0 if it is not there."""
    try:
        return len(os.listdir(directory))
    except OSError:
        return 0


def files_below(directory: str | os.PathLike[str]) -> int:
    """Return how many files there are in a directory and all below it."""
    return sum(len(names) for _, _, names in os.walk(directory))


def size_of(path: str | os.PathLike[str]) -> float:
    """Return the size of a file in MB; 0 if it is not there."""
    try:
        return os.stat(path).st_size / 1e6
    except OSError:
        return 0.0
