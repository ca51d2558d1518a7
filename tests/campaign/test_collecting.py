"""Steps are computed while another process removes everything that can be computed again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from seamless.stores.embedded import open_embedded

PROGRAM = Path(__file__).with_name("collecting.py")
DEADLINE = 120.0  # seconds


def test_steps_go_on_while_all_that_can_go_is_removed(tmp_path: Path) -> None:
    cache, enough = tmp_path / "cache", tmp_path / "enough"
    store = open_embedded(cache / "__TOPLEVEL__")
    store.results.close()
    processes: list[subprocess.Popen[str]] = []

    def start(*words: Any) -> subprocess.Popen[str]:
        processes.append(
            subprocess.Popen(
                [sys.executable, PROGRAM, *map(str, words), enough],
                env={**os.environ, "SEAMLESS_CACHE": str(cache)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return processes[-1]

    def report(process: subprocess.Popen[str]) -> dict[str, Any]:
        out, err = process.communicate(timeout=DEADLINE)
        assert process.returncode == 0, err
        found: dict[str, Any] = json.loads(out)
        assert found["problems"] == []
        return found

    try:
        collecting = start("collect", store.directory)
        computing = [start("compute", first) for first in (0, 1_000_000)]
        assert all(report(process)["steps"] >= 10 for process in computing)
        enough.with_suffix(".end").touch()
        assert report(collecting)["removed"] >= 60
    finally:
        for process in processes:
            process.kill()
            process.communicate()
