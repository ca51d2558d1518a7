"""A thousand trivial steps through `parallel`, against a ProcessPoolExecutor of two workers."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.measure import Row, in_turns, per_call
from benchmarks.steps import add

TITLE = "many steps"
WORKERS = 2


def run(place: Path, quick: bool) -> list[Row]:
    from seamless.transformer import delayed, parallel

    count = 200 if quick else 1000
    step = delayed(add)

    def through_parallel(base: int) -> None:
        transformations = parallel(step(base * count + i, 1) for i in range(count))
        failed = [t.exception for t in transformations if t.exception]
        assert not failed, failed[0]

    with ProcessPoolExecutor(WORKERS) as pool:
        times = in_turns(
            {
                "ours": per_call(through_parallel, 1),
                "pool": lambda: list(pool.map(add, range(count), range(count))),
                "bare": lambda: [add(i, 1) for i in range(count)],
            },
            runs=3 if quick else 7,
        )
    return [
        Row(f"{count} steps, parallel", times["ours"], f"ProcessPoolExecutor({WORKERS})", times["pool"], goal=3),
        Row(f"{count} steps, parallel", times["ours"], "bare loop", times["bare"]),
    ]
