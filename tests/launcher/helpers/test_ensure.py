"""rhl-ensure: one call that starts, waits, asks and reports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from seamless.launcher.processes import wait_until
from tests.launcher.helpers.support import HEALTH, launch, service
from tests.launcher.support import KEY, starts

if TYPE_CHECKING:
    from tests.launcher.helpers.conftest import Helper, Result

MODULE = [sys.executable, "-m", "seamless.launcher.helpers.main", "rhl-ensure"]


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.out.splitlines()]


def phases(result: Result) -> list[str]:
    return [f"{line['phase']}:{line['result']}" for line in lines(result) if "result" in line]


def test_a_service_is_started_and_has_answered(helper: Helper, base: Path, workdir: Path, state_file: Path) -> None:
    result = helper("ensure", *launch(workdir, None, *HEALTH))
    assert (result.status, result.err) == (0, "")
    assert phases(result) == ["remote_check:missing", "launch:started", "wait_for_start:waiting"]
    last = lines(result)[-1]
    assert last == {"ok": True, "launched": True, "state": json.loads(state_file.read_text())}
    assert last["state"]["token"].startswith("secret-")


def test_a_service_that_runs_is_asked_and_reported(helper: Helper, base: Path, workdir: Path) -> None:
    first = lines(helper("ensure", *launch(workdir, None, *HEALTH)))[-1]
    result = helper("ensure", *launch(workdir, None, *HEALTH))
    assert phases(result) == ["remote_check:found:running", "remote_validate:ok"]
    assert lines(result)[-1] == {**first, "launched": False}


def test_a_dead_service_is_replaced(helper: Helper, base: Path, workdir: Path) -> None:
    first = lines(helper("ensure", *launch(workdir, None, *HEALTH)))[-1]
    os.kill(first["state"]["pid"], signal.SIGKILL)
    result = helper("ensure", *launch(workdir, None, *HEALTH))
    assert "stale_cleanup:remove" in phases(result)
    last = lines(result)[-1]
    assert last["launched"] and last["state"]["launch_id"] != first["state"]["launch_id"]


def test_a_start_that_fails_is_told_with_the_log(helper: Helper, base: Path, workdir: Path) -> None:
    result = helper("ensure", *launch(workdir, service("dies"), *HEALTH))
    assert (result.status, result.err) == (1, "")
    last = lines(result)[-1]
    assert (last["ok"], last["phase"], last["kind"], last["exit_status"]) == (False, "wait_for_start", "StartFailed", 7)
    assert last["error"].startswith(f"{KEY} did not start: its process ended with status 7")
    assert last["log_tail"] == ["hello from dies", "OSError: the disk is full"]
    assert last["log_path"] == f"{base}/server/{KEY}.log"
    assert last["hint"]


def test_a_service_that_is_not_ready_in_time_is_stopped(helper: Helper, base: Path, workdir: Path) -> None:
    result = helper("ensure", *launch(workdir, service("never"), *HEALTH, "--start-timeout", "0.3"))
    assert "was not ready within 0.3 s" in lines(result)[-1]["error"]
    assert json.loads(helper("inspect", KEY).out)["status"] == "failed"


@pytest.mark.parametrize(
    ("action", "ok", "mode"), [("warn", True, "ok"), ("error", False, "ok"), ("restart", True, "header")]
)
def test_what_is_done_about_a_service_with_another_command_can_be_chosen(
    helper: Helper, base: Path, workdir: Path, action: str, ok: bool, mode: str
) -> None:
    helper("ensure", *launch(workdir, None, *HEALTH))
    result = helper("ensure", *launch(workdir, service("header"), *HEALTH, "--on-mismatch", action))
    text = "\n".join(str(line.get("warning") or line.get("error") or "") for line in lines(result))
    assert ("runs with other settings than configured" in text) is (action != "restart")
    assert (result.status == 0) is lines(result)[-1]["ok"] is ok
    assert f" {mode} " in json.loads(helper("inspect", KEY).out)["command"]


def test_what_cannot_be_started_is_told(helper: Helper, base: Path, workdir: Path) -> None:
    result = helper("ensure", *launch(workdir, ["no-such-server"]))
    assert result.status == 1
    assert "there is no command no-such-server" in lines(result)[-1]["error"]
    result = helper("ensure", *launch(workdir, service(status_file="/x/y.json")))
    assert (result.status, lines(result)[-1]["kind"]) == (1, "ConfigurationRefused")


def test_a_mistake_in_the_arguments_is_status_2(helper: Helper, base: Path, workdir: Path) -> None:
    status, out, err = helper("ensure", *launch(workdir, None, "--start-timeout", "x"))
    assert (status, out) == (2, "")
    assert err.startswith("rhl-ensure: --start-timeout must be")


def test_what_happens_is_told_as_it_happens(base: Path, workdir: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    arguments = launch(workdir, service("gated", str(gate)), *HEALTH)
    process = subprocess.Popen([*MODULE, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        seen = ""
        while "wait_for_start" not in seen:
            seen = process.stdout.readline()
            assert seen, "it ended before it waited"
        gate.touch()
        rest = process.stdout.read().splitlines()
    finally:
        process.wait(60)
        process.stdout.close()
    assert json.loads(rest[-1])["ok"] is True


def test_a_launch_is_finished_when_its_reader_and_its_connection_are_gone(
    base: Path, workdir: Path, tmp_path: Path, state_file: Path
) -> None:
    gate = tmp_path / "gate"
    arguments = launch(workdir, service("gated", str(gate)), *HEALTH)
    process = subprocess.Popen([*MODULE, *arguments], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert wait_until(lambda: len(starts(workdir)) == 1, 30)
    process.send_signal(signal.SIGHUP)
    gate.touch()
    assert process.wait(60) == 0
    assert json.loads(state_file.read_text())["status"] == "running"


def test_ten_calls_at_once_start_one_process(base: Path, workdir: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    arguments = launch(workdir, service("gated", str(gate)), *HEALTH)
    calls = [subprocess.Popen([*MODULE, *arguments], stdout=subprocess.PIPE) for _ in range(10)]
    try:
        first = [call.stdout.readline() for call in calls if call.stdout]
        assert len(first) == 10
        assert wait_until(lambda: len(starts(workdir)) == 1, 30)
        gate.touch()
        last = [json.loads(call.communicate(timeout=60)[0].splitlines()[-1]) for call in calls]
    finally:
        for call in calls:
            call.kill()
            call.wait()
    assert len(starts(workdir)) == 1
    assert [line["ok"] for line in last] == [True] * 10
    assert [line["launched"] for line in last].count(True) == 1
    assert len({line["state"]["port"] for line in last}) == 1
