"""A few hours of use of all services at once: what they take does not grow with the use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.soak.watch import MEMORY, Sample, growth

ROOT = Path(__file__).resolve().parents[2]
HOURS = 5
# What may be more at the end than after the second hour: what was just being done. Whatever stays behind each hour
# would be three, of each step or request hundreds.
MOST = {MEMORY: 25.0, "descriptors": 20.0, "threads": 20.0}
OTHERWISE = 2.0


def test_hours_of_use_leave_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.soak", "--hours", str(HOURS), "--repeat", "1", "--json", "-"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    report = json.loads(done.stdout)
    assert report["done"]["steps: jobserver"] == report["done"]["steps: workers"] > 0
    first, last = report["samples"][1], report["samples"][-1]
    grown = {name: last[name] - first[name] for name in last}
    too_much = {name: more for name, more in grown.items() if more > MOST.get(name.rpartition(": ")[2], OTHERWISE)}
    too_much.pop("MB of the journal of the database", None)
    assert too_much == {}
    assert list(tmp_path.iterdir()) == [], "everything was cleared up"


def sample(value: float) -> Sample:
    return {f"program: {MEMORY}": 100.0, "program: descriptors": value}


@pytest.mark.parametrize(
    ("values", "flat"),
    [([9, 5, 5, 5, 5, 5, 5, 5], True), ([1, 2, 3, 4, 5, 6, 7, 8], False), ([9, 5, 5, 9, 9, 9, 4, 4], True)],
)
def test_what_grows_after_the_first_hours_is_found(values: list[float], flat: bool) -> None:
    found = {one.name: one.flat for one in growth([sample(value) for value in values])}
    assert found == {f"program: {MEMORY}": True, "program: descriptors": flat}
