"""What goes wrong: services that do not start, die, lie, or are not what the record says."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seamless.launcher import ElsewhereError, LauncherError, Phase, StartFailed, run, status, stop
from seamless.launcher import local as local_module
from seamless.launcher.processes import boot_id, read_stat, start_time, wait_until
from tests.launcher.support import KEY, Recorder, change, starts

if TYPE_CHECKING:
    from tests.launcher.conftest import LaunchDict


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less for what will not come."""
    monkeypatch.setattr(local_module.Limits.__new__, "__defaults__", (0.2, 1.0))


def gone(pid: int) -> bool:
    found = read_stat(pid)
    return found is None or found.state == "Z"


# --- services that do not start -------------------------------------------------------------------


def test_a_service_that_dies_is_reported_with_its_status_and_log(launch_dict: LaunchDict, recorder: Recorder) -> None:
    with pytest.raises(StartFailed) as caught:
        run(launch_dict("dies"), observer=recorder)
    error = caught.value
    assert "ended with status 7" in error.message
    assert (error.key, error.phase, error.exit_status) == (KEY, "wait_for_start", 7)
    assert error.log_tail == ("hello from dies", "OSError: the disk is full")
    assert f"rhl-logs {KEY}" in error.hint
    assert recorder.errors == [str(error)] and error.reported


def test_a_service_that_is_killed_is_reported_with_the_signal(launch_dict: LaunchDict) -> None:
    with pytest.raises(StartFailed, match="killed by signal 9"):
        run(launch_dict("killed"))


def test_what_a_service_says_of_its_failure_is_reported(launch_dict: LaunchDict, workdir: Path) -> None:
    with pytest.raises(StartFailed, match="port range exhausted") as caught:
        run(launch_dict("fails"))
    assert caught.value.exit_status == 3


def test_a_failed_start_leaves_state_and_log(launch_dict: LaunchDict, state_file: Path) -> None:
    with pytest.raises(StartFailed):
        run(launch_dict("dies"))
    state = json.loads(state_file.read_text())
    assert (state["status"], state["exit_code"]) == ("failed", 7)
    assert "ended with status 7" in state["error"]


def test_the_log_of_the_failure_survives_the_next_start(launch_dict: LaunchDict, base: Path) -> None:
    with pytest.raises(StartFailed):
        run(launch_dict("dies"))
    run(launch_dict())
    assert "the disk is full" in (base / "server" / f"{KEY}.log.1").read_text()


def test_a_service_that_never_gets_ready_is_stopped(launch_dict: LaunchDict, workdir: Path) -> None:
    with pytest.raises(StartFailed, match="not ready within 0.3 s"):
        run(launch_dict("never", start_timeout=0.3))
    assert all(gone(pid) for pid in starts(workdir))


@pytest.mark.parametrize(
    ("mode", "problem"),
    [
        ("wrong-port", "refused"),
        ("unwell", "HTTP status 503"),
        ("mute", "closed without an answer"),
        ("foreign-header", "another service answers"),
        ("no-port", "must provide integer port"),
    ],
)
def test_a_service_that_does_not_answer_is_stopped(
    mode: str, problem: str, launch_dict: LaunchDict, workdir: Path
) -> None:
    with pytest.raises(StartFailed, match=problem):
        run(launch_dict(mode))
    assert gone(starts(workdir)[0])


def test_a_missing_command_is_named_before_anything_starts(launch_dict: LaunchDict, state_file: Path) -> None:
    with pytest.raises(LauncherError, match="no command nosuchserver on PATH") as caught:
        run(launch_dict(command="nosuchserver --status-file {status_file}"))
    assert caught.value.phase == Phase.LAUNCH
    assert not state_file.exists()


def test_a_command_that_cannot_be_executed_is_a_failed_start(launch_dict: LaunchDict, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/nonexistent/interpreter\n")
    broken.chmod(0o755)
    with pytest.raises(StartFailed, match="ended with status 12[67]"):
        run(launch_dict(command=f"{broken} --status-file {{status_file}}"))


def test_a_failed_service_can_be_started_again(launch_dict: LaunchDict) -> None:
    with pytest.raises(StartFailed):
        run(launch_dict("dies"))
    assert run(launch_dict())["port"] > 0


# --- services that were there -----------------------------------------------------------------------


def test_a_dead_service_is_started_again(launch_dict: LaunchDict, workdir: Path, recorder: Recorder) -> None:
    run(launch_dict())
    os.kill(starts(workdir)[0], signal.SIGKILL)
    assert wait_until(lambda: gone(starts(workdir)[0]), 10)
    run(launch_dict(), observer=recorder)
    assert len(starts(workdir)) == 2
    assert "stale_cleanup:remove" in recorder.phases


def test_a_service_that_has_stopped_answering_is_replaced(launch_dict: LaunchDict, workdir: Path) -> None:
    run(launch_dict("mute", handshake=None))
    run(launch_dict("ok"))
    first, _ = starts(workdir)
    assert gone(first)


def test_a_damaged_state_is_replaced(launch_dict: LaunchDict, state_file: Path) -> None:
    state_file.parent.mkdir(parents=True)
    state_file.write_text("{nonsense")
    assert run(launch_dict())["port"] > 0


def test_the_state_of_a_dry_run_counts_as_absent(launch_dict: LaunchDict, state_file: Path, recorder: Recorder) -> None:
    state_file.parent.mkdir(parents=True)
    state_file.write_text('{"dry_run": true, "command": "x"}')
    run(launch_dict(), observer=recorder)
    assert "remote_check:missing" in recorder.phases


def test_a_state_after_a_restart_of_the_machine_is_stale(launch_dict: LaunchDict, state_file: Path) -> None:
    run(launch_dict())
    change(state_file, boot_id="of another boot")
    found = status(KEY)
    assert found is not None and found["status"] == "stale"


def test_unknown_keys_of_the_state_are_kept(launch_dict: LaunchDict, state_file: Path) -> None:
    run(launch_dict())
    change(state_file, from_the_future=[1])
    stop(KEY)
    assert json.loads(state_file.read_text())["from_the_future"] == [1]


def test_a_starting_service_whose_launcher_is_gone_is_waited_for(
    launch_dict: LaunchDict, tmp_path: Path, workdir: Path
) -> None:
    gate = tmp_path / "gate"
    program = "import json, sys; from seamless.launcher import run; run(json.load(sys.stdin))"
    config = launch_dict("gated", str(gate))
    launcher = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE)
    try:
        assert launcher.stdin is not None
        launcher.stdin.write(json.dumps(config).encode())
        launcher.stdin.close()
        assert wait_until(lambda: len(starts(workdir)) == 1, 30)
    finally:
        launcher.kill()
        launcher.wait()
    gate.touch()
    run(config)
    assert len(starts(workdir)) == 1


