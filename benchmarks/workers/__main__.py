"""Run the benchmarks of the worker processes and print one table."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.__main__ import table
from benchmarks.measure import Row
from benchmarks.workers import arrays, calls

GROUPS: dict[str, Callable[[bool], list[Row]]] = {**calls.PARTS, "arrays": arrays.run}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.workers",
        description="Measure the worker processes beside the process pool of the standard library, in one run.",
    )
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"which ones (default: all): {', '.join(GROUPS)}")
    parser.add_argument("--quick", action="store_true", help="fewer runs and smaller inputs, to see that all works")
    parser.add_argument("--json", metavar="FILE", help="also write everything into FILE; - is standard output")
    return parser


def main() -> int:
    """Return 0 if all benchmarks have run, whatever they have found."""
    parser = build_parser()
    options = parser.parse_args()
    unknown = set(options.groups) - set(GROUPS)
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))} (choose from {', '.join(GROUPS)})")
    rows: list[tuple[str, Row]] = []
    for name in options.groups or GROUPS:
        if sys.stderr.isatty():
            print(f"{name} ...", file=sys.stderr)
        rows += [(name, row) for row in GROUPS[name](options.quick)]
    if options.json != "-":
        print(table(rows))
    if options.json:
        machine = {"python": platform.python_version(), "machine": platform.machine(), "cpus": os.cpu_count()}
        found = [{"group": name, **dataclasses.asdict(row), "ratio": row.ratio, "ok": row.ok} for name, row in rows]
        text = json.dumps({"machine": machine, "rows": found}, indent=2) + "\n"
        if options.json == "-":
            sys.stdout.write(text)
        else:
            Path(options.json).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
