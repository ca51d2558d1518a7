"""`--dry --write-remote-job`: the job directory where the configuration executes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_the_directory_holds_inputs_and_a_script_that_runs(seamless_run: Callable[..., Any], work: Path) -> None:
    done = seamless_run("--dry", "--write-remote-job", "job", "--var", "N=2", "-c", "head -n $N a.txt; cat a.txt")
    assert (done.returncode, done.out) == (0, "Transformation submitted to remote server\n")
    assert sorted(path.name for path in (work / "job").iterdir()) == ["N", "a.txt", "transform.sh"]
    assert (work / "job" / "transform.sh").read_text().startswith("#!/bin/bash\n")
    subprocess.run(["./transform.sh"], cwd=work / "job", check=True)
    assert (work / "job" / "RESULT").read_text() == "alpha\nbeta\nalpha\nbeta\n"


def test_the_inputs_are_private_copies_and_no_result_is_kept(
    seamless_run: Callable[..., Any], work: Path, cache: Path
) -> None:
    seamless_run("--dry", "--write-remote-job", "job", "cat a.txt")
    (work / "job" / "a.txt").write_text("spoilt")
    assert "cached          no" in seamless_run("--dry=show", "cat a.txt").out
    assert seamless_run("cat a.txt").out == "alpha\nbeta\n"


def test_a_directory_that_exists_is_refused(seamless_run: Callable[..., Any], work: Path) -> None:
    (work / "job").mkdir()
    done = seamless_run("--dry", "--write-remote-job", "job", "cat a.txt")
    assert done.returncode == 2
    assert "Output job directory 'job' already exists" in done.err


def test_nothing_is_said_before_the_directory_is_there(seamless_run: Callable[..., Any], work: Path) -> None:
    (work / "file").write_text("")
    done = seamless_run("--dry", "--write-remote-job", "file/job", "cat a.txt")
    assert (done.returncode != 0, done.out) == (True, "")