# --- pids and ports of others -------------------------------------------------------------------------


@pytest.fixture
def innocent() -> Iterator[subprocess.Popen[bytes]]:
    """A process of this user that has nothing to do with any service."""
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"])
    yield process
    process.kill()
    process.wait()


def test_a_recycled_pid_is_never_signalled(
    launch_dict: LaunchDict, state_file: Path, innocent: subprocess.Popen[bytes], workdir: Path
) -> None:
    run(launch_dict())
    os.kill(starts(workdir)[0], signal.SIGKILL)
    change(state_file, pid=innocent.pid, start_time=1)
    assert stop(KEY) == "already gone"
    change(state_file, status="running")
    run(launch_dict())
    assert innocent.poll() is None
    assert len(starts(workdir)) == 2


@pytest.mark.parametrize("recorded", ["command", "nothing"])
def test_a_state_without_a_start_time_needs_the_command_line(
    recorded: str, base: Path, state_file: Path, innocent: subprocess.Popen[bytes]
) -> None:
    state_file.parent.mkdir(parents=True)
    command = {"command": f"hashserver --status-file {state_file} /data"} if recorded == "command" else {}
    state = {"pid": innocent.pid, "status": "running", "port": 1, "uid": os.getuid(), **command}
    state_file.write_text(json.dumps(state))
    assert stop(KEY) == "already gone"
    assert innocent.poll() is None


def test_a_service_that_another_launcher_has_started_is_known_by_its_command_line(
    launch_dict: LaunchDict, state_file: Path, recorder: Recorder, workdir: Path, connection_file: Path
) -> None:
    run(launch_dict())
    names = ("start_time", "boot_id", "host", "launch_id", "started_at")
    change(state_file, **dict.fromkeys(names))
    connection_file.unlink()
    run(launch_dict(), observer=recorder)
    assert recorder.phases[-1] == "done:reused-remote"
    assert stop(KEY) == "stopped"


@pytest.mark.parametrize("pid", [-1, 0, 1, True, "12", None, 1 << 40])
def test_a_pid_that_cannot_be_one_is_refused(pid: object, base: Path, state_file: Path) -> None:
    state_file.parent.mkdir(parents=True)
    state_file.write_text(json.dumps({"pid": pid, "status": "running"}))
    with pytest.raises(LauncherError, match="invalid PID"):
        stop(KEY)


@pytest.fixture
def foreign_port() -> Iterator[int]:
    """The port of a healthy HTTP server of somebody else."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)


def test_a_foreign_server_on_the_port_of_a_dead_service_is_not_used(
    launch_dict: LaunchDict, state_file: Path, connection_file: Path, workdir: Path, foreign_port: int
) -> None:
    run(launch_dict())
    os.kill(starts(workdir)[0], signal.SIGKILL)
    change(state_file, port=foreign_port)
    change(connection_file, port=foreign_port)
    assert run(launch_dict())["port"] != foreign_port
    assert len(starts(workdir)) == 2


def test_a_foreign_server_on_the_port_of_a_living_service_is_not_used(
    launch_dict: LaunchDict, state_file: Path, connection_file: Path, workdir: Path, foreign_port: int
) -> None:
    run(launch_dict())
    change(state_file, port=foreign_port)
    change(connection_file, port=foreign_port)
    assert run(launch_dict())["port"] != foreign_port


def test_a_launch_id_in_the_answer_is_proof_enough(launch_dict: LaunchDict, monkeypatch: pytest.MonkeyPatch) -> None:
    from seamless.launcher import health

    def forbidden(*arguments: object) -> bool:
        raise AssertionError("the kernel need not be asked")

    monkeypatch.setattr(health, "listens", forbidden)
    assert run(launch_dict("header"))["port"] > 0


def test_a_service_of_another_machine_is_not_started_twice(
    launch_dict: LaunchDict, state_file: Path, workdir: Path
) -> None:
    run(launch_dict())
    change(state_file, boot_id="of another machine", host="another-machine")
    with pytest.raises(ElsewhereError, match="recorded as running on another-machine") as caught:
        run(launch_dict())
    assert "rhl-rm --server" in caught.value.hint
    assert len(starts(workdir)) == 1


def test_the_same_boot_under_another_name_is_this_machine(launch_dict: LaunchDict, state_file: Path) -> None:
    run(launch_dict())
    change(state_file, host="name-in-a-container")
    assert json.loads(state_file.read_text())["boot_id"] == boot_id()
    found = status(KEY)
    assert found is not None and found["live"] is True


def test_the_recorded_start_time_is_that_of_the_process(launch_dict: LaunchDict, state_file: Path) -> None:
    run(launch_dict())
    state = json.loads(state_file.read_text())
    assert state["start_time"] == start_time(state["pid"])
