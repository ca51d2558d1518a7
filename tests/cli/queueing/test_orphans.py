"""What is left of a killed server: its commands are ended, their directories removed, and nothing else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from seamless.cli.queueing.orphans import VARIABLE, end_orphans
from seamless.transformer.bash.workspace import PREFIX


def ended_process() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_a_command_with_the_marker_is_ended_and_its_directory_removed(temporary: Path) -> None:
    marker = f"{os.uname().nodename}:{ended_process()}:{os.urandom(8).hex()}"
    directory, elsewhere = temporary / f"{PREFIX}1-x", temporary / "service"
    processes = []
    for cwd in (directory, elsewhere):
        cwd.mkdir()
        environment = {**os.environ, VARIABLE: marker}
        processes.append(subprocess.Popen(["sleep", "1000"], cwd=cwd, env=environment, start_new_session=True))
    try:
        assert end_orphans(marker) == 1
        assert processes[0].wait(60) == -9
        assert processes[1].poll() is None
        assert sorted(temporary.iterdir()) == [elsewhere]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_directories_of_a_server_that_has_ended_are_removed_and_those_of_others_stay(temporary: Path) -> None:
    pid = ended_process()
    for name in (f"{PREFIX}{pid}-a", f"{PREFIX}{os.getpid()}-b", f"{PREFIX}{pid}1-c", "other"):
        (temporary / name).mkdir()
    assert end_orphans(f"{os.uname().nodename}:{pid}:0") == 0
    assert f"{PREFIX}{pid}-a" not in os.listdir(temporary)
    assert end_orphans(f"{os.uname().nodename}:{os.getpid()}:0") == 0
    assert end_orphans("another-host:1:0") == 0
    assert sorted(os.listdir(temporary)) == sorted([f"{PREFIX}{os.getpid()}-b", f"{PREFIX}{pid}1-c", "other"])
