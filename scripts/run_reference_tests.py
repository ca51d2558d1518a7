"""Run the test files of a checkout of the reference against this package, through the alias modules.

    python scripts/run_reference_tests.py DIRECTORY [--expected FILE] [--write FILE]

Each `tests/test_*.py` below DIRECTORY runs in a process of its own, with an empty HOME, in a copy that holds the tests
only: code of the reference is never found. Beside them are stand-ins of our own for what the source archives lack
(--support). Nothing below DIRECTORY is changed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
SUPPORT = ROOT / "tests" / "interop" / "reference_support"
EXPECTED = ROOT / "tests" / "interop" / "reference_differences.json"
# Settings of the caller that would lead tests to the caller's own stores and services.
DROPPED = ("SEAMLESS_", "PYTEST_", "PYTHONPATH", "PYTHONHOME")
# Of the machines of the authors: conda environments that are on no other one.
ELSEWHERE = {"conda: seamless1": "# conda: that of this interpreter"}
NO_TESTS = 5  # status of pytest if all tests were left out


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


def environment(home: Path, python: str, modules: Sequence[Path]) -> dict[str, str]:
    """Return the environment of one test file; `modules` are directories with modules."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED)}
    owner = Path(pwd.getpwuid(os.getuid()).pw_dir)
    env.setdefault("RUSTUP_HOME", str(owner / ".rustup"))  # which compiler `rustc` starts
    env.setdefault("GOCACHE", str(owner / ".cache" / "go-build"))  # the compiled library of Go
    env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # the tests need none, and to import them takes a second
    env["HOME"] = str(home)
    env["TMPDIR"] = str(home.with_name("tmp"))
    env["PATH"] = f"{Path(python).parent}{os.pathsep}{env.get('PATH', os.defpath)}"
    if modules:
        env["PYTHONPATH"] = os.pathsep.join(map(str, modules))
    return env


def our_commands() -> dict[str, str]:
    """Return the commands of this package, and the function of each, as MODULE:NAME."""
    lines = (ROOT / "pyproject.toml").read_text("utf-8").partition("[project.scripts]\n")[2].partition("\n[")[0]
    return dict(re.findall(r'^([\w-]+) = "([\w.:]+)"$', lines, re.MULTILINE))


def write_stand_ins(package: Path, modules: Path) -> None:
    """Write what tests start by its path or module name: `bin/COMMAND`, and helpers as `ssh_guard.helpers.NAME`."""
    helpers = modules / "ssh_guard" / "helpers"
    for directory in (package / "bin", helpers):
        directory.mkdir(parents=True, exist_ok=True)
    for command, function in our_commands().items():
        module, _, name = function.partition(":")
        text = f"import sys\nfrom {module} import {name}\nif __name__ == '__main__':\n    sys.exit({name}())\n"
        script = package / "bin" / command
        script.write_text(f"#!{sys.executable}\n{text}", encoding="utf-8")
        script.chmod(0o755)
        if command.startswith("rhl-"):
            (helpers / f"{command[4:].replace('-', '_')}.py").write_text(text, encoding="utf-8")


