"""A cached call of a `direct` function against a hit of joblib.Memory."""

from __future__ import annotations

from pathlib import Path

from benchmarks.measure import Row, in_turns
from benchmarks.steps import add

TITLE = "cached call"


def run(place: Path, quick: bool) -> list[Row]:
    import joblib

    from seamless.config.embedded import activate_embedded
    from seamless.transformer import direct

    calls = 20 if quick else 200
    remembered = joblib.Memory(place / "joblib", verbose=0).cache(add)
    step = direct(add)

    def repeat(function: object) -> object:
        assert callable(function)
        return lambda: [function(1, 2) for _ in range(calls)]

    def measure(name: str, goal: float | None) -> Row:
        ours, theirs = repeat(step), repeat(remembered)
        assert callable(ours) and callable(theirs)
        times = in_turns({"ours": ours, "theirs": theirs}, runs=9)
        return Row(name, times["ours"] / calls, "joblib.Memory hit", times["theirs"] / calls, goal=goal)

    in_memory = measure("direct call, in memory", 1)
    activate_embedded(directory=place / "cache")
    return [in_memory, measure("direct call, embedded cache", 1)]
