"""The reference distribution, in a virtual environment of its own that is made once and kept."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv-reference"
VERSION = "seamless-suite==1.4.3"

collect_ignore = ["reference_support"]  # belongs to the tests of the reference


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory with the commands of the reference; skip if it cannot be installed."""
    done = VENV / ".complete"
    with open(ROOT / ".venv-reference.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            for command in (
                [sys.executable, "-m", "venv", "--clear", str(VENV)],
                [str(VENV / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", VERSION],
            ):
                made = subprocess.run(command, capture_output=True, text=True, timeout=600)
                if made.returncode:
                    pytest.skip(f"the reference cannot be installed: {made.stderr.strip()[-300:]}")
            done.touch()
    return VENV / "bin"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a working directory with an input file."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "a.txt").write_text("alpha\nbeta\n")
    return tmp_path / "work"
