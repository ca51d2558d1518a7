"""The benchmarks of execution can be run, and count what nobody has disturbed. How fast things are is not tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.execution import quiet

if TYPE_CHECKING:
    from tests.conftest import RunCli

pytest.importorskip("numpy")
ROOT = Path(__file__).resolve().parents[1]
NEEDED = dict.fromkeys(("steps", "durable", "arrays", "memory", "start", "recovery"), "numpy")
NEEDED |= {"jobserver": "uvicorn", "dask": "distributed"}


@pytest.mark.parametrize("group", NEEDED)
def test_a_quick_run_gives_json_and_leaves_nothing_behind(group: str, run_cli: RunCli, tmp_path: Path) -> None:
    pytest.importorskip(NEEDED[group])
    command = [sys.executable, "-m", "benchmarks.execution", "--quick", "--json", "-", group]
    done = run_cli(command, cwd=ROOT, env={"BENCHMARK_DIR": str(tmp_path)})
    assert done.returncode == 0, done.stderr.decode()
    lines = json.loads(done.stdout)["lines"]
    assert lines and all(line["value"] > 0 for line in lines)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_group_is_refused(run_cli: RunCli) -> None:
    done = run_cli([sys.executable, "-m", "benchmarks.execution", "nothing"], cwd=ROOT)
    assert done.returncode == 2
    assert b"no such group: nothing" in done.stderr


def test_only_segments_count_in_which_others_were_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    segments = iter([(9.0, 9.0, 0.0), (1.0, 0.5, 0.01), (2.0, 0.5, 0.01), (3.0, 0.5, 0.01), (50.0, 0.5, 0.9)])
    monkeypatch.setattr(quiet, "_segment", lambda function, services: next(segments))
    assert quiet.compare({"a": lambda: None}, 4)["a"] == quiet.Measured(2.0, 0.5, 3, True)


def test_if_too_few_are_quiet_all_count_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    segments = iter([(9.0, 9.0, 0.0), (1.0, 0.5, 0.01), (5.0, 0.5, 0.9), (7.0, 0.5, 0.9)])
    monkeypatch.setattr(quiet, "_segment", lambda function, services: next(segments))
    assert quiet.compare({"a": lambda: None}, 3)["a"] == quiet.Measured(5.0, 0.5, 3, False)


def test_the_time_of_children_that_have_ended_is_own_time() -> None:
    before = quiet.tree_seconds()
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.2: pass"], check=True)
    assert quiet.tree_seconds() - before >= 0.15
