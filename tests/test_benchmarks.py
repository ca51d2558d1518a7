"""The benchmarks can be run, and their table tells what was missed. How fast things are is not tested."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.__main__ import NAMES, duration, table
from benchmarks.measure import Row

if TYPE_CHECKING:
    from tests.conftest import RunCli

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_has_a_title_and_can_be_run(name: str) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    assert module.TITLE
    assert callable(module.run)


def test_the_list_of_benchmarks_is_complete() -> None:
    helpers = {"__init__", "__main__", "measure", "reliability", "steps"}
    assert {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - helpers == set(NAMES)


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.3456, "12.3 s"), (0.0421, "42.1 ms"), (0.000_004_56, "4.56 us"), (123e-6, "123 us")]
)
def test_a_duration_has_three_digits_and_a_fitting_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_table_marks_a_goal_that_is_missed() -> None:
    kept, missed = Row("a", 1.0, "floor", 1.0, goal=1.5), Row("b", 2.0, "floor", 1.0, goal=1.5)
    lines = table([("x", kept), ("x", missed)]).splitlines()
    assert ["MISSED" in line for line in lines[2:]] == [False, True]


def test_more_memory_than_promised_is_a_missed_goal() -> None:
    assert Row("a", 1.0, "floor", 1.0, goal=1.5, peak_bytes=200, peak_limit=100).ok is False


def test_a_run_gives_json(run_cli: RunCli) -> None:
    done = run_cli([sys.executable, "-m", "benchmarks", "--quick", "--json", "-", "import_time"], cwd=ROOT)
    assert done.returncode == 0, done.stderr.decode()
    rows = json.loads(done.stdout)["benchmarks"]["import_time"]["rows"]
    assert {row["rival"] for row in rows} == {"bare interpreter", "import numpy"}
