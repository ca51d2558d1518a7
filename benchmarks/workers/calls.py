"""Start-up, one trivial call at a time, and a thousand at once, against the process pool of the standard library."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

from benchmarks.measure import Row, in_turns, per_call
from benchmarks.workers.steps import add

WORKERS = 2


def start(quick: bool) -> list[Row]:
    """Measure the way from nothing to the first result, and that to the end."""
    from seamless.transformer import direct, shutdown_workers, spawn

    step = direct(add)
    numbers = iter(range(1_000_000, 2_000_000))

    def ours() -> None:
        spawn(WORKERS)
        step(next(numbers), 1)
        shutdown_workers()

    def theirs() -> None:
        with ProcessPoolExecutor(WORKERS) as pool:
            pool.submit(add, 1, 2).result()

    times = in_turns({"ours": ours, "theirs": theirs}, runs=2 if quick else 7)
    return [Row("start, one step, end", times["ours"], "fork of this process", times["theirs"])]


def warm(quick: bool) -> list[Row]:
    """Measure calls of a pool that has had some already."""
    from seamless.transformer import delayed, direct, parallel, shutdown_workers, spawn

    calls, count = (20, 100) if quick else (300, 1000)
    step, later = direct(add), delayed(add)

    def through_parallel(base: int) -> None:
        handles = parallel(later(-base * count - i, 3) for i in range(count))
        failed = [handle.exception for handle in handles if handle.exception]
        assert not failed, failed[0]

    spawn(WORKERS)
    try:
        with ProcessPoolExecutor(WORKERS) as pool:
            one = in_turns(
                {
                    "ours": per_call(lambda i: step(i, 2), calls),
                    "theirs": per_call(lambda i: pool.submit(add, i, 2).result(), calls),
                },
                runs=3 if quick else 9,
            )
            many = in_turns(
                {
                    "ours": per_call(through_parallel, 1),
                    "theirs": lambda: list(pool.map(add, range(count), range(count))),
                },
                runs=2 if quick else 7,
            )
    finally:
        shutdown_workers()
    here = in_turns({"ours": per_call(lambda i: step(i, 4), calls)}, runs=3 if quick else 9)
    return [
        Row("uncached call", one["ours"] / calls, "pool.submit().result()", one["theirs"] / calls, limit=300e-6),
        Row("uncached call", one["ours"] / calls, "the same in this process", here["ours"] / calls),
        Row(
            f"{count} steps, parallel",
            many["ours"],
            f"pool.map, {WORKERS} processes",
            many["theirs"],
            goal=3,
            limit=0.6,
        ),
    ]


def recovery(quick: bool) -> list[Row]:
    """Measure a step whose worker is killed once, and that is executed again in another one."""
    from seamless.transformer import direct, shutdown_workers, spawn

    unlucky = direct(
        "import os, signal\n"
        "if not os.path.exists(mark):\n"
        "    open(mark, 'w').close()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "result = 1\n"
    )
    unlucky.celltypes.mark = "str"

    def killed(number: int) -> float:
        import os
        import tempfile

        with tempfile.TemporaryDirectory() as place:
            started = time.perf_counter()
            unlucky(mark=os.path.join(place, str(number)))
            return time.perf_counter() - started

    spawn(1)
    try:
        killed(0)
        times = sorted(killed(i) for i in range(1, 3 if quick else 12))
    finally:
        shutdown_workers()
    fork = in_turns({"fork": _new_pool}, runs=2 if quick else 5)["fork"]
    return [Row("killed once, done the second time", times[len(times) // 2], "a new pool of one", fork)]


def _new_pool() -> None:
    with ProcessPoolExecutor(1) as pool:
        pool.submit(add, 1, 2).result()


PARTS: dict[str, Callable[[bool], list[Row]]] = {"start": start, "warm": warm, "recovery": recovery}
