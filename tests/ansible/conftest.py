"""Ansible in an environment of its own that outlives a run, and what the playbooks carry to other machines."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLACE = Path(f"/var/tmp/seamless-ansible-{os.getuid()}")
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
LOCK = ROOT / "images" / "seamless-dask.lock"
SECONDS = 600
SYSTEM_PYTHON = "/usr/bin/python3"


def make(stamp: Path, content: str, *commands: list[str | Path]) -> str:
    """Run commands unless the stamp says that they have been; return what is wrong, or nothing. One at a time."""
    PLACE.mkdir(exist_ok=True, mode=0o755)
    with open(PLACE / "lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == content:
            return ""
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
            if done.returncode != 0:
                return f"{command} failed: {done.stdout}{done.stderr}"
        stamp.write_text(content)
    return ""


@pytest.fixture(scope="session")
def made_tools() -> str:
    venv = PLACE / "venv"
    return make(
        venv / "made-from",
        f"{sys.version}{REQUIREMENTS.read_text()}",
        [sys.executable, "-m", "venv", "--clear", venv],
        [venv / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS],
    )


@pytest.fixture
def tools(require: Callable[[object, str], None], made_tools: str) -> Path:
    """Return the directory of ansible-playbook, ansible-lint and molecule."""
    require(not made_tools, f"Ansible cannot be had: {made_tools}")
    return PLACE / "venv" / "bin"


@pytest.fixture(scope="session")
def made_dist(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Have the files of this repository made, for the Python of the system; return where, and what is wrong."""
    version = subprocess.run(
        [SYSTEM_PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout.strip()  # fmt: skip
    output = tmp_path_factory.mktemp("dist")
    lock = Path(shutil.copy(LOCK, output))
    words = ["--output", output, "--lock", lock, "--python", version]
    command = ["env", f"PYTHON={sys.executable}", ROOT / "ansible" / "prepare.sh", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    return output, done.stderr if done.returncode else ""


@pytest.fixture
def dist(require: Callable[[object, str], None], made_dist: tuple[Path, str]) -> Path:
    """Return the directory in which prepare.sh has put its files, and a copy of the lock."""
    directory, problem = made_dist
    require(not problem, f"the wheels cannot be had: {problem}")
    return directory
