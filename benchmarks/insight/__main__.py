"""Build a large store, then measure `seamless-explain`, `seamless-gc` and the dashboard on it, and print one table."""

from __future__ import annotations

import argparse
import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.insight.pages import page_seconds
from benchmarks.insight.store import build
from benchmarks.measure import SCRIPTS, Row, script, write_json

EXPLAIN_LIMIT, SCAN_LIMIT, PAGE_LIMIT = 1.0, 10.0, 0.2  # seconds


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.insight",
        description="Measure how long it takes to explain a step, and to see what can go, in a large store.",
    )
    parser.add_argument("--quick", action="store_true", help="a small store, to see that all works")
    parser.add_argument("--steps", type=int, default=100_000, help="transformations in the store (default: 100000)")
    parser.add_argument("--size", type=float, default=20e9, help="bytes of results, in sparse files (default: 20e9)")
    parser.add_argument("--json", metavar="FILE", help="also write everything into FILE; - is standard output")
    return parser


def measure(directory: Path, steps: int, size: int, runs: int) -> list[Row]:
    """Return one row for each command."""
    store = directory / "store" / "__TOPLEVEL__"
    start = time.perf_counter()
    step = build(store, steps, size)
    print(f"built in {time.perf_counter() - start:.1f} s", file=sys.stderr)
    bare = _seconds([sys.executable, "-I", "-c", "pass"], directory)
    explain = [script("seamless-explain"), "--directory", str(store), "--relatives", "3", step]
    scan = [script("seamless-gc"), "--directory", str(store), "--dry-run", "--max-size", str(size // 2), "--json"]
    first = _seconds(scan, directory)
    rows = [Row("gc --dry-run, index made first", first, "python -c pass", bare, limit=SCAN_LIMIT)]
    for name, command, limit in (("gc --dry-run", scan, SCAN_LIMIT), ("explain", explain, EXPLAIN_LIMIT)):
        middle = sorted(_seconds(command, directory) for _ in range(runs))[runs // 2]
        rows.append(Row(f"{name}, {steps} transformations", middle, "python -c pass", bare, limit=limit))
    page = page_seconds(store, directory, runs)
    rows.append(Row(f"dashboard, {steps} transformations", page, "python -c pass", bare, limit=PAGE_LIMIT))
    return rows


def _seconds(command: list[str], directory: Path) -> float:
    start = time.perf_counter()
    subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, "HOME": str(directory), "PATH": f"{SCRIPTS}:{os.environ['PATH']}"},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - start


def main() -> int:
    """Return 0 if all has run, whatever was found."""
    options = build_parser().parse_args()
    steps, size = (400, 1_000_000) if options.quick else (options.steps, int(options.size))
    with tempfile.TemporaryDirectory(prefix="seamless-insight-", dir=os.environ.get("BENCHMARK_DIR")) as place:
        rows = measure(Path(place), steps, size, 1 if options.quick else 5)
    if options.json != "-":
        for row in rows:
            verdict = "" if row.ok else "  MISSED"
            print(f"{row.subject:<45}{row.seconds:>9.3f} s   at most {row.limit:g} s{verdict}")
    write_json([dataclasses.asdict(row) for row in rows], options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
