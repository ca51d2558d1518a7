"""`import seamless` and `import seamless.transformer` against an interpreter that does nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import Row, in_turns, run_child

TITLE = "import"


def interpreter(statement: str, place: Path) -> Callable[[], object]:
    return lambda: run_child([sys.executable, "-c", statement], cwd=place)


def run(place: Path, quick: bool) -> list[Row]:
    times = in_turns(
        {
            statement: interpreter(statement, place)
            for statement in ("pass", "import seamless", "import seamless.transformer", "import numpy")
        },
        runs=5 if quick else 21,
    )
    return [
        Row("import seamless", times["import seamless"], "bare interpreter", times["pass"], goal=4),
        Row("import seamless.transformer", times["import seamless.transformer"], "bare interpreter", times["pass"]),
        Row("import seamless.transformer", times["import seamless.transformer"], "import numpy", times["import numpy"]),
    ]
