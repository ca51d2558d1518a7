"""Services on another machine: started, reused, reached, stopped, with as few logins as that takes."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from seamless.launcher import LauncherError, StartFailed, connect, forget, run, status, stop
from seamless.launcher.errors import SSHConnectionError
from seamless.launcher.handshake import HandshakeConfig, probe
from seamless.launcher.ssh.executor import SSHExecutor
from tests.helpers.sshd import Sshd, tunnels, wait_for
from tests.launcher.ssh.conftest import RemoteDict
from tests.launcher.support import KEY, Recorder, change, starts

pytestmark = pytest.mark.ssh


def healthy(payload: dict[str, Any]) -> bool:
    return probe("127.0.0.1", payload["port"], HandshakeConfig("healthcheck")).healthy


def test_a_cold_start_needs_two_logins(
    sshd: Sshd, remote_dict: RemoteDict, workdir: Path, recorder: Recorder, connection_file: Path
) -> None:
    payload = run(remote_dict(meta={"service": "hashserver"}, file_parameters={"a": 1}), observer=recorder)
    (pid,) = starts(workdir)
    assert healthy(payload)
    assert (payload["token"], payload["parameters"]) == (f"secret-{pid}", {"a": 1})
    assert json.loads(connection_file.read_text()) == payload
    assert sshd.logins() == 2
    assert recorder.phases == [
        "local_check:missing", "connect:SSHExecutor[plain]", "remote_check:missing", "launch:started",
        "wait_for_start:waiting", f"tunnel_setup:localhost:{payload['port']} -> plain:{payload['tunneled-port']}",
        "local_validate:ok", "done:launched",
    ]  # fmt: skip


def test_the_connection_file_has_the_names_that_other_programs_read(
    sshd: Sshd, remote_dict: RemoteDict, remote_state: Path
) -> None:
    payload = run(remote_dict("dashboard", handshake={"path": "health", "port_name": "dashboard_port"}))
    state = json.loads(remote_state.read_text())
    assert {name: payload[name] for name in payload if name.startswith("tunneled-")} == {
        "tunneled-host": "plain",
        "tunneled-port": state["port"],
        "tunneled-dashboard_port": state["dashboard_port"],
        "tunneled-network-interface": "127.0.0.1",
    }
    assert payload["hostname"] == "localhost"
    assert len({payload["port"], payload["dashboard_port"], state["port"], state["dashboard_port"]}) == 4
    assert probe("127.0.0.1", payload["dashboard_port"], HandshakeConfig("health")).healthy


def test_a_second_call_needs_no_login(sshd: Sshd, remote_dict: RemoteDict, recorder: Recorder) -> None:
    first = run(remote_dict())
    sshd.forget()
    assert run(remote_dict(), observer=recorder) == first
    assert connect(remote_dict()) == first
    assert recorder.phases == ["local_check:reused", "done:reused-local"]
    assert (sshd.logins(), sshd.commands()) == (0, [])


def test_a_lost_connection_file_costs_two_commands_and_leaves_one_tunnel(
    sshd: Sshd, remote_dict: RemoteDict, workdir: Path, connection_file: Path, isolation: Path, recorder: Recorder
) -> None:
    first = run(remote_dict())
    sshd.forget()
    connection_file.unlink()
    second = run(remote_dict(), observer=recorder)
    assert len(sshd.commands()) == 2
    assert recorder.phases[-1] == "done:reused-remote"
    assert second["tunneled-port"] == first["tunneled-port"]
    assert len(starts(workdir)) == 1
    wait_for(lambda: tunnels(isolation) == [second["tunnel_pid"]], "the first tunnel does not end")


def test_a_malformed_connection_file_is_made_again(
    sshd: Sshd, remote_dict: RemoteDict, connection_file: Path, workdir: Path
) -> None:
    run(remote_dict())
    connection_file.write_text("{")
    assert healthy(run(remote_dict()))
    assert len(starts(workdir)) == 1


def test_without_a_tunnel_the_host_itself_is_handed_out(sshd: Sshd, remote_dict: RemoteDict) -> None:
    payload = run(remote_dict(tunnel=False))
    assert (payload["hostname"], payload["ssh_hostname"]) == ("127.0.0.1", "plain")
    assert sshd.logins() == 1
    sshd.forget()
    assert run(remote_dict(tunnel=False)) == payload
    assert sshd.commands() == []


def test_a_service_that_cannot_be_reached_without_a_tunnel_is_reported(sshd: Sshd, remote_dict: RemoteDict) -> None:
    with pytest.raises(LauncherError, match="does not answer at 127.0.0.2") as caught:
        run(remote_dict(tunnel=False, hostname="127.0.0.2"))
    assert "tunnel: true" in caught.value.hint


def test_a_service_on_loopback_is_reached_whatever_the_host_is_called(sshd: Sshd, remote_dict: RemoteDict) -> None:
    assert healthy(run(remote_dict(hostname="login.cluster.example")))


def test_the_base_directory_of_this_machine_is_not_that_of_the_other(
    sshd: Sshd, remote_dict: RemoteDict, tmp_path: Path, remote_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMOTE_HTTP_LAUNCHER_DIR", str(tmp_path / "base"))
    run(remote_dict())
    assert remote_state.exists()
    assert (tmp_path / "base" / "client" / f"{KEY}.json").exists()
    assert not (tmp_path / "base" / "server").exists()
    stop(remote_dict())  # and with it the tunnel, which no fixture knows of


def test_a_work_directory_in_the_home_directory_is_that_of_the_other_machine(
    sshd: Sshd, remote_dict: RemoteDict
) -> None:
    run(remote_dict(workdir="~/a b"))
    assert (sshd.home / "a b" / "starts.txt").exists()
    assert run(remote_dict(workdir="~/a b"))["port"] > 0


def test_files_of_this_machine_are_for_the_user_alone(sshd: Sshd, remote_dict: RemoteDict, base: Path) -> None:
    run(remote_dict())
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (base / "client").iterdir()}
    assert set(modes.values()) == {0o600}


def test_ten_callers_at_once_start_one_process_and_log_in_twice(
    sshd: Sshd, remote_dict: RemoteDict, workdir: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    payloads: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda: payloads.append(run(remote_dict("gated", str(gate))))) for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    wait_for(lambda: starts(workdir), "nothing is started")
    gate.touch()
    for thread in threads:
        thread.join()
    assert payloads == [payloads[0]] * 10
    assert len(starts(workdir)) == 1
    assert sshd.logins() == 2


# --- services that are gone, or others -----------------------------------------------------------


def test_a_killed_service_is_started_again_behind_the_same_port(
    sshd: Sshd, remote_dict: RemoteDict, workdir: Path, isolation: Path
) -> None:
    first = run(remote_dict())
    os.kill(starts(workdir)[0], signal.SIGKILL)
    second = run(remote_dict())
    assert healthy(second)
    assert second["port"] == first["port"]
    assert len(starts(workdir)) == 2
    wait_for(lambda: tunnels(isolation) == [second["tunnel_pid"]], "the first tunnel does not end")


def test_a_recycled_pid_is_not_taken_for_the_service(
    sshd: Sshd, remote_dict: RemoteDict, workdir: Path, remote_state: Path, connection_file: Path
) -> None:
    run(remote_dict())
    os.kill(starts(workdir)[0], signal.SIGKILL)
    change(remote_state, pid=os.getpid())
    assert healthy(run(remote_dict(), reconnect=True))
    assert len(starts(workdir)) == 2


def test_another_service_on_the_recorded_port_is_not_taken_for_ours(
    sshd: Sshd, remote_dict: RemoteDict, workdir: Path, connection_file: Path
) -> None:
    other = run(remote_dict("header", key="another"))
    payload = run(remote_dict("header"))
    change(connection_file, port=other["port"])
    assert run(remote_dict("header"))["tunneled-port"] == payload["tunneled-port"]


def test_time_stamps_of_the_other_machine_do_not_matter(
    sshd: Sshd, remote_dict: RemoteDict, remote_state: Path, workdir: Path, connection_file: Path
) -> None:
    run(remote_dict())
    for offset in (-3600, 3600):
        now = remote_state.stat().st_mtime
        os.utime(remote_state, (now + offset, now + offset))
        connection_file.unlink()
        assert healthy(run(remote_dict()))
    assert len(starts(workdir)) == 1


def test_a_service_that_dies_is_reported_with_host_status_and_log(
    sshd: Sshd, remote_dict: RemoteDict, recorder: Recorder
) -> None:
    with pytest.raises(StartFailed, match="on plain: .* ended with status 7") as caught:
        run(remote_dict("dies"), observer=recorder)
    error = caught.value
    assert (error.host, error.key, error.phase, error.exit_status) == ("plain", KEY, "wait_for_start", 7)
    assert error.log_tail == ("hello from dies", "OSError: the disk is full")
    assert f"{KEY}.log on plain" in str(error)
    assert recorder.errors == [str(error)]


def test_what_a_service_says_of_its_failure_is_reported(sshd: Sshd, remote_dict: RemoteDict) -> None:
    with pytest.raises(StartFailed, match="port range exhausted"):
        run(remote_dict("fails"))


def test_a_failed_start_leaves_no_tunnel_and_no_connection_file(
    sshd: Sshd, remote_dict: RemoteDict, connection_file: Path, isolation: Path
) -> None:
    with pytest.raises(StartFailed):
        run(remote_dict("dies"))
    assert not connection_file.exists()
    assert tunnels(isolation) == []


def test_a_missing_command_is_reported_as_missing_there(sshd: Sshd, remote_dict: RemoteDict) -> None:
    with pytest.raises(LauncherError, match="on plain: cannot start .*nothing-like-that") as caught:
        run(remote_dict(command="nothing-like-that --status-file {status_file}"))
    assert caught.value.host == "plain"


def test_the_connection_may_break_while_a_service_starts(
    sshd: Sshd, remote_dict: RemoteDict, workdir: Path, tmp_path: Path, recorder: Recorder
) -> None:
    gate = tmp_path / "gate"
    payloads: list[dict[str, Any]] = []
    caller = threading.Thread(target=lambda: payloads.append(run(remote_dict("gated", str(gate)), observer=recorder)))
    caller.start()
    wait_for(lambda: "wait_for_start:waiting" in recorder.phases, "the start does not begin")
    sshd.kill_sessions()
    wait_for(lambda: recorder.phases.count("wait_for_start:waiting") == 2, "it is not asked again")
    gate.touch()
    caller.join()
    assert healthy(payloads[0])
    assert len(starts(workdir)) == 1
    assert recorder.phases[-1] == "done:launched"


# --- other settings --------------------------------------------------------------------------------


def test_other_settings_are_warned_about_once(sshd: Sshd, remote_dict: RemoteDict, recorder: Recorder) -> None:
    run(remote_dict(meta={"fingerprint": "one"}))
    run(remote_dict(meta={"fingerprint": "two"}, command=remote_dict()["command"] + " x"), observer=recorder)
    assert len(recorder.warnings) == 1
    assert "runs with other settings" in recorder.warnings[0]


def test_other_settings_can_be_an_error(sshd: Sshd, remote_dict: RemoteDict) -> None:
    run(remote_dict())
    other = remote_dict(command=remote_dict()["command"] + " x")
    with pytest.raises(LauncherError, match="runs with other settings"):
        run(other, on_mismatch="error", reconnect=True)


def test_a_service_with_other_settings_can_be_started_again(sshd: Sshd, remote_dict: RemoteDict, workdir: Path) -> None:
    run(remote_dict())
    other = remote_dict(command=remote_dict()["command"] + " x")
    assert healthy(run(other, on_mismatch="restart", reconnect=True))
    assert len(starts(workdir)) == 2


# --- what else can be done ---------------------------------------------------------------------------


def test_stop_ends_the_service_and_its_tunnel(
    sshd: Sshd, remote_dict: RemoteDict, connection_file: Path, isolation: Path, remote_state: Path
) -> None:
    run(remote_dict())
    assert stop(remote_dict()) == "stopped"
    assert json.loads(remote_state.read_text())["status"] == "stale"
    assert json.loads(connection_file.read_text())["status"] == "stale"
    assert tunnels(isolation) == []


def test_status_tells_whether_the_service_lives(sshd: Sshd, remote_dict: RemoteDict) -> None:
    assert status(remote_dict()) is None
    run(remote_dict())
    running = status(remote_dict())
    stop(remote_dict())
    stopped = status(remote_dict())
    assert running is not None and stopped is not None
    assert (running["status"], running["live"], stopped["status"]) == ("running", True, "stale")


def test_forget_removes_the_records_of_a_dead_service_only(
    sshd: Sshd, remote_dict: RemoteDict, remote_state: Path, connection_file: Path
) -> None:
    run(remote_dict())
    with pytest.raises(LauncherError, match=f"{KEY} runs on plain"):
        forget(remote_dict())
    stop(remote_dict())
    assert forget(remote_dict())
    assert not remote_state.exists() and not connection_file.exists()
    assert not forget(remote_dict())


def test_stop_without_a_service_says_so(sshd: Sshd, remote_dict: RemoteDict) -> None:
    assert stop(remote_dict()) == "missing state"


def test_the_log_of_a_service_can_be_read(sshd: Sshd, remote_dict: RemoteDict) -> None:
    run(remote_dict())
    executor = SSHExecutor("plain")
    assert executor.logs(KEY) == "hello from ok\n"
    assert executor.logs(KEY, tail=1) == "hello from ok\n"
    with pytest.raises(LauncherError, match="no log file for 'nothing'"):
        executor.logs("nothing")


# --- hosts that are not reached ------------------------------------------------------------------------


def test_an_unreachable_host_says_nothing_of_the_service(
    sshd: Sshd, remote_dict: RemoteDict, recorder: Recorder, connection_file: Path
) -> None:
    sshd.stop()
    with pytest.raises(SSHConnectionError, match="Connection refused") as caught:
        run(remote_dict(), observer=recorder)
    assert (caught.value.host, caught.value.key) == ("plain", KEY)
    assert recorder.phases == ["local_check:missing", "connect:SSHExecutor[plain]"]
    assert len(sshd.commands()) == 1


def test_a_host_that_comes_back_serves_as_before(sshd: Sshd, remote_dict: RemoteDict, workdir: Path) -> None:
    first = run(remote_dict())
    sshd.stop()
    with pytest.raises(SSHConnectionError):
        run(remote_dict())
    sshd.start()
    second = run(remote_dict())
    assert healthy(second)
    assert second == first
    assert len(starts(workdir)) == 1


@pytest.mark.timeout(25)
def test_a_host_that_falls_silent_is_given_up(sshd: Sshd, remote_dict: RemoteDict, connection_file: Path) -> None:
    run(remote_dict())
    sshd.freeze()
    with pytest.raises(SSHConnectionError, match="cannot reach plain over SSH: .*timed out"):
        run(remote_dict())
    sshd.thaw()
    assert healthy(run(remote_dict()))


def test_a_call_that_needs_no_login_loads_nothing_to_make_one(sshd: Sshd, remote_dict: RemoteDict) -> None:
    run(remote_dict())
    program = (
        "import json, sys; from seamless.launcher import run; run(json.load(sys.stdin)); "
        "print(sorted({'subprocess', 'asyncio', 'tempfile', 'inspect'} & set(sys.modules)))"
    )
    text = json.dumps(remote_dict())
    done = subprocess.run([sys.executable, "-c", program], input=text, text=True, capture_output=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "")
