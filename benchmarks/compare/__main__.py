"""Do the same small task with several tools, measure them in one run, and write `docs/compare.md`.

The tools are installed from PyPI into a virtual environment of their own. One that cannot be is listed as not measured.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.compare.page import Measured, page
from benchmarks.compare.tools import BIN, TASKS, TOOLS, Tool

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "docs" / "compare.md"
TEXTS = 10
WORDS = 150_000  # a text


class ToolError(Exception):
    """A tool has not done the task."""


def main() -> int:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("--venv", type=Path, default=ROOT / "build" / "compare-venv", help="where the tools are put")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median counts (default: 3)")
    parser.add_argument("--output", type=Path, default=TARGET, help="the page (default: docs/compare.md)")
    options = parser.parse_args()
    measured, missing = {}, {}
    for tool in TOOLS:
        reason = install(tool, options.venv)
        if reason:
            missing[tool.name] = reason
            continue
        print(f"{tool.name}...", file=sys.stderr)
        try:
            measured[tool.name] = measure(tool, options.venv, options.rounds)
        except ToolError as exc:
            print(exc, file=sys.stderr)
            missing[tool.name] = "it failed"
    options.output.write_text(page(measured, missing, options.rounds), encoding="utf-8")
    return 0


def install(tool: Tool, venv: Path) -> str:
    """Have the tool in the environment; return why that is impossible, or nothing."""
    if tool.packages:
        if not (venv / "bin" / "python").exists():
            subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        argv = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", *tool.packages]
        if subprocess.run(argv, capture_output=True, check=False).returncode:
            return f"{' and '.join(tool.packages)} could not be installed"
    path = f"{venv / 'bin'}:{os.environ['PATH']}"
    absent = [command for command in tool.needs if shutil.which(command, path=path) is None]
    return f"the command {absent[0]} is missing" if absent else ""


def measure(tool: Tool, venv: Path, rounds: int) -> Measured:
    """Return the median time, as a multiple of the plain script, and the steps executed, of each situation."""
    taken: dict[str, list[float]] = {}
    steps: dict[str, int] = {}
    for number in range(rounds):
        with tempfile.TemporaryDirectory(prefix="compare-") as place:
            for situation, ratio, count in one_round(tool, venv, Path(place), number):
                taken.setdefault(situation, []).append(ratio)
                steps[situation] = count
        print(
            f"  {tool.name}: { ({name: [round(v, 2) for v in values] for name, values in taken.items()}) }",
            file=sys.stderr,
        )
    return {name: (statistics.median(values), steps[name]) for name, values in taken.items()}


def one_round(tool: Tool, venv: Path, place: Path, seed: int) -> list[tuple[str, float, int]]:
    """Do the task in every situation; return (situation, multiple of the plain script, steps executed)."""
    project = Project(tool, venv, place, seed)
    found = [("first", *project.run())]
    reference = project.total()
    found.append(("again", *project.run()))
    for text in project.texts():
        os.utime(text)
    project.save()
    found.append(("touched", *project.run()))
    with project.texts()[0].open("a") as file:
        file.write(" once more\n")
    project.save()
    found.append(("one changed", *project.run()))
    if project.total() == reference:
        raise ToolError(f"{tool.name} has not noticed that a text has changed")
    project.delete_results()
    project.save()
    found.append(("results deleted", *project.run()))
    return found


class Project:
    """A new project directory with the texts, and a cache and a home of its own."""

    def __init__(self, tool: Tool, venv: Path, place: Path, seed: int):
        self.tool, self.place, self.directory = tool, place, place / "project"
        shutil.copytree(TASKS / "bin", place / "bin")
        (place / "home").mkdir()
        (self.directory / "texts").mkdir(parents=True)
        shutil.copy(TASKS / tool.file, self.directory)
        numbers = random.Random(seed)
        words = ["".join(numbers.choices("abcdefghijklmnopqrstuvwxyz", k=numbers.randint(2, 7))) for _ in range(5000)]
        for i in range(TEXTS):
            (self.directory / "texts" / f"{i}.txt").write_text(" ".join(numbers.choices(words, k=WORDS)) + "\n")
        self.environment = {
            "PATH": f"{place / 'bin'}:{venv / 'bin'}:{BIN}:{os.environ['PATH']}",
            "HOME": str(place / "home"),
            "SEAMLESS_CACHE": str(place / "cache"),
            "LC_ALL": "C.UTF-8",
            **tool.environment,
        }
        for argv in tool.setup:
            self._call(argv)

    def texts(self) -> list[Path]:
        """Return the inputs."""
        return sorted((self.directory / "texts").glob("*.txt"))

    def total(self) -> str:
        """Return the final result."""
        return (self.directory / "total.txt").read_text()

    def save(self) -> None:
        """Do what the tool wants done after a change of files."""
        for argv in self.tool.save:
            self._call(argv)

    def delete_results(self) -> None:
        """Delete the results, but not what the tool keeps for itself."""
        for path in [self.directory / "total.txt", *(self.directory / "counts").glob("*.txt")]:
            path.unlink()

    def run(self) -> tuple[float, int]:
        """Do the task; return its time as a multiple of the plain script, and how many steps were executed.

        The plain script is run right after it on the same texts, so that both find the machine equally busy.
        """
        seconds, steps = self._timed(self.directory, self.tool.argv)
        plain = self.place / "plain"
        shutil.rmtree(plain, ignore_errors=True)
        plain.mkdir()
        shutil.copytree(self.directory / "texts", plain / "texts")
        shutil.copy(TASKS / "plain.sh", plain)
        return seconds / self._timed(plain, ("bash", "plain.sh"))[0], steps

    def _timed(self, directory: Path, argv: tuple[str, ...]) -> tuple[float, int]:
        noted = self.place / "executed"
        noted.write_text("")
        start = time.perf_counter()
        self._call(argv, directory)
        return time.perf_counter() - start, len(noted.read_text().split())

    def _call(self, argv: tuple[str, ...], directory: Path | None = None) -> None:
        done = subprocess.run(
            argv,
            cwd=directory or self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            text = (done.stdout + done.stderr).decode(errors="replace")[-2000:]
            raise ToolError(f"{self.tool.name}: {' '.join(argv)} failed with {done.returncode}:\n{text}")


if __name__ == "__main__":
    sys.exit(main())
