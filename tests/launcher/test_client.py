"""The life of a service: started once, reused, reached, stopped."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seamless.launcher import LauncherError, connect, forget, run, status, stop
from seamless.launcher.processes import read_stat, wait_until
from tests.launcher.support import KEY, Recorder, change, starts

if TYPE_CHECKING:
    from tests.launcher.conftest import LaunchDict


def pid_of(state_file: Path) -> int:
    return int(json.loads(state_file.read_text())["pid"])


def test_a_service_is_started_and_its_connection_returned(launch_dict: LaunchDict, workdir: Path) -> None:
    payload = run(launch_dict(meta={"service": "hashserver"}, file_parameters={"a": 1}))
    (pid,) = starts(workdir)
    assert payload["hostname"] == "127.0.0.1"
    assert payload["token"] == f"secret-{pid}"
    assert payload["meta"] == {"service": "hashserver"}
    assert payload["parameters"] == {"a": 1}


def test_a_second_call_reuses_the_service(launch_dict: LaunchDict, workdir: Path, recorder: Recorder) -> None:
    first = run(launch_dict())
    second = run(launch_dict(), observer=recorder)
    assert second == first
    assert len(starts(workdir)) == 1
    assert recorder.phases == ["local_check:reused", "done:reused-local"]


def test_the_phases_of_a_start_come_in_order(launch_dict: LaunchDict, recorder: Recorder) -> None:
    run(launch_dict(meta={"service": "hashserver"}), observer=recorder)
    assert recorder.service == "hashserver"
    assert recorder.phases == [
        "local_check:missing", "connect:LocalExecutor", "remote_check:missing", "launch:started",
        "wait_for_start:waiting", "local_validate:ok", "done:launched",
    ]  # fmt: skip


def test_a_lost_connection_file_is_made_again(launch_dict: LaunchDict, workdir: Path, connection_file: Path) -> None:
    first = run(launch_dict())
    connection_file.unlink()
    assert run(launch_dict()) == first
    assert json.loads(connection_file.read_text()) == first
    assert len(starts(workdir)) == 1


def test_a_malformed_connection_file_is_made_again(launch_dict: LaunchDict, connection_file: Path) -> None:
    first = run(launch_dict())
    connection_file.write_text("{")
    assert run(launch_dict()) == first


def test_the_connection_directory_can_be_chosen(launch_dict: LaunchDict, tmp_path: Path) -> None:
    payload = run(launch_dict(), connection_dir=tmp_path / "elsewhere")
    assert json.loads((tmp_path / "elsewhere" / f"{KEY}.json").read_text()) == payload


def test_all_files_are_for_the_user_alone(launch_dict: LaunchDict, base: Path) -> None:
    run(launch_dict())
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [base, *base.rglob("*")]}
    assert {path: mode for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)} == {}


def test_the_base_directory_can_be_chosen(
    launch_dict: LaunchDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMOTE_HTTP_LAUNCHER_DIR", str(tmp_path / "base"))
    run(launch_dict())
    assert (tmp_path / "base" / "server" / f"{KEY}.json").exists()
    assert (tmp_path / "base" / "client" / f"{KEY}.json").exists()
    assert stop(KEY) == "stopped"


def test_the_state_has_what_other_launchers_read(launch_dict: LaunchDict, state_file: Path, workdir: Path) -> None:
    run(launch_dict())
    state = json.loads(state_file.read_text())
    assert {"workdir", "log", "command", "uid", "pid", "status", "network_interface", "port"} <= set(state)
    assert (state["status"], state["workdir"], state["uid"]) == ("running", str(workdir), os.getuid())
    assert state["command"].endswith(f"--status-file {state_file}")


def test_secondary_ports_are_handed_on_and_asked(launch_dict: LaunchDict, state_file: Path) -> None:
    payload = run(launch_dict("dashboard", handshake={"path": "health", "port_name": "dashboard_port"}))
    assert payload["dashboard_port"] == json.loads(state_file.read_text())["dashboard_port"]
    assert payload["dashboard_port"] != payload["port"]


def test_without_a_handshake_a_connection_is_enough(launch_dict: LaunchDict) -> None:
    assert run(launch_dict("unwell", handshake=None))["port"] > 0


def test_a_service_gets_no_descriptor_and_a_session_of_its_own(launch_dict: LaunchDict, workdir: Path) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    try:
        run(launch_dict())
    finally:
        os.close(reading)
        os.close(writing)
    (pid,) = starts(workdir)
    held = (workdir / "starts.txt").read_text()
    assert "['0', '1', '2', '3', '4']" in held  # 3 and 4: the file that is written, the directory that is listed
    found = read_stat(pid)
    assert found is not None
    assert (found.session, found.group) == (pid, pid)


def test_a_service_outlives_the_process_that_has_started_it(
    launch_dict: LaunchDict, workdir: Path, tmp_path: Path
) -> None:
    program = "import json, sys; from seamless.launcher import run; run(json.load(sys.stdin))"
    subprocess.run([sys.executable, "-c", program], input=json.dumps(launch_dict()).encode(), check=True, timeout=60)
    recorder = Recorder()
    run(launch_dict(), observer=recorder)
    assert recorder.phases[-1] == "done:reused-local"
    assert len(starts(workdir)) == 1


def test_stop_ends_the_process_and_run_starts_another(launch_dict: LaunchDict, workdir: Path, state_file: Path) -> None:
    run(launch_dict())
    assert stop(launch_dict()) == "stopped"
    assert json.loads(state_file.read_text())["status"] == "stale"
    run(launch_dict())
    first, second = starts(workdir)
    assert read_stat(first) is None
    assert pid_of(state_file) == second


def test_stop_without_a_service_says_so(base: Path) -> None:
    assert stop(KEY) == "missing state"


def test_stop_marks_the_connection_as_stale(launch_dict: LaunchDict, connection_file: Path) -> None:
    run(launch_dict())
    stop(KEY)
    assert json.loads(connection_file.read_text())["status"] == "stale"


def test_stop_takes_a_service_that_ignores_signals(launch_dict: LaunchDict, workdir: Path) -> None:
    from seamless.launcher.stopping import stop_service

    run(launch_dict("stubborn"))
    assert stop_service(KEY, patience=0.1) == "kill required"
    assert read_stat(starts(workdir)[0]) is None


def test_stop_takes_the_children_along(launch_dict: LaunchDict, workdir: Path) -> None:
    run(launch_dict("family"))
    child = int((workdir / "child.txt").read_text())
    assert read_stat(child) is not None
    stop(KEY)
    left = read_stat(child)
    assert left is None or left.state == "Z"


def test_status_tells_whether_the_service_lives(launch_dict: LaunchDict) -> None:
    assert status(KEY) is None
    run(launch_dict())
    running = status(launch_dict())
    stop(KEY)
    stopped = status(KEY)
    assert running is not None and stopped is not None
    assert (running["status"], running["live"], stopped["status"]) == ("running", True, "stale")


def test_forget_removes_the_records_of_a_dead_service_only(
    launch_dict: LaunchDict, state_file: Path, connection_file: Path
) -> None:
    run(launch_dict())
    with pytest.raises(LauncherError, match="runs"):
        forget(KEY)
    stop(KEY)
    assert forget(KEY)
    assert not state_file.exists() and not connection_file.exists()
    assert not forget(KEY)


# --- connect ------------------------------------------------------------------------------------


def test_connect_believes_a_fresh_connection_file(launch_dict: LaunchDict, connection_file: Path) -> None:
    first = run(launch_dict())
    change(connection_file, parameters={"only": "in the file"})
    assert connect(launch_dict()) == {**first, "parameters": {"only": "in the file"}}


def test_connect_asks_the_service_when_the_file_is_old(launch_dict: LaunchDict, connection_file: Path) -> None:
    first = run(launch_dict())
    change(connection_file, parameters={"only": "in the file"})
    os.utime(connection_file, (1, 1))
    assert connect(launch_dict()) == first


def test_connect_starts_a_service_that_was_stopped(launch_dict: LaunchDict, workdir: Path) -> None:
    run(launch_dict())
    stop(KEY)
    connect(launch_dict())
    assert len(starts(workdir)) == 2


def test_connect_does_not_believe_a_file_whose_service_has_ended(launch_dict: LaunchDict, workdir: Path) -> None:
    connect(launch_dict())
    (pid,) = starts(workdir)
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: (found := read_stat(pid)) is None or found.state == "Z", 10)
    connect(launch_dict())
    assert len(starts(workdir)) == 2


@pytest.mark.parametrize("name", ["port", "launch_id"])
def test_connect_does_not_believe_a_file_of_another_launch(
    name: str, launch_dict: LaunchDict, connection_file: Path
) -> None:
    first = run(launch_dict())
    change(connection_file, **{name: 1})
    assert connect(launch_dict()) == first


def test_connect_does_not_believe_a_file_of_other_settings(launch_dict: LaunchDict, recorder: Recorder) -> None:
    run(launch_dict(meta={"fingerprint": "1"}))
    connect(launch_dict(meta={"fingerprint": "2"}), observer=recorder)
    assert len(recorder.warnings) == 1


# --- other settings -----------------------------------------------------------------------------


def test_other_settings_of_a_running_service_are_named(launch_dict: LaunchDict, recorder: Recorder) -> None:
    run(launch_dict(meta={"fingerprint": "1"}, file_parameters={"cores": 1}))
    run(launch_dict(meta={"fingerprint": "2"}, file_parameters={"cores": 2}), observer=recorder)
    (warning,) = recorder.warnings
    assert "parameters: {'cores': 1} runs, {'cores': 2} is configured" in warning
    assert f"rhl-stop {KEY}" in warning


def test_other_settings_can_be_an_error(launch_dict: LaunchDict, tmp_path: Path) -> None:
    run(launch_dict())
    with pytest.raises(LauncherError, match="workdir"):
        run(launch_dict(workdir=str(tmp_path / "other")), on_mismatch="error")


def test_other_settings_can_restart_the_service(launch_dict: LaunchDict, workdir: Path, tmp_path: Path) -> None:
    run(launch_dict())
    run(launch_dict(workdir=str(tmp_path / "other")), on_mismatch="restart")
    assert read_stat(starts(workdir)[0]) is None
    assert len(starts(tmp_path / "other")) == 1


# --- where --------------------------------------------------------------------------------------


def test_a_machine_that_cannot_be_reached_is_named(launch_dict: LaunchDict, workdir: Path) -> None:
    with pytest.raises(LauncherError, match="cannot reach login.invalid over SSH") as caught:
        run(launch_dict(hostname="login.invalid"))
    assert (caught.value.host, caught.value.key) == ("login.invalid", KEY)
    assert starts(workdir) == []


def test_a_loopback_host_is_this_machine(launch_dict: LaunchDict) -> None:
    assert run(launch_dict(hostname="localhost"))["hostname"] == "localhost"


def test_the_command_is_found_beside_the_interpreter(launch_dict: LaunchDict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    command = launch_dict()["command"].replace(sys.executable, Path(sys.executable).name)
    assert run(launch_dict(command=command))["port"] > 0
