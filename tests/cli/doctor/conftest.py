"""A configuration, machines that it names, and the doctor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.helpers.fake_ssh import FakeSsh


class Report(NamedTuple):
    """What the doctor has said: its exit status and its findings."""

    status: int
    findings: list[dict[str, Any]]

    def of(self, check: str, place: str | None = None) -> list[dict[str, Any]]:
        """Return the findings of a check."""
        return [f for f in self.findings if f["check"] == check and place in (None, f["place"])]

    def one(self, check: str, place: str | None = None) -> dict[str, Any]:
        """Return the only finding of a check."""
        (finding,) = self.of(check, place)
        return finding

    @property
    def problems(self) -> list[tuple[str, str]]:
        """Check and place of what is wrong."""
        return [(f["check"], f["place"]) for f in self.findings if f["status"] == "problem"]


class Clinic:
    """A project directory, the machines around it, and `examine`."""

    def __init__(self, root: Path, ssh: FakeSsh, capsys: pytest.CaptureFixture[str]):
        self.work, self.ssh, self._capsys = root, ssh, capsys

    def configure(self, frontends: str, *, execution: str = "process", more: str = "", cluster: str = "") -> None:
        """Configure the cluster `far` with these frontends."""
        (self.work / "seamless.yaml").write_text(
            f"- project: p\n- cluster: far\n- execution: {execution}\n{more}"
            f"- clusters:\n    far:\n      frontends: {frontends}\n{cluster}"
        )

    def far(self, buffers: str = "bufferdir: ~/b", results: str = "database_dir: ~/d") -> None:
        """Configure the cluster `far` with both stores on the machine a.example."""
        self.configure(f"[{{hostname: a.example, hashserver: {{{buffers}}}, database: {{{results}}}}}]")

    def examine(self, *arguments: str) -> Report:
        """Run the doctor."""
        from seamless.cli.doctor.main import main

        self._capsys.readouterr()
        status = main([*arguments, "--json"])
        return Report(status, [json.loads(line) for line in self._capsys.readouterr().out.splitlines()])

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run the doctor for people."""
        from seamless.cli.doctor.main import main

        self._capsys.readouterr()
        status = main(list(arguments))
        return (status, *self._capsys.readouterr())


@pytest.fixture
def clinic(
    tmp_path: Path, isolation: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Clinic:
    ssh = FakeSsh(tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("SEAMLESS_SSH", str(ssh.program))
    monkeypatch.setenv("SEAMLESS_SITE_CONFIG", "")
    return Clinic(work, ssh, capsys)
