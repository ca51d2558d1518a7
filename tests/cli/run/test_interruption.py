"""Ctrl-C and SIGTERM: the command is gone at once, and nothing is left of the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.run.processes import alive, wait_for


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("options", [[], ["--timeout", "100"]])
def test_an_interrupted_run_leaves_nothing_behind(
    work: Path, tmp_path: Path, number: signal.Signals, options: list[str]
) -> None:
    pid_file = tmp_path / "pid"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    line = f"sleep 60 & echo $! | tee {pid_file}; wait; cat a.txt > o.txt"
    run = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "seamless.cli.run",
            *options,
            line,
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(temporary)},
        # As in an interactive shell; a test runner in the background hands on an ignored SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    wait_for(lambda: pid_file.exists() and pid_file.read_text().strip())
    assert (work / "o.txt.FUTURE").exists()
    pid = int(pid_file.read_text())
    assert alive(pid)
    run.send_signal(number)
    out, err = run.communicate(timeout=30)
    assert (run.returncode, out) == (130, b"")
    assert b"Canceled transformation " in err
    assert b"Traceback" not in err
    wait_for(lambda: not alive(pid))
    assert sorted(p.name for p in work.iterdir()) == ["a.txt"]
    assert list(temporary.iterdir()) == []
