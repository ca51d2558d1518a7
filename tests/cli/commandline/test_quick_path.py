"""A plain command line is analysed without anything beyond a few small modules of the standard library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROBE = """
import sys, os, seamless.cli
before = set(sys.modules)
from seamless.cli.commandline.plan import PlanOptions, make_plan
assert make_plan(PlanOptions(["cat", "a.txt"])).inputs[0].name == "a.txt"
print(" ".join(sorted(m for m in set(sys.modules) - before if not m.startswith("seamless.cli.commandline."))))
"""


def test_a_plain_line_loads_nothing_but_the_analysis(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    run = subprocess.run([sys.executable, "-c", PROBE], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert set(run.stdout.split()) <= {"seamless.cli.commandline", "seamless.errors", "stat", "typing"}
