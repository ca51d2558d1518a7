"""Programs of the tests: one that removes whatever can be computed again, all the time; one that computes meanwhile.

collecting.py collect DIRECTORY ENOUGH  |  collecting.py compute FIRST ENOUGH; with SEAMLESS_CACHE. Prints JSON.
The first makes the file ENOUGH after many removals and ends with the file ENOUGH.end; the others end with ENOUGH.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from seamless.errors import SeamlessError
from seamless.insight.collection import Criteria, plan, remove
from seamless.insight.place import checked_place
from seamless.insight.sidecar import Sidecar
from seamless.transformer import delayed

REMOVALS = 60
LENGTH = 20_000


@delayed  # type: ignore[untyped-decorator]
def repeated(x: int, length: int) -> str:
    return str(x) * length


@delayed  # type: ignore[untyped-decorator]
def measured(text: str, y: int) -> int:
    return len(text) + y


def collect(directory: str, enough: Path) -> dict[str, Any]:
    """Remove without mercy: no grace, no size that may stay."""
    problems: list[str] = []
    rounds = removed = used = 0
    with Sidecar(checked_place(directory)) as sidecar:
        while not enough.with_suffix(".end").exists():
            sidecar.update()
            done = remove(sidecar, plan(sidecar, Criteria(max_size=0, grace=0.0)))
            rounds, removed, used = rounds + 1, removed + done.removed, used + done.used
            problems += done.problems
            if removed >= REMOVALS:
                enough.touch()
    return {"rounds": rounds, "removed": removed, "used": used, "problems": problems}


def compute(first: int, enough: Path) -> dict[str, Any]:
    """Compute chains of two steps, of which the first is known after the first round, but its result may be gone."""
    problems: list[str] = []
    steps = 0
    while not enough.exists() or steps < 10:
        for x in range(10, 15):
            number = first + steps
            try:
                found = measured(repeated(x, LENGTH), number).run()
                if found != 2 * LENGTH + number:
                    problems.append(f"step {number} gave {found}")
            except SeamlessError as exc:
                problems.append(f"step {number}: {exc}")
            steps += 1
    return {"steps": steps, "problems": problems}


if __name__ == "__main__":
    if sys.argv[1] == "collect":
        print(json.dumps(collect(sys.argv[2], Path(sys.argv[3]))))
    else:
        print(json.dumps(compute(int(sys.argv[2]), Path(sys.argv[3]))))
