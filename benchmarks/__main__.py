"""Run the benchmarks and print one table. Each benchmark has a process and a directory of its own."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, aligned, machine, write_json

NAMES = (
    "cached_command", "cached_call", "uncached_call", "many_steps", "large_file", "import_time", "small_checksum",
)  # fmt: skip

UNITS = ((1.0, "s", 1.0), (1e-3, "ms", 1e3), (0.0, "us", 1e6))


def duration(seconds: float) -> str:
    """Return the seconds with three digits and the unit that suits them.

    >>> duration(0.0421)
    '42.1 ms'
    """
    unit, factor = next((unit, factor) for least, unit, factor in UNITS if seconds >= least)
    number = seconds * factor
    return f"{number:.{max(0, 3 - len(str(int(number))))}f} {unit}"


def goals(row: Row) -> str:
    parts = []
    if row.goal is not None:
        parts.append(f"<= {row.goal:g}x")
    if row.limit is not None:
        parts.append(f"<= {duration(row.limit)}")
    return ", ".join(parts)


def table(rows: list[tuple[str, Row]]) -> str:
    """Return the rows as aligned text under a heading."""
    cells = [("benchmark", "what", "time", "compared with", "its time", "ratio", "goal", "", "peak")]
    for title, row in rows:
        verdict = {True: "ok", False: "MISSED", None: ""}[row.ok]
        peak = f"{row.peak_bytes / 1e6:.0f} MB" if row.peak_bytes else ""
        ratio = f"{row.ratio:.2f}x" if row.ratio < 100 else f"{row.ratio:.0f}x"
        times = (duration(row.seconds), row.rival, duration(row.rival_seconds))
        cells.append((title, row.subject, *times, ratio, goals(row), verdict, peak))
    return aligned(cells, {2, 4, 5, 8})


def run_here(name: str, quick: bool) -> None:
    """Run one benchmark in this process and print its rows as JSON."""
    module = importlib.import_module(f"benchmarks.{name}")
    with tempfile.TemporaryDirectory(prefix="seamless-benchmark-", dir=os.environ.get("BENCHMARK_DIR")) as place:
        rows = module.run(Path(place), quick)
    result = {"title": module.TITLE, "rows": [dataclasses.asdict(row) for row in rows]}
    print(json.dumps(result), flush=True)
    # What the benchmarked session keeps open has been removed with its directory.
    os._exit(0)


def run_in_child(name: str, quick: bool) -> dict[str, Any] | None:
    command = [sys.executable, "-m", "benchmarks", "--in-this-process", name, *(["--quick"] if quick else [])]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SEAMLESS_")}
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=False)
    if done.returncode:
        print(f"benchmark {name} failed with status {done.returncode}", file=sys.stderr)
        return None
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the budgets of Seamless beside a floor and other tools, in one run.",
        epilog="The directory for the files (over 3 GB with large_file) is made in BENCHMARK_DIR, or in TMPDIR.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones (default: all): {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="fewer runs and smaller inputs, to see that all works")
    parser.add_argument("--json", metavar="FILE", help="also write everything into FILE; - is standard output")
    parser.add_argument("--in-this-process", metavar="NAME", help=argparse.SUPPRESS)
    return parser


def main() -> int:
    """Return 0 if all benchmarks have run, whatever they have found."""
    parser = build_parser()
    options = parser.parse_args()
    if options.in_this_process:
        run_here(options.in_this_process, options.quick)
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))} (choose from {', '.join(NAMES)})")
    results = {}
    for name in options.names or NAMES:
        if sys.stderr.isatty():
            print(f"{name} ...", file=sys.stderr)
        results[name] = run_in_child(name, options.quick)
    rows = [(result["title"], Row(**row)) for result in results.values() if result for row in result["rows"]]
    if options.json != "-":
        print(table(rows))
    write_json({"machine": machine(), "benchmarks": results}, options.json)
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
