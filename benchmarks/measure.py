"""How everything is measured: rivals take turns, the median counts, and a child tells its peak of memory.

Owns `Row`, one line of the table. Imports nothing heavy: the memory of the measuring process would count as a child's.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(sys.executable).parent


@dataclass
class Row:
    """One comparison: `seconds` of the subject against `rival_seconds` of a floor or a peer."""

    subject: str
    seconds: float
    rival: str
    rival_seconds: float
    goal: float | None = None  # the ratio may be at most this
    limit: float | None = None  # and the seconds at most this
    peak_bytes: int | None = None  # of the subject
    peak_limit: int | None = None

    @property
    def ratio(self) -> float:
        return self.seconds / self.rival_seconds

    @property
    def ok(self) -> bool | None:
        """Tell whether all goals are met; None if there are none."""
        verdicts = []
        if self.goal is not None:
            verdicts.append(self.ratio <= self.goal)
        if self.limit is not None:
            verdicts.append(self.seconds <= self.limit)
        if self.peak_limit is not None and self.peak_bytes is not None:
            verdicts.append(self.peak_bytes <= self.peak_limit)
        return all(verdicts) if verdicts else None


def aligned(cells: Sequence[Sequence[str]], right: set[int]) -> str:
    """Return rows of cells, the first of them the heading, as aligned text; `right`: columns of numbers."""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    texts = [
        "  ".join(
            text.rjust(width) if column in right else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    return "\n".join([texts[0], "-" * max(map(len, texts)), *texts[1:]])


def write_json(data: object, where: str | None) -> None:
    """Write data as JSON into a file; `-` is standard output, None nowhere."""
    text = json.dumps(data, indent=2) + "\n"
    if where == "-":
        sys.stdout.write(text)
    elif where:
        Path(where).write_text(text, encoding="utf-8")


def machine() -> dict[str, object]:
    """Return what must be known of this machine to compare numbers."""
    return {"python": platform.python_version(), "machine": platform.machine(), "cpus": os.cpu_count()}


def in_turns(rivals: Mapping[str, Callable[[], object]], runs: int, warmups: int = 1) -> dict[str, float]:
    """Run the rivals one after the other, `runs` rounds; return the median seconds of each."""
    for _ in range(warmups):
        for function in rivals.values():
            function()
    times: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(runs):
        for name, function in rivals.items():
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in times.items()}


def per_call(function: Callable[[int], object], calls: int) -> Callable[[], None]:
    """Return a function that makes `calls` calls, each with another number that was never used before."""
    counter = iter(range(sys.maxsize))

    def run() -> None:
        for _ in range(calls):
            function(next(counter))

    return run


@dataclass
class Child:
    """What a child process has needed."""

    seconds: float
    peak_bytes: int


def run_child(
    argv: Sequence[str | os.PathLike[str]], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Child:
    """Run a command, its output thrown away. Raises CalledProcessError if it fails.

    The peak is at least that of this process, which a child begins as a copy of.
    """
    words = [os.fspath(word) for word in argv]
    start = time.perf_counter()
    process = subprocess.Popen(
        words,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    complaint = process.stderr.read()
    process.stderr.close()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words, stderr=complaint.decode("utf-8", "replace"))
    return Child(seconds, usage.ru_maxrss * 1024)


def script(name: str) -> str:
    """Return the path of a console script of this installation."""
    return str(SCRIPTS / name)
