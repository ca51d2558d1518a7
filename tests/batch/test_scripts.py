"""What the scripts make of files that people write, without a batch system: each line is a command, the last too."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.batch.support import ROOT

SYSTEMS = {"slurm": "SLURM_ARRAY_TASK_ID", "oar": "OAR_ARRAY_INDEX"}
FILES = {
    "as usual": b"one 'a b'\ntwo\n",
    "without an end of the last line": b"one 'a b'\ntwo",
    "with the ends of lines of another system": b"one 'a b'\r\ntwo\r\n",
}
FAKE = """#!/bin/sh
{ printf '<%s>' "$@"; echo " ${SEAMLESS_REMOTE_CLIENTS:--}"; } >>"$CALLS"
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Return a directory with a `seamless-run` that only notes how it is called."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "seamless-run"
    program.write_text(FAKE)
    program.chmod(0o755)
    return tmp_path


def calls(work: Path, script: str, *words: str, **variables: str) -> list[str]:
    """Run a script; return how it has called seamless-run, sorted."""
    environment = {"PATH": f"{work}/bin:/usr/bin:/bin", "CALLS": str(work / "calls"), **variables}
    command = [ROOT / script, *words]
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = sorted((work / "calls").read_text().splitlines())
    (work / "calls").unlink()
    return found


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_line_is_executed_by_arrays_and_pilots(work: Path, system: str, kind: str) -> None:
    (work / "commands").write_bytes(FILES[kind])
    wanted = ["<--yes><-c><one 'a b'> -", "<--yes><-c><two> -"]
    assert calls(work, f"{system}/pilot.sh", "commands") == wanted
    count = subprocess.run(["grep", "-c", "", work / "commands"], capture_output=True, text=True, check=True).stdout
    found = [calls(work, f"{system}/array.sh", "commands", **{SYSTEMS[system]: str(i + 1)}) for i in range(int(count))]
    assert [call for each in found for call in each] == wanted


@pytest.mark.parametrize("script", ["slurm/step.sh", "oar/step.sh"])
def test_services_that_somebody_else_names_are_not_used(work: Path, script: str) -> None:
    clients = work / ".seamless-clients.json"
    clients.write_text("{}")
    assert calls(work, script, "true") == ["<--yes><true> {}"]
    if os.getuid() == 0:
        os.chown(clients, 65534, 65534)
        assert calls(work, script, "true") == ["<--yes><true> -"]


def test_variables_may_have_digits_in_their_names(work: Path) -> None:
    assert calls(work, "oar/step.sh", "A_1=x", "SEAMLESS_REMOTE_CLIENTS=y", "true") == ["<--yes><true> y"]
