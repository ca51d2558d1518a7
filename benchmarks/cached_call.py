"""A cached call of a `direct` function against a hit of joblib.Memory."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import Row, in_turns
from benchmarks.steps import add

TITLE = "cached call"


ROOT = Path(__file__).resolve().parents[1]

# Calls the step with numbers 0, 1, ... and prints the seconds that one call took.
FRESH_PROCESS = """
import sys, time
from benchmarks.steps import add
kind, place, calls = sys.argv[1], sys.argv[2], int(sys.argv[3])
if kind == "ours":
    from seamless.config.embedded import activate_embedded
    from seamless.transformer import direct
    activate_embedded(directory=place)
    step = direct(add)
else:
    import joblib
    step = joblib.Memory(place, verbose=0).cache(add)
step(-1, 1)
start = time.perf_counter()
for number in range(calls):
    step(number, 1)
print((time.perf_counter() - start) / calls, flush=True)
if kind == "ours":
    import seamless
    seamless.close()
"""


def in_fresh_process(kind: str, place: Path, calls: int) -> float:
    """Return the seconds of a call that an earlier process has made; the first time, of one that nobody has."""
    command = [sys.executable, "-c", FRESH_PROCESS, kind, str(place), str(calls)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return float(done.stdout)


def fresh_row(place: Path, calls: int, runs: int) -> Row:
    places = {"ours": place / "seamless-fresh", "joblib": place / "joblib-fresh"}
    taken: dict[str, list[float]] = {kind: [] for kind in places}
    for number in range(runs + 1):
        for kind, cache in places.items():
            seconds = in_fresh_process(kind, cache, calls)
            if number:  # the first process only fills the cache
                taken[kind].append(seconds)
    ours, theirs = statistics.median(taken["ours"]), statistics.median(taken["joblib"])
    return Row("direct call, cached by an earlier process", ours, "joblib.Memory hit", theirs, goal=1)


def run(place: Path, quick: bool) -> list[Row]:
    import joblib

    from seamless.config.embedded import activate_embedded
    from seamless.transformer import direct

    calls = 20 if quick else 200
    remembered = joblib.Memory(place / "joblib", verbose=0).cache(add)
    step = direct(add)

    def repeat(function: Callable[[int, int], int]) -> Callable[[], None]:
        def work() -> None:
            for _ in range(calls):
                function(1, 2)

        return work

    def measure(name: str) -> Row:
        times = in_turns({"ours": repeat(step), "theirs": repeat(remembered)}, runs=9)
        return Row(name, times["ours"] / calls, "joblib.Memory hit", times["theirs"] / calls, goal=1)

    in_memory = measure("direct call, in memory")
    activate_embedded(directory=place / "cache")
    embedded = measure("direct call, embedded cache")
    return [in_memory, embedded, fresh_row(place, calls, runs=3 if quick else 7)]
