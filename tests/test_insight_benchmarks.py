"""The benchmarks of insight can be run. Speed is not tested."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conftest import RunCli

ROOT = Path(__file__).resolve().parents[1]


def test_a_quick_run_gives_json_and_leaves_nothing_behind(run_cli: RunCli, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.insight", "--quick", "--json", "-"]
    done = run_cli(command, cwd=ROOT, env={"BENCHMARK_DIR": str(tmp_path)})
    assert done.returncode == 0, done.stderr.decode()
    rows = json.loads(done.stdout)
    assert [row["subject"].split(",")[0] for row in rows] == ["gc --dry-run", "gc --dry-run", "explain", "dashboard"]
    assert list(tmp_path.iterdir()) == []
