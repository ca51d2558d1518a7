"""A fault at every single call of the file system that an operation makes: killed there, or told that it fails."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

SWEEP = Path(__file__).with_name("sweep.py")
FAULTS = {"killed": 0, "disk-full": errno.ENOSPC, "disk-error": errno.EIO}
MEMORY = Path("/dev/shm")  # no time is spent on a disk: what is synchronised when is counted, not waited for
OPERATIONS = ("put", "ingest", "result", "gc", "import")


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_at_any_call_loses_or_falsifies_anything(
    operation: str, fault: str, shim: Path, tmp_path: Path
) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else tmp_path) as work:
        done = subprocess.run(
            [sys.executable, SWEEP, shim, operation, str(FAULTS[fault]), work],
            env={**os.environ, "LD_PRELOAD": str(shim)},
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["problems"] == []
    assert report["calls"] == report["faults"] > 3
    if fault == "killed":
        assert report["acknowledged"] == 0
