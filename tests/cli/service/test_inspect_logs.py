"""`seamless-service-inspect` and `seamless-service-logs`."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.service.conftest import Command, Place

KEY = "database-ws-rw-thesis"
DATABASE = ("--service", "database")
LINES = "".join(f"line {i}\n" for i in range(5))


@pytest.fixture
def log(place: Place) -> None:
    place.record(KEY)
    (place.base / "server" / f"{KEY}.log").write_text(LINES)


# --- inspect --------------------------------------------------------------------------------------


def test_the_state_is_printed_without_its_token(place: Place, command: Command) -> None:
    place.record_alive(KEY, token="secret", meta={"service": "database"})
    result = command("inspect", *DATABASE)
    assert (result.status, result.err) == (0, "")
    state = place.state(KEY)
    assert state is not None
    assert json.loads(result.out) == {name: value for name, value in state.items() if name != "token"}
    assert json.loads(command("inspect", *DATABASE, "--show-token").out) == state


def test_a_process_that_is_gone_is_said_to_be(place: Place, command: Command) -> None:
    place.record(KEY, status="running", pid=2**30)
    result = command("inspect", *DATABASE)
    assert json.loads(result.out)["status"] == "running"
    assert f"{KEY} is stale" in result.err


def test_without_a_state_there_is_nothing_to_inspect(place: Place, command: Command) -> None:
    assert command("inspect", *DATABASE) == (1, "", f"rhl-inspect: no state file for '{KEY}'\n")


# --- logs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        ([], LINES),
        (["--tail", "2"], "line 3\nline 4\n"),
        (["--tail", "0"], ""),
        (["--grep", "[13]$"], "line 1\nline 3\n"),
        (["--grep", "line", "--tail", "1"], "line 4\n"),
        (["--follow", "--tail", "1"], "line 4\n"),
    ],
)
def test_lines_of_the_log_are_printed(log: None, command: Command, arguments: list[str], printed: str) -> None:
    assert command("logs", *DATABASE, *arguments) == (0, printed, "")


def test_a_log_that_is_not_there_is_an_error(place: Place, command: Command) -> None:
    assert command("logs", *DATABASE) == (1, "", f"rhl-logs: no log file for '{KEY}'\n")


@pytest.mark.parametrize(("arguments", "mention"), [(["--tail", "-1"], "--tail -1"), (["--grep", "("], "--grep '('")])
def test_a_mistake_is_one_message(log: None, command: Command, arguments: list[str], mention: str) -> None:
    result = command("logs", *DATABASE, *arguments)
    assert result.status == 2
    assert mention in result.err


@pytest.mark.parametrize("name", ["logs", "inspect"])
def test_a_service_must_be_named(place: Place, command: Command, name: str) -> None:
    assert command(name).status == 2


def test_a_log_is_followed_until_the_service_ends(place: Place) -> None:
    from seamless.launcher.processes import boot_id, host_name, start_time

    service = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    follower = None
    try:
        identity = {"start_time": start_time(service.pid), "boot_id": boot_id(), "host": host_name()}
        place.record(KEY, status="running", pid=service.pid, **identity)
        path = place.base / "server" / f"{KEY}.log"
        path.write_text("first\n")
        follower = subprocess.Popen(
            [sys.executable, "-m", "seamless.cli.service.logs", *DATABASE, "--follow"], stdout=subprocess.PIPE
        )
        assert follower.stdout is not None
        assert follower.stdout.readline() == b"first\n"
        with path.open("a") as f:
            f.write("second\nthird")
        assert follower.stdout.readline() == b"second\n"
        service.communicate(b"\n", timeout=30)
        rest, _ = follower.communicate(timeout=30)
        assert (rest, follower.returncode) == (b"third", 0)
    finally:
        service.kill()
        service.communicate()
        if follower is not None:
            follower.kill()
            follower.communicate()
