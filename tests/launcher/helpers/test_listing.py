"""The helpers that look at services: rhl-ps, rhl-inspect, rhl-logs."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from seamless.launcher import run
from seamless.launcher.processes import read_stat, wait_until
from tests.launcher.support import KEY, starts

if TYPE_CHECKING:
    from tests.launcher.conftest import LaunchDict
    from tests.launcher.helpers.conftest import Helper


def test_ps_lists_services_with_their_derived_status(helper: Helper, launch_dict: LaunchDict, workdir: Path) -> None:
    port = run(launch_dict())["port"]
    assert helper("ps").out.split() == ["KEY", "STATUS", "PORT", KEY, "running", str(port)]
    pid = starts(workdir)[0]
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: getattr(read_stat(pid), "state", "Z") == "Z", 10)
    row = json.loads(helper("ps", "--json").out)
    assert (row["key"], row["status"], row["json_status"], row["live"]) == (KEY, "stale", "running", False)
    row = json.loads(helper("ps", "--json", "--no-status").out)
    assert (row["status"], row["live"]) == ("running", None)
    assert helper("ps", "--status", "running", "--key").out == ""
    assert helper("ps", "--status", "stale", "--key").out == f"{KEY}\n"


def test_ps_shows_a_damaged_file_as_failed(helper: Helper, base: Path, launch_dict: LaunchDict) -> None:
    run(launch_dict())
    (base / "server" / "broken.json").write_text("{")
    (base / "server" / "linked.json").symlink_to("/etc/hostname")
    status, out, err = helper("ps", "--json")
    assert status == 0
    assert {row["key"]: row["status"] for row in map(json.loads, out.splitlines())} == {
        "broken": "failed",
        "linked": "failed",
        KEY: "running",
    }
    assert "malformed JSON" in err


def test_ps_shows_no_token(helper: Helper, launch_dict: LaunchDict) -> None:
    token = run(launch_dict())["token"]
    assert token not in helper("ps", "--json").out
    assert token not in helper("ps", "--json", "--client").out


def test_ps_of_the_client_shows_the_connections(helper: Helper, launch_dict: LaunchDict) -> None:
    port = run(launch_dict())["port"]
    words = helper("ps", "--client").out.split()
    assert words == ["KEY", "SSH-HOST", "HOST", "PORT", KEY, "127.0.0.1", "127.0.0.1", str(port)]
    assert helper("ps", "--client", "--host", "elsewhere", "--key").out == ""


def test_ps_with_nothing_to_list_is_no_error(helper: Helper, base: Path) -> None:
    assert helper("ps", "--json") == (0, "", "")


def test_inspect_prints_the_state(helper: Helper, launch_dict: LaunchDict, state_file: Path) -> None:
    run(launch_dict())
    state = json.loads(state_file.read_text())
    out = helper("inspect", KEY).out
    assert json.loads(out) == state
    assert list(json.loads(out)) == sorted(state)
    timed = helper("inspect", KEY, "--with-mtime").out
    assert json.loads(timed) == {"mtime": state_file.stat().st_mtime, "data": state}
    assert timed.count("\n") == 1


def test_inspect_names_a_damaged_file(helper: Helper, state_file: Path) -> None:
    state_file.parent.mkdir(parents=True)
    state_file.write_text("{")
    status, out, err = helper("inspect", KEY)
    assert (status, out) == (1, "")
    assert err.startswith(f"rhl-inspect: malformed JSON in {state_file}")


def test_logs_prints_the_bytes_as_they_are_without_a_state(helper: Helper, base: Path) -> None:
    (base / "server").mkdir(parents=True)
    (base / "server" / "k.log").write_bytes(b"one\ntwo\nthree\xff\n")
    assert helper("logs", "k").out == "one\ntwo\nthree\udcff\n"
    assert helper("logs", "k", "--tail", "2").out == "two\nthree\udcff\n"
    assert helper("logs", "k", "--tail", "0").out == ""


def test_a_log_that_is_a_link_is_not_followed(helper: Helper, base: Path) -> None:
    (base / "server").mkdir(parents=True)
    (base / "server" / "k.log").symlink_to("/etc/hostname")
    for arguments in ((), ("--tail", "1")):
        status, out, err = helper("logs", "k", *arguments)
        assert (status, out) == (1, "")
        assert err.startswith("rhl-logs: ")
