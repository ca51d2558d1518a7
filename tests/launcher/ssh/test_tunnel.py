"""Tunnels: held by one process for each connection file, through every interruption, and by nobody afterwards."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seamless.launcher import Observer, run
from seamless.launcher.configuration import Configuration
from seamless.launcher.errors import TunnelError
from seamless.launcher.handshake import HandshakeConfig, probe
from seamless.launcher.ssh import tunnel as tunnel_module
from tests.helpers.sshd import Sshd, processes, tunnels, wait_for, words_of
from tests.launcher.ssh.conftest import RemoteDict
from tests.launcher.support import KEY, change, starts

pytestmark = pytest.mark.ssh


def healthy(payload: dict[str, Any]) -> bool:
    return probe("127.0.0.1", payload["port"], HandshakeConfig("healthcheck")).healthy


def forwarding(payload: dict[str, Any]) -> list[int]:
    """Return the ssh processes that forward the port of this connection."""
    mark = f"127.0.0.1:{payload['port']}:127.0.0.1:{payload['tunneled-port']}".encode()
    return [pid for pid in processes() if mark in words_of(pid)]


def status_of(path: Path) -> str | None:
    status = json.loads(path.read_text()).get("status")
    return status if isinstance(status, str) else None


def test_a_tunnel_is_one_process_with_one_ssh(sshd: Sshd, remote_dict: RemoteDict, isolation: Path) -> None:
    payload = run(remote_dict("dashboard", handshake={"path": "health", "port_name": "dashboard_port"}))
    assert tunnels(isolation) == [payload["tunnel_pid"]]
    assert len(forwarding(payload)) == 1


def test_a_tunnel_listens_on_the_loopback_interface_only(sshd: Sshd, remote_dict: RemoteDict) -> None:
    payload = run(remote_dict())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", payload["port"]), timeout=5)


def test_a_tunnel_does_not_use_the_connection_of_the_commands(sshd: Sshd, remote_dict: RemoteDict) -> None:
    payload = run(remote_dict())
    (line,) = [line for line in sshd.commands() if " -L " in line]
    assert "ControlPath=none" in line
    assert healthy(payload)


# --- interruptions -------------------------------------------------------------------------------


def test_a_tunnel_comes_back_on_its_port_after_a_restart_of_the_server(sshd: Sshd, remote_dict: RemoteDict) -> None:
    payload = run(remote_dict())
    sshd.stop()
    wait_for(lambda: not healthy(payload), "the tunnel does not notice")
    sshd.start()
    wait_for(lambda: healthy(payload), "the tunnel does not come back")


def test_a_call_during_an_interruption_lets_the_tunnel_come_back_at_once(
    sshd: Sshd, remote_dict: RemoteDict, isolation: Path
) -> None:
    payload = run(remote_dict())
    sshd.stop()
    wait_for(lambda: not healthy(payload), "the tunnel does not notice")
    sshd.start()
    assert run(remote_dict()) == payload
    assert tunnels(isolation) == [payload["tunnel_pid"]]


def test_a_silent_network_is_a_pause_and_no_failure(sshd: Sshd, remote_dict: RemoteDict, connection_file: Path) -> None:
    payload = run(remote_dict())
    answers: list[bool] = []
    sshd.freeze()
    asking = threading.Thread(target=lambda: answers.append(healthy(payload)))
    asking.start()
    asking.join(0.3)
    assert answers == []
    sshd.thaw()
    asking.join()
    assert answers == [True]
    assert status_of(connection_file) is None


def test_a_killed_tunnel_takes_its_ssh_along_and_is_replaced_on_the_same_port(
    sshd: Sshd, remote_dict: RemoteDict, workdir: Path, isolation: Path
) -> None:
    payload = run(remote_dict())
    os.kill(payload["tunnel_pid"], signal.SIGKILL)
    wait_for(lambda: not forwarding(payload), "ssh outlives the tunnel")
    sshd.forget()
    again = run(remote_dict())
    assert healthy(again)
    assert again["port"] == payload["port"]
    assert tunnels(isolation) == [again["tunnel_pid"]]
    assert len(starts(workdir)) == 1
    assert len(sshd.commands()) == 2


# --- the end -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_a_tunnel_and_its_ssh(
    sshd: Sshd, remote_dict: RemoteDict, isolation: Path, number: signal.Signals
) -> None:
    payload = run(remote_dict())
    os.kill(payload["tunnel_pid"], number)
    wait_for(lambda: not tunnels(isolation) and not forwarding(payload), "it does not end", seconds=5)


def test_a_tunnel_ends_when_its_connection_file_is_removed(
    sshd: Sshd, remote_dict: RemoteDict, isolation: Path, connection_file: Path
) -> None:
    payload = run(remote_dict())
    connection_file.unlink()
    wait_for(lambda: not tunnels(isolation) and not forwarding(payload), "it does not end")


def test_a_tunnel_ends_when_its_connection_file_is_that_of_another_one(
    sshd: Sshd, remote_dict: RemoteDict, isolation: Path, connection_file: Path
) -> None:
    run(remote_dict())
    change(connection_file, tunnel_pid=os.getpid())
    wait_for(lambda: not tunnels(isolation), "it does not end")
    assert status_of(connection_file) is None


def test_a_tunnel_whose_service_has_ended_marks_its_file_and_ends(
    sshd: Sshd, remote_dict: RemoteDict, workdir: Path, connection_file: Path, isolation: Path
) -> None:
    payload = run(remote_dict())
    os.kill(starts(workdir)[0], signal.SIGKILL)
    wait_for(
        lambda: not healthy(payload) and status_of(connection_file) == "stale", "the end of the service is not noticed"
    )
    wait_for(lambda: not tunnels(isolation), "it does not end")
    assert "does not listen any more" in connection_file.with_suffix(".tunnel.log").read_text()


def test_a_tunnel_whose_key_is_withdrawn_gives_up(sshd: Sshd, remote_dict: RemoteDict, connection_file: Path) -> None:
    run(remote_dict())
    sshd.set_line("plain", "")
    sshd.kill_sessions()
    wait_for(lambda: status_of(connection_file) == "stale", "it goes on trying")


def test_a_tunnel_that_nobody_keeps_ends(
    sshd: Sshd, remote_dict: RemoteDict, isolation: Path, connection_file: Path, remote_state: Path
) -> None:
    run(remote_dict(tunnel=False))
    config, state = Configuration.from_mapping(remote_dict()), json.loads(remote_state.read_text())
    with pytest.raises(KeyboardInterrupt):
        with tunnel_module.tunnelled(config, state, str(connection_file), Observer()):
            assert len(tunnels(isolation)) == 1
            raise KeyboardInterrupt
    wait_for(lambda: not tunnels(isolation), "it does not end")


# --- tunnels that cannot be ------------------------------------------------------------------------


def test_a_key_that_may_not_forward_is_reported_as_such(
    sshd: Sshd, remote_dict: RemoteDict, isolation: Path, connection_file: Path
) -> None:
    sshd.authorize("narrow", "restrict")
    with pytest.raises(TunnelError, match="narrow.*prohibited") as caught:
        run(remote_dict(ssh_hostname="narrow"))
    assert "port-forwarding" in caught.value.hint
    assert not connection_file.exists()
    wait_for(lambda: not tunnels(isolation), "the tunnel stays")


def test_a_key_that_may_forward_to_loopback_only_is_enough(sshd: Sshd, remote_dict: RemoteDict) -> None:
    sshd.authorize("narrow", 'restrict,port-forwarding,permitopen="127.0.0.1:*",permitopen="localhost:*"')
    assert healthy(run(remote_dict(ssh_hostname="narrow", network_interface="localhost")))


@pytest.fixture
def taken(connection_file: Path) -> Iterator[int]:
    """Return the port that the tunnel would have, while something else listens there."""
    port = tunnel_module._choose(str(connection_file), {"port": 1}, {})["port"]
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        yield port


def test_a_port_that_is_taken_is_left_alone(sshd: Sshd, remote_dict: RemoteDict, taken: int) -> None:
    payload = run(remote_dict())
    assert payload["port"] != taken
    assert healthy(payload)


def test_a_port_that_is_taken_at_the_last_moment_is_replaced(
    sshd: Sshd, remote_dict: RemoteDict, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel_module, "_is_free", lambda port: True)
    choose = tunnel_module._choose
    choices = [{"port": taken}]
    monkeypatch.setattr(
        tunnel_module, "_choose", lambda *args: choices.pop() if choices else choose(args[0], args[1], {"port": 0})
    )
    monkeypatch.setattr(tunnel_module, "_FIRST_PORT", 19000)  # the usual port is another one from now on
    assert healthy(run(remote_dict()))
    assert choices == []


def test_forwards_of_the_users_configuration_may_fail(sshd: Sshd, remote_dict: RemoteDict, taken: int) -> None:
    config = sshd.root / "ssh_config"
    forward = f"  LocalForward 127.0.0.1:{taken} 127.0.0.1:1\n"
    config.write_text(config.read_text().replace("  BatchMode yes\n", f"  BatchMode yes\n{forward}"))
    assert healthy(run(remote_dict()))


def test_an_unusable_environment_is_no_obstacle(
    sshd: Sshd, remote_dict: RemoteDict, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "json.py").write_text("raise RuntimeError\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert healthy(run(remote_dict()))


def test_nothing_of_a_tunnel_is_left_after_many_calls(
    sshd: Sshd, remote_dict: RemoteDict, isolation: Path, connection_file: Path
) -> None:
    for _ in range(3):
        payload = run(remote_dict())
        connection_file.unlink()
    wait_for(lambda: not tunnels(isolation) and not forwarding(payload), "a tunnel is left")
    assert sorted(path.name for path in connection_file.parent.iterdir()) == [
        f"{KEY}.json.lock",
        f"{KEY}.tunnel.log",
    ]
