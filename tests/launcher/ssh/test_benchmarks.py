"""The benchmarks of the launcher can be run, and no situation needs more logins than promised. Speed is not tested."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers.sshd import missing

if TYPE_CHECKING:
    from tests.conftest import RunCli

pytestmark = pytest.mark.ssh
ROOT = Path(__file__).resolve().parents[3]


def test_no_situation_needs_more_logins_than_promised(
    run_cli: RunCli, tmp_path: Path, require: Callable[[object, str], None]
) -> None:
    require(not missing(), missing())
    command = [sys.executable, "-m", "benchmarks.launcher", "--quick", "--json", "-"]
    done = run_cli(command, cwd=ROOT, env={"BENCHMARK_DIR": str(tmp_path)})
    assert done.returncode == 0, done.stderr.decode()
    logins = {line["subject"]: line["ok"] for line in json.loads(done.stdout)["lines"] if line["unit"] == "logins"}
    assert len(logins) == 6
    assert [subject for subject, ok in logins.items() if not ok] == []
    assert list(tmp_path.iterdir()) == []
