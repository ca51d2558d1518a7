"""From a project file to services that run on this machine, and back: a second process finds the result."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.config.conftest import Project

pytest.importorskip("uvicorn")
pytest.importorskip("fastapi")

PROGRAM = """
import sys
import seamless.config as config
from seamless.transformer import direct

@direct
def step(a, path):
    with open(path, "a") as trace:
        trace.write("x")
    return a + 1

config.set_stage(sys.argv[1] or None)
print(step(4, sys.argv[2]), *config.describe()["active"])
"""


@pytest.fixture
def services(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A cluster that is this machine, with commands for its services; what was started is stopped."""
    bin_directory = tmp_path / "bin"
    bin_directory.mkdir()
    for command, module in (("hashserver", "hashserver"), ("seamless-database", "database")):
        script = bin_directory / command
        text = f"#!{sys.executable}\nimport sys\nfrom seamless.cli.{module} import main\nsys.exit(main())\n"
        script.write_text(text)
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_directory}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("REMOTE_HTTP_LAUNCHER_DIR", str(tmp_path / "launcher"))
    data = tmp_path / "data"
    project.clusters(
        f"here: {{frontends: [{{hashserver: {{bufferdir: {data}/b}}, database: {{database_dir: {data}/d}}}}]}}\n"
    )
    project.write("- project: p\n- cluster: here\n- execution: process\n")
    yield project
    from seamless.launcher import stop

    state = tmp_path / "launcher" / "server"
    for path in state.glob("*.json") if state.is_dir() else ():
        stop(path.stem)


def run(project: Project, stage: str, trace: Path) -> str:
    program = project.root / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(program), stage, str(trace)],
        cwd=project.root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_result_is_found_by_another_process_but_not_in_another_stage(services: Project, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    assert run(services, "", trace) == "5 buffer database\n"
    assert run(services, "", trace) == "5 buffer database\n"
    assert trace.read_text() == "x"
    assert run(services, "other", trace) == "5 buffer database\n"
    assert trace.read_text() == "xx"
    assert (tmp_path / "data" / "d" / "p" / "STAGE-other" / "seamless.db").exists()
