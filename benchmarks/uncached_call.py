"""A call of a trivial step that nobody has made before, against a miss of joblib.Memory and against the bare call."""

from __future__ import annotations

from pathlib import Path

from benchmarks.measure import Row, in_turns, per_call
from benchmarks.steps import add

TITLE = "uncached call"


def run(place: Path, quick: bool) -> list[Row]:
    import joblib

    from seamless.config.embedded import activate_embedded
    from seamless.transformer import direct

    calls = 20 if quick else 100
    remembered = joblib.Memory(place / "joblib", verbose=0).cache(add)
    step = direct(add)
    theirs = per_call(lambda i: remembered(i, 1), calls)
    ours = per_call(lambda i: step(i, 1), calls)
    bare = per_call(lambda i: add(i, 1), calls)
    runs = 3 if quick else 7
    memory = in_turns({"ours": ours, "theirs": theirs, "bare": bare}, runs)
    activate_embedded(directory=place / "cache")
    stored = in_turns({"ours": ours, "theirs": theirs}, runs)
    return [
        Row("direct call, in memory", memory["ours"] / calls, "joblib.Memory miss", memory["theirs"] / calls, goal=1),
        Row("direct call, in memory", memory["ours"] / calls, "bare call", memory["bare"] / calls),
        Row("direct call, embedded cache", stored["ours"] / calls, "joblib.Memory miss", stored["theirs"] / calls),
    ]
