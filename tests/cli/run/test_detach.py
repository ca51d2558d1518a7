"""`--detach`: the command goes on without its caller, and the same command finds it again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cli.run.processes import wait_for


def gated(tmp_path: Path, line: str) -> tuple[str, Path, Path]:
    """Return a line that runs until the gate is opened, the gate, and the file that counts executions."""
    gate, count = tmp_path / "gate", tmp_path / "count"
    return f"echo x >> {count}; until test -e {gate}; do sleep 0.01; done; {line}", gate, count


def test_the_caller_gets_the_checksum_at_once_and_the_result_comes_later(
    seamless_run: Callable[..., Any], work: Path, tmp_path: Path
) -> None:
    line, gate, _ = gated(tmp_path, "echo 1 > o.txt")
    done = seamless_run("--detach", line)
    assert (done.returncode, len(done.out)) == (0, 65)
    assert "running as process" in done.err
    assert (work / "o.txt.FUTURE").read_text().startswith(done.out.strip())
    gate.touch()
    wait_for((work / "o.txt.CHECKSUM").exists)
    wait_for(lambda: not (work / "o.txt.FUTURE").exists())
    assert (work / "o.txt").read_text() == "1\n"


def test_the_same_command_waits_for_the_detached_one_and_takes_its_result(
    seamless_run: Callable[..., Any], work: Path, tmp_path: Path
) -> None:
    line, gate, count = gated(tmp_path, "echo 1")
    seamless_run("--detach", line)
    again = subprocess.Popen(
        [sys.executable, "-m", "seamless.cli.run", line],
        cwd=work,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert again.stderr is not None
    assert "Waiting for the same step" in again.stderr.readline()
    gate.touch()
    assert again.communicate(timeout=60)[0] == "1\n"
    assert again.returncode == 0
    assert count.read_text() == "x\n"


def test_a_known_result_is_delivered_without_detaching(seamless_run: Callable[..., Any]) -> None:
    seamless_run("cat a.txt")
    done = seamless_run("--detach", "cat a.txt")
    assert (done.returncode, done.out, done.err) == (0, "alpha\nbeta\n", "")


def test_a_mistake_is_told_before_detaching(seamless_run: Callable[..., Any]) -> None:
    done = seamless_run("--detach", "cat missing.txt")
    assert (done.returncode, done.out) == (2, "")
    assert "does not exist" in done.err


def test_what_a_failing_command_says_is_in_the_log(
    seamless_run: Callable[..., Any], work: Path, tmp_path: Path
) -> None:
    line, gate, _ = gated(tmp_path, "echo oh no >&2; exit 3")
    done = seamless_run("--detach", line)
    log = Path(done.err.strip().rpartition(" in ")[2])
    gate.touch()
    wait_for(lambda: "exit status 3" in log.read_text())
    assert "oh no\n" in log.read_text()


def test_the_log_of_a_success_is_removed(seamless_run: Callable[..., Any], work: Path, tmp_path: Path) -> None:
    line, gate, _ = gated(tmp_path, "echo 1 > o.txt")
    log = Path(seamless_run("--detach", line).err.strip().rpartition(" in ")[2])
    gate.touch()
    wait_for(lambda: not os.path.lexists(log))
    assert (work / "o.txt").exists()
