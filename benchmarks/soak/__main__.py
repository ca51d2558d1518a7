"""Use the services for days, as fast as it goes; print what has grown. Status 1 if anything has that may not."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.soak.hour import HOURS, Use, prepare
from benchmarks.soak.place import running
from benchmarks.soak.watch import Growth, Sample, growth, settled


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak",
        description="Use a hashserver, a database, a jobserver and worker processes for days of 24 hours, each hour "
        "in a few seconds: buffers, results, claims, steps of all fates, commands, servers that come and go, clearing "
        "up. Count memory, descriptors, threads, processes and files after each hour.",
        epilog="Compared are the middle values of the second and the last quarter of the hours. Status 1: something "
        "has grown.",
    )
    parser.add_argument("--hours", type=int, default=HOURS, metavar="N", help="hours of use (default: %(default)s)")
    parser.add_argument(
        "--repeat",
        type=int,
        default=HOURS,
        metavar="N",
        help="hours after which all is the same (default: %(default)s)",
    )
    parser.add_argument("--json", metavar="FILE", help="also write everything into FILE; - is standard output")
    return parser


@contextmanager
def _quiet_place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="seamless-soak-") as directory:
        root = Path(directory)
        (root / "home").mkdir()
        yield root


def soak(hours: int, repeat: int) -> dict[str, Any]:
    """Use the services for so many hours; return counts and growth."""
    samples: list[Sample] = []
    begun = time.monotonic()
    with _quiet_place() as root, running(root) as place:
        prepare(place, root / "home")
        use = Use(place)
        try:
            for hour in range(hours):
                use.hour(hour % repeat)
                samples.append(settled(place.sample, samples[-1] if samples else None))
                if sys.stderr.isatty():
                    print(f"\r{hour + 1}/{hours}", end="", file=sys.stderr, flush=True)
        finally:
            use.close()
    found = growth(samples)
    return {
        "hours": hours,
        "seconds": round(time.monotonic() - begun, 1),
        "done": dict(use.done),
        "growth": [{**one._asdict(), "flat": one.flat} for one in found],
        "samples": samples,
    }


def main() -> int:
    """Return 0 if nothing has grown."""
    parser = build_parser()
    options = parser.parse_args()
    if options.hours < 4 or options.repeat < 1:
        parser.error("at least 4 hours are needed, and a repetition after 1 hour or more")
    report = soak(options.hours, options.repeat)
    if options.json == "-":
        print(json.dumps(report))
    else:
        print(table(report))
        if options.json:
            Path(options.json).write_text(json.dumps(report, indent=1) + "\n")
    return 0 if all(one["flat"] for one in report["growth"]) else 1


def table(report: dict[str, Any]) -> str:
    """Return a report as Markdown."""
    lines = [f"{report['hours']} hours of use in {report['seconds']:.0f} s:", ""]
    lines += [f"- {number} {what}" for what, number in report["done"].items()]
    lines += ["", "| after each hour | early | at the end | |", "|---|---|---|---|"]
    for one in report["growth"]:
        early, late = (f"{one[key]:.1f}".removesuffix(".0") for key in ("early", "late"))
        lines.append(f"| {one['name']} | {early} | {late} | {'flat' if one['flat'] else 'GROWN'} |")
    return "\n".join(lines)


__all__ = ["Growth", "build_parser", "main", "soak", "table"]

if __name__ == "__main__":
    sys.exit(main())
