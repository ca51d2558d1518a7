"""Run the benchmarks of the services and print one table; what is missing is said below it."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.services import buffers, results, steps
from benchmarks.services.report import Line, publish
from benchmarks.services.servers import Rivals, find_rivals

Run = Callable[[Path, bool, Rivals], list[Line]]

GROUPS: dict[str, Run] = {
    "buffers": buffers.run,
    "results": results.run,
    "steps": lambda place, quick, rivals: steps.run(place, quick),
}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.services",
        description="Measure the services beside nginx, plain files, raw sqlite3 and the servers of the reference.",
        epilog="The directory for the files (3 GB) is made in BENCHMARK_DIR, or in TMPDIR, and removed afterwards. "
        "Absent rivals are installed: nginx by root with apt-get, the reference into .venv-reference.",
    )
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"which ones (default: all): {', '.join(GROUPS)}")
    parser.add_argument("--quick", action="store_true", help="tiny inputs and no installation, to see that all works")
    parser.add_argument("--json", metavar="FILE", help="also write everything into FILE; - is standard output")
    return parser


def main() -> int:
    """Return 0 if all benchmarks have run, whatever they have found."""
    parser = build_parser()
    options = parser.parse_args()
    unknown = set(options.groups) - set(GROUPS)
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))} (choose from {', '.join(GROUPS)})")
    rivals = find_rivals(install=not options.quick)
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="seamless-services-", dir=os.environ.get("BENCHMARK_DIR")) as directory:
        for name in options.groups or GROUPS:
            if sys.stderr.isatty():
                print(f"{name} ...", file=sys.stderr)
            place = Path(directory) / name
            place.mkdir()
            lines += GROUPS[name](place, options.quick, rivals)
    publish(lines, options.json, rivals.missing)
    return 0


if __name__ == "__main__":
    sys.exit(main())
