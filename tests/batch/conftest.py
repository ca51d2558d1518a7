"""Batch systems for the scripts that are shipped."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.batch.support import ROOT
from tests.integration.place import SCRIPTS


@pytest.fixture
def slurm(tmp_path: Path, require: Callable[[object, str], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the directory of jobs on a SLURM cluster of this machine, with a cache of its own."""
    require(os.geteuid() == 0, "a private SLURM cluster needs root")
    require("slurmctld", "SLURM is missing")
    script = ROOT / "tests" / "lab" / "slurm.sh"
    directory = Path(tempfile.mkdtemp(prefix="slurm-lab-"))  # its path is part of the names of sockets: a short one
    work = tmp_path / "jobs"
    work.mkdir()
    subprocess.run([script, "start", directory], capture_output=True, timeout=60, check=True)
    try:
        monkeypatch.setenv("SLURM_CONF", str(directory / "slurm.conf"))
        monkeypatch.setenv("SEAMLESS_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("PATH", f"{SCRIPTS}:{os.environ['PATH']}")
        monkeypatch.chdir(work)
        yield work
    finally:
        subprocess.run([script, "stop", directory], capture_output=True, timeout=60, check=True)
        shutil.rmtree(directory, ignore_errors=True)


OAR_LAB, OAR_USER = ROOT / "tests" / "lab" / "oar.sh", "oarlab"
OAR_PLACE = Path(f"/var/tmp/seamless-oar-{os.getuid()}")


class Oar:
    """OAR on this machine, a directory for jobs, and Seamless where the user of the jobs can execute it."""

    def __init__(self, root: Path, venv: Path):
        self.root, self.work, self.cache, self.venv = root, root / "work", root / "cache", venv
        for directory in (self.work, self.cache):
            directory.mkdir()
            directory.chmod(0o777)
        self.words = f"PATH={venv}/bin:/usr/bin:/bin SEAMLESS_CACHE={self.cache}"

    def run(self, *words: object) -> str:
        """Run a command of OAR as its user in the directory for jobs; return its output."""
        command = f"cd {shlex.quote(str(self.work))} && {shlex.join(map(str, words))}"
        done = subprocess.run(
            ["runuser", "-l", OAR_USER, "-c", command], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def submit(self, *words: object) -> list[str]:
        """Submit; return the numbers of the jobs."""
        return re.findall(r"^OAR_JOB_ID=(\d+)$", self.run("oarsub", *words), re.MULTILINE)

    def states(self, jobs: list[str]) -> dict[str, str]:
        """Return the states of jobs."""
        words = [word for job in jobs for word in ("-j", job)]
        found = json.loads(self.run("oarstat", "-J", *words))
        return {number: found[number]["state"] for number in jobs}

    def shared(self, name: str) -> Path:
        """Return a script of the repository where the user of the jobs can execute it."""
        path = self.work / name
        shutil.copy(ROOT / "oar" / name, path)
        path.chmod(0o755)
        return path


@pytest.fixture
def oar(require: Callable[[object, str], None]) -> Iterator[Oar]:
    """Return OAR with a directory for jobs. There is one OAR per machine: tests take turns."""
    require(os.geteuid() == 0, "OAR needs root")
    require("oarsub", "OAR is missing")
    root = Path(tempfile.mkdtemp(prefix="seamless-oar-", dir="/var/tmp"))
    root.chmod(0o755)
    OAR_PLACE.mkdir(exist_ok=True)
    with open(OAR_PLACE / "lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        venv = OAR_PLACE / "venv"
        for words in (
            ["/usr/bin/python3", "-m", "venv", venv],
            [venv / "bin" / "pip", "install", "--quiet", "--force-reinstall", f"{ROOT}[shell]"],
        ):
            subprocess.run(words, capture_output=True, timeout=300, check=True)
        started = subprocess.run([OAR_LAB, "status"], capture_output=True, timeout=60, check=False).returncode != 0
        subprocess.run([OAR_LAB, "start"], capture_output=True, timeout=120, check=True)
        try:
            yield Oar(root, venv)
        finally:
            if started:
                subprocess.run([OAR_LAB, "stop"], capture_output=True, timeout=120, check=False)
            shutil.rmtree(root)
