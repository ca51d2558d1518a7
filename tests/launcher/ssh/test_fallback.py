"""Hosts without our helpers: they are brought along, or the ones of an older launcher are used."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seamless.launcher import LauncherError, StartFailed, run, status, stop
from seamless.launcher.errors import GuardRejected, HelperMissing
from seamless.launcher.handshake import HandshakeConfig, probe
from seamless.launcher.ssh.connection import SSHConnection
from tests.helpers.sshd import Sshd
from tests.launcher.ssh.conftest import RemoteDict
from tests.launcher.support import KEY, Recorder, starts

pytestmark = pytest.mark.ssh

MakeSshd = Callable[..., Sshd]


def healthy(payload: dict[str, Any]) -> bool:
    return probe("127.0.0.1", payload["port"], HandshakeConfig("healthcheck")).healthy


def brought(server: Sshd) -> list[Path]:
    """Return the files that were brought to that machine."""
    return sorted((server.home / ".remote-http-launcher").glob("bin/*"))


def program(directory: Path, name: str, text: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(make_sshd: MakeSshd) -> Sshd:
    """Return an sshd of a machine with nothing but Python."""
    return make_sshd(path=())


# --- nothing but Python ---------------------------------------------------------------------------


def test_a_machine_with_nothing_but_python_is_enough(bare: Sshd, remote_dict: RemoteDict, workdir: Path) -> None:
    payload = run(remote_dict())
    assert healthy(payload)
    assert len(starts(workdir)) == 1
    assert len(brought(bare)) == 1
    assert bare.logins() == 2
    assert stop(remote_dict()) == "stopped"


def test_parameters_reach_a_service_with_the_helpers_that_are_brought_and_later(
    bare: Sshd, remote_dict: RemoteDict
) -> None:
    for text in ("first", "second"):
        assert run(remote_dict(file_parameters={"a": text}))["parameters"] == {"a": text}
        assert stop(remote_dict()) == "stopped"
    assert not any("first" in command or "second" in command for command in bare.commands())


def test_the_helpers_are_brought_once(bare: Sshd, remote_dict: RemoteDict) -> None:
    assert status(remote_dict()) is None
    (first,) = brought(bare)
    written = first.stat().st_mtime_ns
    run(remote_dict())
    assert [path.stat().st_mtime_ns for path in brought(bare)] == [written]
    assert first.stat().st_mode & 0o077 == 0


def test_a_damaged_file_is_replaced(bare: Sshd, remote_dict: RemoteDict) -> None:
    status(remote_dict())
    (path,) = brought(bare)
    path.write_bytes(b"damaged")
    assert status(remote_dict()) is None
    assert len(path.read_bytes()) > 10000


def test_without_python_it_is_said_what_is_missing(make_sshd: MakeSshd, tmp_path: Path) -> None:
    program(tmp_path / "bin", "python3", "exit 127")
    make_sshd(path=(tmp_path / "bin",))
    with pytest.raises(HelperMissing, match="no command rhl-ps, and .*: there is no python3 either") as caught:
        SSHConnection("plain").helper(["rhl-ps"])
    assert "Miniforge" in caught.value.hint


def test_an_old_python_looks_for_a_newer_one(make_sshd: MakeSshd, tmp_path: Path, remote_dict: RemoteDict) -> None:
    code = 'import sys; sys.version_info = (3, 6); sys.argv = ["-c"] + sys.argv[2:]; exec(sys.argv.pop(1))'
    program(tmp_path / "bin", "python3", f"shift; exec /usr/bin/python3 -c '{code}' x \"$@\"")
    server = make_sshd(path=(tmp_path / "bin",))
    candidates = [name for name in os.listdir("/usr/bin") if name.startswith("python3.") and name[8:].isdigit()]
    if not any(int(name[8:]) >= 10 for name in candidates):
        pytest.skip("there is no other Python in /usr/bin")
    assert status(remote_dict()) is None
    assert len(brought(server)) == 1


def test_under_a_guard_nothing_is_brought(bare: Sshd, remote_dict: RemoteDict) -> None:
    bare.authorize(
        "guarded", "command=\"echo 'rhl-guard: rejected: command not in whitelist: x' >&2; exit 1\",restrict"
    )
    with pytest.raises(GuardRejected, match="guarded refuses rhl-inspect"):
        run(remote_dict(ssh_hostname="guarded"))
    assert brought(bare) == []


# --- the single helpers of an older launcher -------------------------------------------------------


@pytest.fixture
def older(make_sshd: MakeSshd, tmp_path: Path) -> Sshd:
    """Return an sshd of a machine whose launcher has no rhl-ensure."""
    from tests.helpers.sshd import SCRIPTS

    (tmp_path / "older").mkdir()
    for path in SCRIPTS.glob("rhl-*"):
        if path.name != "rhl-ensure":
            (tmp_path / "older" / path.name).symlink_to(path)
    return make_sshd(path=(tmp_path / "older",))


def test_single_helpers_start_and_reuse_a_service(
    older: Sshd, remote_dict: RemoteDict, workdir: Path, recorder: Recorder, connection_file: Path
) -> None:
    first = run(remote_dict(), observer=recorder)
    assert healthy(first)
    assert recorder.phases[2:5] == ["remote_check:missing", "launch:started", "wait_for_start:waiting"]
    connection_file.unlink()
    second = run(remote_dict(), observer=recorder)
    assert recorder.phases[-1] == "done:reused-remote"
    assert second["tunneled-port"] == first["tunneled-port"]
    assert len(starts(workdir)) == 1
    assert brought(older) == []
    assert older.logins() == 3  # one for all commands, and one for each of the two tunnels


def test_single_helpers_replace_a_service_that_was_killed(older: Sshd, remote_dict: RemoteDict, workdir: Path) -> None:
    run(remote_dict())
    os.kill(starts(workdir)[0], signal.SIGKILL)
    assert healthy(run(remote_dict()))
    assert len(starts(workdir)) == 2


def test_single_helpers_wait_for_a_service_that_starts_already(
    older: Sshd, remote_dict: RemoteDict, workdir: Path, tmp_path: Path
) -> None:
    import threading

    from seamless.launcher.configuration import Configuration
    from seamless.launcher.ssh.arguments import launch_words

    gate = tmp_path / "gate"
    config = Configuration.from_mapping(remote_dict("gated", str(gate)))
    assert SSHConnection("plain").run(launch_words(config)).status == 0
    threading.Timer(0.5, gate.touch).start()
    assert healthy(run(config))
    assert len(starts(workdir)) == 1


def test_single_helpers_report_a_failed_start_with_its_log(older: Sshd, remote_dict: RemoteDict) -> None:
    with pytest.raises(StartFailed, match="on plain: .* ended before it was ready") as caught:
        run(remote_dict("dies"))
    assert caught.value.log_tail == ("hello from dies", "OSError: the disk is full")
    assert caught.value.host == "plain"


def test_single_helpers_stop_what_does_not_get_ready(older: Sshd, remote_dict: RemoteDict, workdir: Path) -> None:
    from tests.helpers.sshd import words_of

    with pytest.raises(StartFailed, match="not ready within 1 s"):
        run(remote_dict("never", start_timeout=1))
    assert words_of(starts(workdir)[0]) == b""


def test_single_helpers_warn_of_other_settings(older: Sshd, remote_dict: RemoteDict, recorder: Recorder) -> None:
    run(remote_dict())
    other = remote_dict(command=remote_dict()["command"] + " x")
    run(other, observer=recorder, reconnect=True)
    assert len(recorder.warnings) == 1
    assert "ssh plain rhl-stop" in recorder.warnings[0]


def test_single_helpers_cannot_start_a_container(older: Sshd, remote_dict: RemoteDict) -> None:
    with pytest.raises(LauncherError, match="cannot start .* in a container image"):
        run(remote_dict(image={"path": "/x.sif"}))


def test_single_helpers_use_a_conda_environment_that_is_known(
    older: Sshd, remote_dict: RemoteDict, workdir: Path
) -> None:
    conda(older, "steps")
    assert healthy(run(remote_dict(conda="steps")))
    with pytest.raises(LauncherError, match="'other' is not listed in the conda cache for SSHExecutor.plain."):
        run(remote_dict(conda="other", key="another"))


def test_a_conda_environment_of_the_other_machine_is_entered(sshd: Sshd, remote_dict: RemoteDict) -> None:
    conda(sshd, "steps")
    assert healthy(run(remote_dict(conda="steps")))
    assert (sshd.home / "activated").read_text().split() == ["steps"]


def conda(server: Sshd, name: str) -> None:
    """Give that machine a conda that knows one environment, and notes which one is entered."""
    root = server.home / "miniforge3"
    script = root / "etc" / "profile.d" / "conda.sh"
    script.parent.mkdir(parents=True)
    script.write_text(
        f"""conda() {{
  case "$1" in
    activate) [ "$2" = base ] || basename "$2" >> {server.home}/activated ;;
    info) echo {root} ;;
    env) echo '{json.dumps({"envs": [str(root), str(root / "envs" / name)]})}' ;;
  esac
}}
"""
    )


def test_a_host_with_a_banner_is_no_obstacle(sshd: Sshd, remote_dict: RemoteDict, recorder: Recorder) -> None:
    (sshd.home / ".bashrc").write_text("echo '{welcome'; echo 'to this machine' >&2\n")
    assert healthy(run(remote_dict(), observer=recorder))
    assert recorder.warnings == []
    assert json.loads((sshd.home / ".remote-http-launcher" / "server" / f"{KEY}.json").read_text())["pid"] > 1
