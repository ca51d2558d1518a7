"""Make the figures of docs/reliability.md again, in one run: `python -m benchmarks.reliability --help`."""

from __future__ import annotations

import argparse
import errno
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reliability.md"
CAMPAIGN = ROOT / "tests" / "campaign"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
OPERATIONS = ("put", "ingest", "result", "gc", "import")
FAULTS = {"killed": 0, "disk full": errno.ENOSPC, "disk fails": errno.EIO}
_EXAMPLES = re.compile(r"(\d+) passing")
_TESTS = re.compile(r"(\d+) passed")


def sweeps() -> list[str]:
    """Do each operation with a fault at each of its calls; return lines of Markdown. Raises RuntimeError."""
    lines = ["| fault | calls at which it was tried | not noticed at all | wrong afterwards |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as directory:
        shim = Path(directory) / "faults.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", shim, CAMPAIGN / "faults.c", "-ldl"], check=True)
        for fault, number in FAULTS.items():
            total = unnoticed = wrong = 0
            for operation in OPERATIONS:
                work = Path(directory) / f"{operation}-{number}"
                work.mkdir()
                report = _sweep(shim, operation, number, work)
                total, unnoticed = total + report["faults"], unnoticed + report["acknowledged"]
                wrong += len(report["problems"])
            lines.append(f"| {fault} | {total} | {unnoticed} | {wrong} |")
    return lines


def _sweep(shim: Path, operation: str, number: int, work: Path) -> dict[str, Any]:
    command = [sys.executable, str(CAMPAIGN / "sweep.py"), str(shim), operation, str(number), str(work)]
    environment = {**os.environ, "LD_PRELOAD": str(shim)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise RuntimeError(f"{operation}: {done.stderr}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def generated(factor: int) -> list[str]:
    """Run the tests with generated input, with so many times the usual examples; return lines of Markdown."""
    lines = ["| generated input | tests | examples |", "|---|---|---|"]
    for path in sorted(CAMPAIGN.glob("test_*.py")):
        if "tests.campaign.effort" not in path.read_text():
            continue
        command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "--timeout", "0", str(path)]
        done = subprocess.run(
            [*command, "--hypothesis-show-statistics"],
            cwd=ROOT,
            env={**os.environ, "CAMPAIGN_FACTOR": str(factor)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{path.name}:\n{done.stdout[-5000:]}")
        title = (path.read_text().partition("\n")[0]).strip('"').partition(":")[0].rstrip(".")
        examples = sum(map(int, _EXAMPLES.findall(done.stdout)))
        lines.append(f"| {title} | {sum(map(int, _TESTS.findall(done.stdout)[-1:]))} | {examples} |")
    return lines


def soaked(hours: int) -> list[str]:
    """Use the services for so many hours; return lines of Markdown."""
    command = [sys.executable, "-m", "benchmarks.soak", "--hours", str(hours)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1) or not done.stdout:
        raise RuntimeError(done.stderr)
    return done.stdout.splitlines()


def main() -> int:
    """Return 0 if all was made; a figure that is not as it should be is a figure all the same."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reliability",
        description="Make the figures of docs/reliability.md: faults at every call of the file system, generated "
        "input, days of use. Takes about half an hour on two processors.",
    )
    parser.add_argument("--factor", type=int, default=10, metavar="N", help="times the examples of a test run")
    parser.add_argument("--hours", type=int, default=72, metavar="N", help="hours of use (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="put them into the page (default: print them)")
    options = parser.parse_args()
    python = f"Python {platform.python_version()}, {len(os.sched_getaffinity(0))} processors"
    made = f"python -m benchmarks.reliability --factor {options.factor} --hours {options.hours}"
    lines = [f"Made by `{made}` with {python}.", ""]
    for part in (sweeps(), generated(options.factor), soaked(options.hours)):
        lines += [*part, ""]
    if not options.write:
        print("\n".join(lines))
        return 0
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n{END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
