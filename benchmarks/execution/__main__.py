"""Run the benchmarks of execution and print one table."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.execution import lives, local, remote
from benchmarks.services.report import Line, publish

GROUPS: dict[str, Callable[[Path, bool], list[Line]]] = {
    "steps": local.steps,
    "durable": local.durable,
    "arrays": local.arrays,
    "memory": local.memory,
    "start": lives.start,
    "recovery": lives.recovery,
    "jobserver": remote.jobserver,
    "dask": remote.dask,
    "reference": remote.reference,
}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.execution",
        description="Measure the execution of steps beside process pools, joblib, Dask and the reference, in one run.",
        epilog="The median counts of those segments in which other programs have used under 10 % of a processor.",
    )
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"which ones (default: all): {', '.join(GROUPS)}")
    parser.add_argument("--quick", action="store_true", help="few steps, to see that all works")
    parser.add_argument("--json", metavar="FILE", help="also write everything into FILE; - is standard output")
    return parser


def main() -> int:
    """Return 0 if all benchmarks have run, whatever they have found."""
    parser = build_parser()
    options = parser.parse_args()
    unknown = set(options.groups) - set(GROUPS)
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))} (choose from {', '.join(GROUPS)})")
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="seamless-execution-", dir=os.environ.get("BENCHMARK_DIR")) as directory:
        for name in options.groups or GROUPS:
            if sys.stderr.isatty():
                print(f"{name} ...", file=sys.stderr)
            place = Path(directory) / name
            place.mkdir()
            lines += GROUPS[name](place, options.quick)
    publish(lines, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
