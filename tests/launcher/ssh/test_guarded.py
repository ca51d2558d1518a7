"""Keys that a guard limits: what works as with any key, and what is said when it may not be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from seamless.launcher import run, stop
from seamless.launcher.errors import GuardRejected
from seamless.launcher.handshake import HandshakeConfig, probe
from tests.helpers.sshd import SCRIPTS, Sshd, tunnels
from tests.launcher.support import KEY, Recorder

pytestmark = pytest.mark.ssh

FORWARDING = 'restrict,port-forwarding,permitopen="127.0.0.1:*",permitopen="localhost:*"'


@pytest.fixture
def guarded(sshd: Sshd) -> Sshd:
    """Return an sshd with the keys `guarded` and `reader`, limited to data below `data`, `reader` to looking."""
    sshd.root.chmod(0o755)
    roots = sshd.root / "roots"
    roots.write_text(f"{sshd.root}/data\n")
    roots.chmod(0o600)
    (sshd.root / "data").mkdir()
    guard = f"{SCRIPTS}/rhl-guard --data-roots {roots}"
    sshd.authorize("guarded", f'{FORWARDING},command="{guard}"')
    sshd.authorize("reader", f'{FORWARDING},command="{guard} --read-only"')
    return sshd


def launch_dict(server: Sshd, alias: str, **fields: Any) -> dict[str, Any]:
    workdir = str(server.root / "data" / "project")
    return {
        "key": KEY,
        "workdir": workdir,
        "command": "hashserver --status-file {status_file} --host 127.0.0.1 --timeout 120 {workdir} --writable",
        "handshake": "healthcheck",
        "hostname": "127.0.0.1",
        "ssh_hostname": alias,
        "network_interface": "127.0.0.1",
        "tunnel": True,
        "log_level": "minimal",
        **fields,
    }


def test_a_guarded_key_starts_reuses_and_stops_a_service_with_two_logins(
    guarded: Sshd, recorder: Recorder, isolation: Path
) -> None:
    config = launch_dict(guarded, "guarded")
    payload = run(config, observer=recorder)
    assert probe("127.0.0.1", payload["port"], HandshakeConfig("healthcheck")).healthy
    assert guarded.logins() == 2
    assert run(config, reconnect=True, observer=recorder) == payload
    assert recorder.phases[-1] == "done:reused-remote"
    assert stop(config) == "stopped"
    assert tunnels(isolation) == []


def test_a_directory_outside_of_its_roots_is_refused_with_the_reason(guarded: Sshd, isolation: Path) -> None:
    with pytest.raises(GuardRejected, match="guarded refuses rhl-ensure: .*outside configured --data-roots") as caught:
        run(launch_dict(guarded, "guarded", workdir=str(guarded.root / "elsewhere")))
    assert (caught.value.host, caught.value.key) == ("guarded", KEY)
    assert tunnels(isolation) == []
    assert not (guarded.root / "elsewhere").exists()


def test_a_key_that_may_only_look_uses_a_service_that_runs(guarded: Sshd, recorder: Recorder) -> None:
    started = run(launch_dict(guarded, "guarded"))
    found = run(launch_dict(guarded, "reader"), observer=recorder)
    assert found["tunneled-port"] == started["tunneled-port"]
    assert recorder.phases[-1] == "done:reused-remote"


def test_a_key_that_may_only_look_starts_nothing(guarded: Sshd) -> None:
    with pytest.raises(GuardRejected, match="reader refuses rhl-launch-service") as caught:
        run(launch_dict(guarded, "reader"))
    assert "guard" in caught.value.hint


def test_a_secret_of_the_service_reaches_the_client(guarded: Sshd) -> None:
    payload = run(launch_dict(guarded, "guarded"))
    state = json.loads((guarded.home / ".remote-http-launcher" / "server" / f"{KEY}.json").read_text())
    assert payload.get("token") == state.get("token")
    assert payload["launch_id"] == state["launch_id"]
