"""Steps on this machine: in this process and in workers, against pools of others; large arrays; flat memory."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.execution.quiet import Measured, compare
from benchmarks.execution.steps import add, first, make
from benchmarks.services.report import Line

WORKERS = 2
_numbers = itertools.count(1, 1_000_000)


@contextmanager
def spawned(workers: int) -> Iterator[None]:
    """Have worker processes."""
    from seamless.transformer import shutdown_workers, spawn

    spawn(workers)
    try:
        yield
    finally:
        shutdown_workers()


def all_of(count: int) -> None:
    """Execute as many steps that nobody has executed before."""
    from seamless.transformer import delayed, parallel

    step, base = delayed(add), next(_numbers)
    for tf in parallel(step(base + i, 1) for i in range(count)):
        assert tf.exception is None, tf.exception


def lines(subject: str, found: dict[str, Measured], scale: float, **goals: Any) -> list[Line]:
    """Return a line for each rival of the first one: wall time in ms, and CPU time. `scale`: milliseconds a unit."""
    (_, ours), *others = found.items()
    note = "" if ours.quiet else " (disturbed)"
    if not others:
        return [Line(subject + note, ours.seconds * scale, "ms", **goals)]
    made = []
    for i, (name, theirs) in enumerate(others):
        more = goals if i == 0 else {}
        made.append(Line(subject + note, ours.seconds * scale, "ms", name, theirs.seconds * scale, **more))
        if ours.cpu_seconds and theirs.cpu_seconds:
            cpu = (ours.cpu_seconds * scale, theirs.cpu_seconds * scale)
            made.append(Line(f"{subject}, CPU", cpu[0], "ms", name, cpu[1]))
    return made


def steps(place: Path, quick: bool) -> list[Line]:
    """Measure one step at a time, and a thousand of them."""
    from seamless.transformer import direct

    count, calls, rounds = (50, 10, 1) if quick else (1000, 100, 5)
    here = compare({"ours": lambda: all_of(count)}, rounds)
    found = lines(f"{count} steps, in this process", here, 1e3, goal=400)
    step = direct(add)

    def calling(function: Callable[[int], object]) -> Callable[[], None]:
        def call() -> None:
            base = next(_numbers)
            for i in range(calls):
                function(base + i)

        return call

    with spawned(WORKERS), ExitStack() as stack:
        pool = stack.enter_context(ProcessPoolExecutor(WORKERS))
        trips = {
            "ours": calling(lambda i: step(i, 2)),
            "process pool": calling(lambda i: pool.submit(add, i, 2).result()),
        }
        many: dict[str, Callable[[], object]] = {
            "ours": lambda: all_of(count),
            "process pool": lambda: list(pool.map(add, range(count), range(count))),
        }
        _add_joblib(many, stack, count)
        _add_dask(trips, many, stack, calls, count)
        found += lines("one step, 2 workers", compare(trips, rounds), 1e3 / calls, goal=0.5)
        found += lines(f"{count} steps, 2 workers", compare(many, rounds), 1e3, goal=600, ratio_goal=3, either=True)
    return found


def _add_joblib(many: dict[str, Callable[[], object]], stack: ExitStack, count: int) -> None:
    try:
        from joblib import Parallel
        from joblib import delayed as later
    except ImportError:
        return
    parallel = stack.enter_context(Parallel(n_jobs=WORKERS))
    many["joblib"] = lambda: parallel(later(add)(i, i) for i in range(count))


def _add_dask(
    trips: dict[str, Callable[[], None]],
    many: dict[str, Callable[[], object]],
    stack: ExitStack,
    calls: int,
    count: int,
) -> None:
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        return
    cluster = stack.enter_context(LocalCluster(WORKERS, threads_per_worker=1, dashboard_address=None))
    client = stack.enter_context(Client(cluster))

    def one_by_one() -> None:
        for i in range(calls):
            client.submit(add, i, 2, pure=False).result()

    trips["LocalCluster"] = one_by_one
    many["LocalCluster"] = lambda: client.gather(client.map(add, range(count), range(count), pure=False))


def durable(place: Path, quick: bool) -> list[Line]:
    """Measure new steps with a cache directory, against the least that must be written for each."""
    from seamless.config.embedded import activate_embedded
    from seamless.session import session
    from seamless.transformer import direct

    count, rounds = (10, 1) if quick else (200, 5)
    step, base = direct(add), next(_numbers)
    numbers = itertools.count(base)
    activate_embedded(directory=place / "cache")
    bare = _Bare(place / "bare")
    try:
        rivals: dict[str, Callable[[], object]] = {
            "ours": lambda: [step(next(numbers), 3) for _ in range(count)],
            "3 files, 1 transaction": lambda: bare.write(count),
        }
        found = lines("one step, stored", compare(rivals, rounds), 1e3 / count, goal=4)
        with spawned(WORKERS):
            many = compare({"ours": lambda: all_of(count), "3 files, 1 transaction": rivals.popitem()[1]}, rounds)
        return found + lines(f"{count} steps, stored, {WORKERS} workers", many, 1e3)
    finally:
        session.activate((), ())
        bare.close()


class _Bare:
    """Writes what a new step needs: three durable files, one transaction."""

    def __init__(self, place: Path) -> None:
        import sqlite3

        place.mkdir()
        self._place, self._numbers = place, itertools.count()
        self._directories = [place / f"{i:02x}" for i in range(256)]
        for directory in self._directories:
            directory.mkdir()
        self._connection = sqlite3.connect(place / "results.db", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=wal")
        self._connection.execute("PRAGMA synchronous=normal")
        self._connection.execute("CREATE TABLE results (step TEXT PRIMARY KEY, result TEXT, record TEXT)")

    def write(self, steps: int) -> None:
        for number in itertools.islice(self._numbers, steps):
            self._write_one(number)

    def _write_one(self, number: int) -> None:
        for i in range(3):
            path = self._directories[(number * 3 + i) % 256] / f"{number}-{i}"
            with open(f"{path}.tmp", "xb", buffering=0) as file:
                file.write(b"1\n")
                os.fsync(file.fileno())
            os.rename(f"{path}.tmp", path)
            fd = os.open(path.parent, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("INSERT INTO results VALUES (?, ?, ?)", (f"{number:064}", "0" * 64, "{}" * 200))
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()


def arrays(place: Path, quick: bool) -> list[Line]:
    """Measure an array on its way into a worker and out of it, against the hashing, and the making, of its bytes."""
    import numpy

    from seamless.transformer import delayed, direct, runner

    size, rounds = (100_000, 1) if quick else (20_000_000, 5)
    takes, makes, array = direct(first), delayed(make), numpy.full(size, 0.5)

    def take() -> None:
        array[0] = next(_numbers)
        takes(array)

    def out() -> None:
        tf = makes(size, float(next(_numbers)))
        tf.run()
        # So that the memory is used again: memory that nobody has touched yet may cost more than all the rest.
        runner.forget(tf.transformation_checksum)

    def hash_of(values: numpy.ndarray[Any, Any]) -> None:
        hashlib.sha256(values.data).digest()

    with spawned(1):
        into_worker = compare({"take": take, "hash": lambda: hash_of(array)}, rounds)
        made = {"make": out, "make and hash": lambda: hash_of(make(size, float(next(_numbers))))}
        out_of_worker = compare(made, rounds)
    label = f"{max(1, size * 8 // 1_000_000)} MB array"
    return [
        *lines(f"{label}, into a worker", into_worker, 1e3, ratio_goal=1.3),
        *lines(f"{label}, out of a worker", out_of_worker, 1e3, ratio_goal=1.3),
    ]


def memory(place: Path, quick: bool) -> list[Line]:
    """Measure how much memory grows while one `parallel` goes through many steps."""
    from seamless.transformer import delayed, parallel

    count = 200 if quick else 10_000
    step, base, series = delayed(add), next(_numbers), []
    with spawned(WORKERS):
        for i, tf in enumerate(parallel(step(base + i, 1) for i in range(count))):
            assert tf.exception is None, tf.exception
            if (i + 1) % (count // 10) == 0:
                series.append(_resident())
    # What a remembered result needs is no leak: a few hundred bytes each.
    return [Line(f"{count} steps: resident at 20 % and at the end", series[-1], "MB", "at 20 %", series[1], 1.25)]


def _resident() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError("no VmRSS")
