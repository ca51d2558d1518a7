"""A large array on its way to a worker and back, against pickle through the pipes of a process pool."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor

from benchmarks.measure import Row, in_turns, per_call
from benchmarks.workers.steps import first, make


def run(quick: bool) -> list[Row]:
    """Measure input, the same input again, and result."""
    import numpy

    from seamless.transformer import direct, shutdown_workers, spawn

    size = 100_000 if quick else 20_000_000
    label = f"{size * 8 // 1_000_000 or 1} MB array"
    takes, makes = direct(first), direct(make)
    again = direct("float(array[i % 10])")
    again.celltypes.array, again.celltypes.i = "mixed", "int"
    same = numpy.full(size, 0.5)

    def fresh(number: int) -> numpy.ndarray:  # type: ignore[type-arg]
        same[0] = number
        return same

    spawn(1)
    try:
        with ProcessPoolExecutor(1) as pool:
            times = in_turns(
                {
                    "in": per_call(lambda i: takes(fresh(i)), 1),
                    "in, pickled": per_call(lambda i: pool.submit(first, fresh(i)).result(), 1),
                    "again": per_call(lambda i: again(array=same, i=i), 1),
                    "out": per_call(lambda i: makes(size, float(i)), 1),
                    "out, pickled": per_call(lambda i: pool.submit(make, size, float(i)).result(), 1),
                },
                runs=2 if quick else 5,
            )
        memory = _leftovers()
    finally:
        shutdown_workers()
    assert not memory, memory
    return [
        Row(f"{label}, input", times["in"], "pickle, pipe", times["in, pickled"], goal=1),
        Row(f"{label}, the same input again", times["again"], "pickle, pipe", times["in, pickled"], goal=1),
        Row(f"{label}, result", times["out"], "pickle, pipe", times["out, pickled"], goal=1),
    ]


def _leftovers() -> list[str]:
    """Return the names in shared memory that are ours: there must be none, even while the pool lives."""
    return [name for name in os.listdir("/dev/shm") if "seamless" in name]
