"""Worker processes from their start to their end, and after a death, against the pool of the standard library."""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.execution.local import WORKERS, lines, spawned
from benchmarks.execution.quiet import compare
from benchmarks.execution.steps import add
from benchmarks.services.report import Line

_UNLUCKY = """
import os, signal
if not os.path.exists(mark):
    open(mark, 'w').close()
    os.kill(os.getpid(), signal.SIGKILL)
result = 1
"""


def start(place: Path, quick: bool) -> list[Line]:
    """Measure the way from nothing to the first result, and that to the end."""
    from seamless.transformer import direct

    step = direct(add)
    numbers = iter(range(-1_000_000, 0))

    def ours() -> None:
        with spawned(WORKERS):
            step(next(numbers), 1)

    found = compare({"ours": ours, "process pool (fork)": _new_pool}, 1 if quick else 7)
    return lines("start, one step, end", found, 1e3)


def recovery(place: Path, quick: bool) -> list[Line]:
    """Measure a step whose worker is killed once, and that is executed again in another one."""
    from seamless.transformer import direct

    unlucky = direct(_UNLUCKY)
    unlucky.celltypes.mark = "str"

    def killed() -> None:
        with tempfile.TemporaryDirectory(dir=place) as directory:
            unlucky(mark=os.path.join(directory, "mark"))

    with spawned(1):
        found = compare({"ours": killed, "a new process pool": _new_pool}, 1 if quick else 9)
    return lines("killed once, done the second time", found, 1e3)


def _new_pool() -> None:
    with ProcessPoolExecutor(WORKERS) as pool:
        pool.submit(add, 1, 2).result()
