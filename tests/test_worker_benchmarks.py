"""The benchmarks of the workers can be run. How fast things are is not tested."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import RunCli

pytest.importorskip("numpy")
ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("group", ["start", "warm", "recovery", "arrays"])
def test_a_quick_run_gives_json(group: str, run_cli: RunCli) -> None:
    done = run_cli([sys.executable, "-m", "benchmarks.workers", "--quick", "--json", "-", group], cwd=ROOT)
    assert done.returncode == 0, done.stderr.decode()
    rows = json.loads(done.stdout)["rows"]
    assert rows and all(row["seconds"] > 0 and row["rival_seconds"] > 0 for row in rows)


def test_an_unknown_group_is_refused(run_cli: RunCli) -> None:
    done = run_cli([sys.executable, "-m", "benchmarks.workers", "nothing"], cwd=ROOT)
    assert done.returncode == 2
    assert b"no such group: nothing" in done.stderr
