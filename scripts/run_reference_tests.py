"""Run the test files of a checkout of the reference against this package, through the alias modules.

    python scripts/run_reference_tests.py DIRECTORY [--expected FILE] [--write FILE]

Each `tests/test_*.py` below DIRECTORY runs in a process of its own, with an empty HOME, in a copy that holds the tests
only: code of the reference is never found. Nothing below DIRECTORY is changed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
# Settings of the caller that would lead tests to the caller's own stores and services.
DROPPED = ("SEAMLESS_", "PYTEST_", "PYTHONPATH", "PYTHONHOME")


class Outcome(NamedTuple):
    """How a test ended, and the last line of why."""

    result: str  # passed, failed, skipped, error, timeout
    message: str


def find_tests(directory: Path) -> list[Path]:
    """Return the test files below a directory, in a fixed order."""
    return sorted(path for path in directory.rglob("test_*.py") if "tests" in path.relative_to(directory).parts[:-1])


def label(path: Path, directory: Path) -> str:
    """Return the name of a test file in the list: its path below the directory, without versions of packages."""
    parts = list(path.relative_to(directory).parts)
    name, _, version = parts[0].rpartition("-")
    if name and version[:1].isdigit():
        parts[0] = name
    return "/".join([parts[0].replace("_", "-"), *parts[1:]])


def environment(home: Path, python: str, aliases: bool) -> dict[str, str]:
    """Return the environment of one test file."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED)}
    env["HOME"] = str(home)
    env["PATH"] = f"{Path(python).parent}{os.pathsep}{env.get('PATH', os.defpath)}"
    if aliases:
        env["PYTHONPATH"] = str(ROOT / "aliases")
    return env


def read_report(report: Path) -> dict[str, Outcome]:
    """Return the outcome of each test of a JUnit report."""
    outcomes = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = case.get("name") or case.get("classname") or "collection"
        if case.get("classname", "").rpartition(".")[2][:1].isupper():
            name = f"{case.get('classname', '').rpartition('.')[2]}::{name}"
        outcome = Outcome("passed", "")
        for child, result in (("skipped", "skipped"), ("failure", "failed"), ("error", "error")):
            found = case.find(child)
            if found is not None:
                text = (found.get("message") or found.text or "").strip()
                details = [
                    line[1:].strip()
                    for line in (found.text or "").splitlines()
                    if line.startswith("E ") and "(transformation " not in line
                ]
                outcome = Outcome(result, (details[-1] if details else text.partition("\n")[0])[:300])
        outcomes[name] = outcome
    return outcomes


def run_file(path: Path, python: str, *, aliases: bool = True, timeout: float = 120) -> dict[str, Outcome]:
    """Run one test file in a process group of its own, which is killed after `timeout` seconds."""
    with tempfile.TemporaryDirectory(prefix="reference-tests-") as place:
        work, home, report = Path(place, "package", "tests"), Path(place, "home"), Path(place, "report.xml")
        shutil.copytree(path.parent, work, ignore=shutil.ignore_patterns("__pycache__"))
        home.mkdir()
        command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", path.name]
        ended = True
        with open(Path(place, "output"), "w+b") as written:  # a pipe would be held open by what outlives the tests
            process = subprocess.Popen(
                command, cwd=work, env=environment(home, python, aliases), stdin=subprocess.DEVNULL,
                stdout=written, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                ended = False
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what the tests have left behind, too
            process.wait()
            written.seek(0)
            output = written.read()
        if report.exists() and (outcomes := read_report(report)):
            return outcomes
        if not ended:
            return {"file": Outcome("timeout", f"not ended after {timeout:g} s")}
        last = output.decode(errors="replace").strip().splitlines()[-1:] or ["no report"]
        return {"file": Outcome("error", last[0][:300])}


def run_all(directory: Path, python: str, *, aliases: bool = True, timeout: float = 120) -> dict[str, Outcome]:
    """Run all test files of a directory, one after the other; the keys are FILE::TEST."""
    outcomes = {}
    for path in find_tests(directory):
        name = label(path, directory)
        found = run_file(path, python, aliases=aliases, timeout=timeout)
        outcomes.update({f"{name}::{test}": outcome for test, outcome in found.items()})
        counts = ", ".join(f"{n} {result}" for result, n in sorted(Counter(o.result for o in found.values()).items()))
        print(f"{name}: {counts}", file=sys.stderr, flush=True)
    return outcomes


def compare(outcomes: dict[str, Outcome], expected: dict[str, dict[str, str]]) -> list[str]:
    """Return what differs from the committed list, which names each test that does not pass; a line each."""
    wrong = []
    for test, outcome in sorted(outcomes.items()):
        entry = expected.get(test)
        if entry is None and outcome.result not in ("passed", "skipped"):
            wrong.append(f"{test}: {outcome.result}, which is not in the list: {outcome.message}")
        elif entry is not None and outcome.result != entry["outcome"]:
            wrong.append(f"{test}: {outcome.result}, the list says {entry['outcome']}")
    wrong += [f"{test}: in the list, but was not run" for test in sorted(expected.keys() - outcomes.keys())]
    return wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print a summary, compare; the status is 1 if something differs from the list."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, help="checkouts or unpacked source archives of the reference")
    parser.add_argument("--expected", type=Path, help="JSON list of the expected differences")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write all outcomes, as JSON")
    parser.add_argument("--python", default=sys.executable, help="another interpreter (that of the reference)")
    parser.add_argument("--no-aliases", action="store_true", help="do not put the alias modules on the path")
    parser.add_argument("--timeout", type=float, default=120, metavar="S", help="seconds for each file")
    options = parser.parse_args(arguments)
    outcomes = run_all(options.directory, options.python, aliases=not options.no_aliases, timeout=options.timeout)
    if not outcomes:
        parser.error(f"no tests/test_*.py below {options.directory}")
    if options.write:
        rows = {test: outcome._asdict() for test, outcome in sorted(outcomes.items())}
        options.write.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    for result, count in sorted(Counter(outcome.result for outcome in outcomes.values()).items()):
        print(f"{result:8} {count}")
    wrong = compare(outcomes, json.loads(options.expected.read_text("utf-8"))) if options.expected else []
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
