"""The client of the reference distribution with a machine that has our helpers, behind our guard."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from seamless.launcher.guard.main import main
from tests.helpers.sshd import Sshd, processes, signal_quietly, wait_for
from tests.helpers.sshd import make_sshd as make_sshd
from tests.interop.conftest import reference as reference

pytestmark = [pytest.mark.ssh, pytest.mark.timeout(700)]  # the first test installs the reference

KEY = "hashserver-far-rw-project"
DATA = b"some bytes\n"
LAUNCH = """
import json, sys
import remote_http_launcher
print(json.dumps(remote_http_launcher.run(json.load(sys.stdin))))
"""


class Client:
    """The reference launcher on this machine, which reaches the other one as `guard`."""

    def __init__(self, server: Sshd, commands: Path, home: Path):
        self.server, self.commands, self.home = server, commands, home
        self.data = server.root / "data"
        (home / "bin").mkdir()
        (home / "bin" / "ssh").symlink_to(server.shim)

    def launch(self, **fields: Any) -> dict[str, Any]:
        """Return how the service is reached. Raises AssertionError with what the launcher says."""
        config = {
            "key": KEY,
            "workdir": str(self.data / "project"),
            "command": "hashserver {workdir} --writable --port-range 61100 61900 --status-file {status_file} "
            "--host 127.0.0.1 --timeout 120 --insecure",
            "handshake": "healthcheck",
            "hostname": "127.0.0.1",
            "ssh_hostname": "guard",
            "network_interface": "127.0.0.1",
            "tunnel": True,
            **fields,
        }
        done = subprocess.run(
            [str(self.commands / "python"), "-c", LAUNCH],
            input=json.dumps(config),
            env={
                "PATH": f"{self.home}/bin:{self.commands}:/usr/bin:/bin",
                "HOME": str(self.home),
                "LC_ALL": "C.UTF-8",
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def forget(self) -> None:
        """Lose the connection file, and the tunnel with it."""
        (self.home / ".remote-http-launcher" / "client" / f"{KEY}.json").unlink()

    def helper(self, command: str) -> str:
        """Return what a helper over there prints."""
        done = subprocess.run(
            [str(self.server.shim), "guard", command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def client(
    make_sshd: Callable[..., Sshd], reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Client]:
    server = make_sshd()
    (server.root / "data").mkdir()
    (server.root / "roots").write_text(f"{server.root}/data\n")
    key = server.authorize("guard")
    arguments = ("--data-roots", str(server.root / "roots"), "--print-authorized-key", str(key))
    assert main(arguments, execute=lambda argv, environment: None) == 0
    server.set_line("guard", capsys.readouterr().out.strip())
    yield Client(server, reference, tmp_path)
    for pid in processes():
        if pid != os.getpid() and f"HOME={tmp_path}".encode() in environment_of(pid).split(b"\0"):
            signal_quietly(pid, signal.SIGKILL)  # a tunnel of the reference, which obeys other signals late


def environment_of(pid: int) -> bytes:
    """Return the environment that a process began with; empty once it has ended."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def stored(payload: dict[str, Any]) -> bytes:
    """Put a buffer through the tunnel and return what is found under its checksum."""
    url = f"http://{payload['hostname']}:{payload['port']}/{hashlib.sha256(DATA).hexdigest()}"
    with urllib.request.urlopen(urllib.request.Request(url, data=DATA, method="PUT"), timeout=20):
        pass
    with urllib.request.urlopen(url, timeout=20) as answer:
        return bytes(answer.read())


def test_the_reference_launches_reuses_and_recovers_a_service_behind_our_guard(client: Client) -> None:
    payload = client.launch()
    assert stored(payload) == DATA
    (pid,) = [row["pid"] for row in map(json.loads, client.helper("rhl-ps --json").splitlines())]
    client.forget()
    assert stored(client.launch()) == DATA
    assert len(client.server.remote_processes("hashserver")) == 1
    assert client.helper(f"rhl-stop {KEY}") == f"{KEY}: stopped\n"
    wait_for(lambda: not client.server.remote_processes("hashserver"), "the service does not stop")
    assert json.loads(client.helper(f"rhl-inspect {KEY}"))["pid"] == pid
    client.forget()
    assert stored(client.launch()) == DATA
    assert client.helper(f"rhl-stop {KEY}") == f"{KEY}: stopped\n"


def test_the_reference_is_refused_what_our_guard_refuses(client: Client) -> None:
    outside = client.server.root / "elsewhere"
    with pytest.raises(AssertionError, match="path is outside configured --data-roots"):
        client.launch(workdir=str(outside))
    assert not outside.exists()
