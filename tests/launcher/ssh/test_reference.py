"""Our client with a machine that has the launcher of the reference distribution, plain and behind its guard."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seamless.launcher import StartFailed, run, status, stop
from seamless.launcher.errors import GuardRejected
from tests.helpers.sshd import Sshd, tunnels, wait_for
from tests.interop.conftest import reference as reference
from tests.launcher.support import Recorder

pytestmark = [pytest.mark.ssh, pytest.mark.timeout(180)]

KEY = "hashserver-far-rw-project"
COMMAND = "hashserver {workdir} --writable --status-file {status_file} --host 127.0.0.1 --timeout 120"
DATA = b"some bytes\n"


@pytest.fixture
def far(make_sshd: Callable[..., Sshd], reference: Path) -> Sshd:
    """Return an sshd of a machine with the reference; `guarded` is a key that its guard limits to `data`."""
    server = make_sshd(path=(reference,))
    (server.root / "roots").write_text(f"{server.root}/data\n")
    (server.root / "data").mkdir()
    server.authorize("guarded", f'command="{reference}/rhl-guard --data-roots {server.root}/roots"')
    return server


def launch_dict(server: Sshd, alias: str, **fields: Any) -> dict[str, Any]:
    return {
        "key": KEY,
        "workdir": str(server.root / "data" / "project"),
        "command": COMMAND,
        "handshake": "healthcheck",
        "hostname": "127.0.0.1",
        "ssh_hostname": alias,
        "network_interface": "127.0.0.1",
        "tunnel": True,
        "log_level": "minimal",
        "meta": {"service": "hashserver"},
        **fields,
    }


def store(payload: dict[str, Any]) -> str:
    """Put a buffer and return what is found under its checksum."""
    url = f"http://127.0.0.1:{payload['port']}/{hashlib.sha256(DATA).hexdigest()}"
    request = urllib.request.Request(url, data=DATA, method="PUT")
    with urllib.request.urlopen(request, timeout=20):
        pass
    with urllib.request.urlopen(url, timeout=20) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize("alias", ["plain", "guarded"])
def test_a_hashserver_is_started_used_reused_and_stopped(
    far: Sshd, alias: str, recorder: Recorder, isolation: Path
) -> None:
    first = run(launch_dict(far, alias), observer=recorder)
    assert recorder.phases[-1] == "done:launched"
    assert store(first).encode() == DATA
    assert first["meta"] == {"service": "hashserver"}
    second = run(launch_dict(far, alias), observer=recorder, reconnect=True)
    assert recorder.phases[-1] == "done:reused-remote"
    assert second == first
    row = status(launch_dict(far, alias))
    assert row is not None and (row["status"], row["live"]) == ("running", True)
    assert stop(launch_dict(far, alias)) == "stopped"
    assert tunnels(isolation) == []


def test_a_killed_hashserver_is_started_again(far: Sshd) -> None:
    run(launch_dict(far, "plain"))
    state = json.loads((far.home / ".remote-http-launcher" / "server" / f"{KEY}.json").read_text())
    os.kill(state["pid"], signal.SIGKILL)
    assert store(run(launch_dict(far, "plain"))).encode() == DATA


def test_what_its_guard_refuses_is_said(far: Sshd, isolation: Path) -> None:
    with pytest.raises(GuardRejected, match="outside configured --data-roots") as caught:
        run(launch_dict(far, "guarded", workdir=str(far.root / "elsewhere")))
    assert (caught.value.host, caught.value.key) == ("guarded", KEY)
    assert tunnels(isolation) == []


def test_a_failed_start_is_reported_with_the_log_of_that_machine(far: Sshd) -> None:
    with pytest.raises(StartFailed) as caught:
        run(launch_dict(far, "plain", command=COMMAND + " --no-such-option"))
    assert any("no-such-option" in line for line in caught.value.log_tail)


def test_our_helpers_read_its_states(far: Sshd, run_cli: Callable[..., Any]) -> None:
    run(launch_dict(far, "plain"))
    done = run_cli(["rhl-ps", "--json"], env={"HOME": str(far.home)})
    (row,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert (row["key"], row["status"], row["live"]) == (KEY, "running", True)
    wait_for(lambda: stop(launch_dict(far, "plain")) in ("stopped", "already gone"), "it cannot be stopped")
