"""The benchmarks of the services can be run, and their table tells what was missed. Speed is not tested."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.services.client import request
from benchmarks.services.report import Line, medians, table

if TYPE_CHECKING:
    from tests.conftest import RunCli

pytest.importorskip("uvicorn")
ROOT = Path(__file__).resolve().parents[1]
GROUPS = {"buffers": "GET 1 KB", "results": "lookup", "steps": "first call of a process"}


@pytest.mark.parametrize("group", GROUPS)
def test_a_quick_run_gives_json_and_leaves_nothing_behind(group: str, run_cli: RunCli, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.services", "--quick", "--json", "-", group]
    done = run_cli(command, cwd=ROOT, env={"BENCHMARK_DIR": str(tmp_path)})
    assert done.returncode == 0, done.stderr.decode()
    lines = json.loads(done.stdout)["lines"]
    assert lines[0]["subject"].startswith(GROUPS[group])
    assert all(line["value"] > 0 for line in lines)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_group_is_refused(run_cli: RunCli) -> None:
    done = run_cli([sys.executable, "-m", "benchmarks.services", "nothing"], cwd=ROOT)
    assert done.returncode == 2
    assert b"no such group: nothing" in done.stderr


@pytest.mark.parametrize(
    ("unit", "value", "ok"), [("requests/s", 60, True), ("requests/s", 40, False), ("ms", 40, True), ("ms", 60, False)]
)
def test_a_rate_must_reach_its_goal_and_a_time_must_not_exceed_it(unit: str, value: float, ok: bool) -> None:
    assert Line("a", value, unit, goal=50).ok is ok
    assert Line("a", value, unit, "floor", 100, ratio_goal=0.5).ok is ok


def test_a_ratio_that_nobody_was_there_for_is_not_judged() -> None:
    assert Line("a", 1, "requests/s", ratio_goal=10).ok is None


def test_the_table_marks_a_goal_that_is_missed() -> None:
    lines = table([Line("a", 60, "MB/s", goal=50), Line("b", 40, "MB/s", goal=50)]).splitlines()
    assert ["MISSED" in line for line in lines[2:]] == [False, True]


def test_rivals_take_turns_and_the_median_counts() -> None:
    order: list[str] = []
    values = {"a": iter([1.0, 9.0, 2.0]), "b": iter([5.0, 5.0, 5.0])}

    def measure(name: str) -> float:
        order.append(name)
        return next(values[name])

    assert medians({"a": lambda: measure("a"), "b": lambda: measure("b")}, 3) == {"a": 2.0, "b": 5.0}
    assert order == ["a", "b"] * 3


def test_a_request_tells_the_length_of_its_body() -> None:
    head, _, body = request("PUT", "/x", b"12345").partition(b"\r\n\r\n")
    assert body == b"12345"
    assert b"Content-Length: 5" in head.split(b"\r\n")