def make_package(path: Path, place: Path, support: Path | None, aliases: bool) -> list[Path]:
    """Make the copy in which a test file runs; return the directories with modules for it."""
    package = place / "package"
    shutil.copytree(path.parent, package / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    copied = package / "tests" / path.name
    text = copied.read_text("utf-8")
    for elsewhere, here in ELSEWHERE.items():
        text = text.replace(elsewhere, here)
    copied.write_text(text, encoding="utf-8")
    modules: list[Path] = []
    if aliases:
        modules = [place / "modules", ROOT / "aliases"]
        modules[0].mkdir()
        if support:
            shutil.copytree(support / "modules", modules[0], dirs_exist_ok=True)
        write_stand_ins(package, modules[0])
    elif (path.parents[1] / "bin").is_dir():
        shutil.copytree(path.parents[1] / "bin", package / "bin")
    own = support and support / path.parents[1].name.rpartition("-")[0].replace("_", "-")
    if own and own.is_dir():
        shutil.copytree(own, package, dirs_exist_ok=True)
    return modules


def end_services(home: Path) -> None:
    """End what was started with this home directory and has left the process group: services."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # of another user, or gone
            if f"HOME={home}".encode() in path.read_bytes().split(b"\0"):
                os.kill(int(path.parent.name), signal.SIGKILL)


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


def run_file(
    path: Path,
    python: str,
    *,
    aliases: bool = True,
    timeout: float = 120,
    support: Path | None = None,
    skip: Collection[str] = (),
) -> dict[str, Outcome]:
    """Run one test file in a process group of its own, which is killed after `timeout` seconds.

    `skip` names tests that are not run.
    """
    with tempfile.TemporaryDirectory(prefix="reference-tests-", ignore_cleanup_errors=True) as name:
        place, report = Path(name), Path(name, "report.xml")
        (place / "home").mkdir()
        (place / "tmp").mkdir()
        modules = make_package(path, place, support, aliases)
        command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", path.name]
        if aliases and support:
            command += ["-p", "reference_stand_ins"]
        command += [f"--deselect={path.name}::{test}" for test in skip]
        ended = True
        with open(place / "output", "w+b") as written:  # a pipe would be held open by what outlives the tests
            process = subprocess.Popen(
                command, cwd=place / "package" / "tests", env=environment(place / "home", python, modules),
                stdin=subprocess.DEVNULL, stdout=written, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                ended = False
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what the tests have left behind, too
            process.wait()
            end_services(place / "home")
            written.seek(0)
            output = written.read()
        if report.exists() and (outcomes := read_report(report)):
            return outcomes
        if not ended:
            return {"file": Outcome("timeout", f"not ended after {timeout:g} s")}
        last = output.decode(errors="replace").strip().splitlines()[-1:] or ["no report"]
        return {} if process.returncode == NO_TESTS else {"file": Outcome("error", last[0][:300])}


def run_all(
    directory: Path,
    python: str,
    *,
    aliases: bool = True,
    timeout: float = 120,
    support: Path | None = None,
    skip: Collection[str] = (),
    jobs: int = 1,
    select: str = "",
) -> dict[str, Outcome]:
    """Run all test files of a directory whose names contain `select`, `jobs` at a time; the keys are FILE::TEST."""
    outcomes: dict[str, Outcome] = {}
    finished = threading.Lock()

    def run(path: Path) -> None:
        name = label(path, directory)
        left = [test[len(name) + 2 :] for test in skip if test.startswith(f"{name}::")]
        found = run_file(path, python, aliases=aliases, timeout=timeout, support=support, skip=left)
        counts = ", ".join(f"{n} {result}" for result, n in sorted(Counter(o.result for o in found.values()).items()))
        with finished:
            outcomes.update({f"{name}::{test}": outcome for test, outcome in found.items()})
            print(f"{name}: {counts}", file=sys.stderr, flush=True)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(run, [path for path in find_tests(directory) if select in label(path, directory)]))
    return outcomes


class Difference(NamedTuple):
    """Tests that do not pass here, and why. `run`: whether they end alike every time, and soon enough to be run."""

    tests: tuple[str, ...]  # FILE::TEST, in which * stands for anything
    count: int
    kind: str
    reason: str
    run: bool = True

    def covers(self, test: str) -> bool:
        """Tell whether a test is one of these."""
        return any(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), test) for pattern in self.tests)


class Expected(NamedTuple):
    """What is expected of the tests: how many there are in each package, and which ones do not pass."""

    archives: dict[str, str]  # package -> version
    totals: dict[str, int]
    kinds: dict[str, str]
    differences: tuple[Difference, ...]

    @property
    def left_out(self) -> list[str]:
        """The tests that are not run."""
        return [test for difference in self.differences if not difference.run for test in difference.tests]


def read_expected(path: Path = EXPECTED) -> Expected:
    """Read the list of differences."""
    data = json.loads(path.read_text("utf-8"))
    rows = [{**row, "tests": tuple(row["tests"])} for row in data["differences"]]
    return Expected(data["archives"], data["tests"], data["kinds"], tuple(Difference(**row) for row in rows))


def compare(outcomes: dict[str, Outcome], expected: Expected) -> list[str]:
    """Return where the outcomes and the list disagree, a line each. A skipped test agrees with everything."""
    wrong = []
    found = [0] * len(expected.differences)
    for test, outcome in sorted(outcomes.items()):
        listed = [i for i, difference in enumerate(expected.differences) if difference.covers(test)]
        for i in listed:
            found[i] += 1
        if not listed and outcome.result not in ("passed", "skipped"):
            wrong.append(f"{test}: {outcome.result}, and not in the list: {outcome.message}")
        elif listed and outcome.result == "passed":
            wrong.append(f"{test}: passed, but the list has it: {expected.differences[listed[0]].reason}")
    for difference, number in zip(expected.differences, found, strict=True):
        if difference.run and number != difference.count:
            wrong.append(f"{difference.tests[0]} ...: {number} tests, the list says {difference.count}")
    left = Counter[str]()
    for difference in expected.differences:
        if not difference.run:
            left[difference.tests[0].partition("/")[0]] += difference.count
    ran = Counter(test.partition("/")[0] for test in outcomes)
    for package, total in expected.totals.items():
        if ran[package] + left[package] != total:
            wrong.append(f"{package}: {ran[package]} tests and {left[package]} left out, the list says {total}")
    return wrong


def run_expected(
    directory: Path, python: str, expected: Expected, *, jobs: int, timeout: float, support: Path = SUPPORT
) -> list[str]:
    """Run what the list says is run; return where they disagree, see `compare`.

    Some tests assert that an answer comes within a second. So a file whose tests end otherwise runs again,
    alone.
    """
    outcomes = run_all(directory, python, timeout=timeout, support=support, skip=expected.left_out, jobs=jobs)
    for name in sorted({line.partition("::")[0] for line in compare(outcomes, expected) if "::" in line}):
        for _ in range(2):
            if not any(line.startswith(f"{name}::") for line in compare(outcomes, expected)):
                break
            outcomes = {test: outcome for test, outcome in outcomes.items() if not test.startswith(f"{name}::")}
            outcomes |= run_all(
                directory, python, timeout=timeout, support=support, skip=expected.left_out, select=name
            )  # fmt: skip
    return compare(outcomes, expected)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print a summary, compare; the status is 1 if something differs from the list."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, help="checkouts or unpacked source archives of the reference")
    parser.add_argument("--expected", type=Path, help="compare with this list of differences", metavar="FILE")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write all outcomes, as JSON")
    parser.add_argument("--python", default=sys.executable, help="another interpreter (that of the reference)")
    parser.add_argument("--no-aliases", action="store_true", help="do not put the alias modules on the path")
    parser.add_argument("--support", type=Path, default=SUPPORT, help="stand-ins for what the archives lack")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="files at a time")
    parser.add_argument("--select", default="", metavar="TEXT", help="only files whose names contain this")
    parser.add_argument("--timeout", type=float, default=120, metavar="S", help="seconds for each file")
    options = parser.parse_args(arguments)
    expected = read_expected(options.expected) if options.expected else None
    outcomes = run_all(
        options.directory, options.python, aliases=not options.no_aliases, timeout=options.timeout,
        support=options.support, jobs=options.jobs, select=options.select,
        skip=expected.left_out if expected else (),
    )  # fmt: skip
    if not outcomes:
        parser.error(f"no tests/test_*.py below {options.directory}")
    if options.write:
        rows = {test: outcome._asdict() for test, outcome in sorted(outcomes.items())}
        options.write.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    for result, count in sorted(Counter(outcome.result for outcome in outcomes.values()).items()):
        print(f"{result:8} {count}")
    wrong = compare(outcomes, expected) if expected else []
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
