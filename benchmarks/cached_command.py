"""A cached `seamless-run` against an interpreter that does nothing, and against a `make` that has nothing to do."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.measure import Row, in_turns, run_child, script

TITLE = "cached seamless-run"


def run(place: Path, quick: bool) -> list[Row]:
    (place / "a.txt").write_text("alpha\nbeta\n" * 1000)
    (place / "Makefile").write_text("out.txt: a.txt\n\tcat a.txt > out.txt\n")
    env = {"SEAMLESS_CACHE": str(place / "cache")}
    words = [script("seamless-run"), "cat", "a.txt"]
    target = [script("seamless-run"), "-c", "tac a.txt > tac.txt"]
    times = in_turns(
        {
            "words": lambda: run_child(words, cwd=place, env=env),
            "target": lambda: run_child(target, cwd=place, env=env),
            "python": lambda: run_child([sys.executable, "-I", "-c", "pass"], cwd=place),
            "make": lambda: run_child(["make", "-s"], cwd=place),
            "cat": lambda: run_child(["cat", "a.txt"], cwd=place),
        },
        runs=7 if quick else 31,
        warmups=2,
    )
    return [
        Row("seamless-run cat a.txt", times["words"], "python -I -c pass", times["python"], goal=6, limit=0.080),
        Row("seamless-run cat a.txt", times["words"], "make, up to date", times["make"]),
        Row("seamless-run cat a.txt", times["words"], "cat a.txt", times["cat"]),
        Row("seamless-run -c 'tac a.txt > tac.txt'", times["target"], "python -I -c pass", times["python"], goal=6),
    ]
