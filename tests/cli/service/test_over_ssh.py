"""The commands for services, and the doctor, with the real servers on a machine behind a real sshd."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.service.conftest import Result
from tests.helpers.sshd import make_sshd as make_sshd
from tests.helpers.sshd import sshd as sshd
from tests.helpers.sshd import tunnels, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.service.conftest import Command, Place
    from tests.helpers.sshd import Sshd

pytestmark = pytest.mark.ssh

KEYS = ["database-far-rw-thesis", "hashserver-far-rw-thesis"]
CLUSTER = """
- project: thesis
- cluster: far
- execution: process
- clusters:
    far:
      tunnel: true
      frontends:
        - hostname: 127.0.0.1
          ssh_hostname: plain
          hashserver: {bufferdir: ~/buffers}
          database: {database_dir: ~/results}
"""


@pytest.fixture
def far(place: Place, sshd: Sshd, command: Command) -> Iterator[Sshd]:
    """Configure the machine behind sshd; its services end with the test."""
    (place.work / "seamless.yaml").write_text(CLUSTER)
    yield sshd
    command("stop", "--cluster", "far")


def test_services_there_are_launched_listed_stopped_cleared_and_forgotten(
    place: Place, far: Sshd, command: Command
) -> None:
    assert command("init", "-q") == (0, "", "")
    assert command("init", "--check", "-q").status == 0
    listed = command("ps", "--cluster", "far", "--json")
    assert listed.err == ""
    assert {(row["service"], row["process"], row["project"]) for row in listed.rows} == {
        ("hashserver", "running", "thesis"),
        ("database", "running", "thesis"),
    }
    assert json.loads(command("inspect", "--service", "database").out)["workdir"].endswith("/results/thesis")
    assert "listening" in command("logs", "--service", "hashserver").out
    assert "is running in" in command("clear", "--service", "database").err
    assert "runs on plain" in command("rm", "--service", "database").err
    stopped = command("stop", "--cluster", "far", "--json")
    assert [(row["key"], row["outcome"], row["host"]) for row in stopped.rows] == [
        (key, "stopped", "plain") for key in KEYS
    ]
    assert {row["process"] for row in command("ps", "--json").rows} == {"stale"}
    wait_for(lambda: not tunnels(place.base.parent), "a tunnel is left")
    assert command("clear", "--service", "database").status == 0
    assert not (far.home / "results" / "thesis" / "seamless.db").exists()
    assert command("rm", "--cluster", "far").status == 0
    assert command("ps", "--json").rows == []
    assert list((far.home / ".remote-http-launcher" / "server").glob("*.json")) == []


@pytest.fixture
def doctor(capfdbinary: pytest.CaptureFixture[bytes]) -> Command:
    """Return doctor(*arguments): run the doctor in this process."""
    from seamless.cli.doctor.main import main

    def call(*arguments: str) -> Result:
        capfdbinary.readouterr()
        status = main(arguments)
        printed = capfdbinary.readouterr()
        return Result(status, printed.out.decode(), printed.err.decode())

    return call


def test_the_doctor_finds_nothing_wrong_before_and_after_the_launch(
    far: Sshd, command: Command, doctor: Command
) -> None:
    assert doctor("-q") == (0, "", "")
    assert command("init", "-q").status == 0
    result = doctor("--json")
    assert result.status == 0
    assert [row["result"] for row in result.rows if row["check"] == "token"] == ["accepted", "accepted"]
    assert all("tunnel to plain" in row["result"] for row in result.rows if row["check"] == "service")


def test_under_a_guard_services_are_looked_at_and_stopped_but_not_cleared_elsewhere(
    place: Place, far: Sshd, command: Command, doctor: Command
) -> None:
    roots = far.root / "roots"
    roots.write_text(f"{far.home}/buffers\n")
    roots.chmod(0o600)
    guard = far.path.split(":")[0] + "/rhl-guard"
    far.authorize("guarded", f'restrict,command="{guard} --data-roots {roots}"')
    (place.work / "seamless.yaml").write_text(CLUSTER.replace("plain", "guarded"))
    assert command("ps", "--server").status == 0
    assert command("stop", "--service", "hashserver").out == f"{KEYS[1]}: missing state\n"
    result = command("clear", "--service", "database", "--yes")
    assert result.status == 1
    assert "guarded refuses rhl-" in result.err
    result = doctor("--json")
    assert result.status == 1
    (finding,) = [row for row in result.rows if row["status"] == "problem"]
    assert (finding["check"], finding["place"]) == ("directory", "guarded")
    assert "~/results" in finding["result"]
