"""A user at a workstation whose buffers and results are on another host, behind a guarded key and tunnels.

That host is a network namespace of its own: nothing but the SSH port is reachable, and the cable can be pulled.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.sshd import SCRIPTS, Sshd, signal_quietly, tunnels, wait_for, words_of
from tests.integration.place import Place

pytestmark = [pytest.mark.netns, pytest.mark.timeout(180)]

CLUSTER = """far:
  type: local
  tunnel: true
  frontends:
    - hostname: {address}
      ssh_hostname: guarded
      hashserver: {{bufferdir: {data}}}
      database: {{database_dir: {data}}}
"""
RESULT = "a\nb\n"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=20, capture_output=True)


class Cable:
    """A network of two hosts: this one, and a namespace."""

    def __init__(self) -> None:
        number = os.getpid()
        self.namespace, self.here, there = f"seamless-{number}", f"sea{number}", f"seb{number}"
        net = f"10.{200 + number % 50}.{number // 50 % 250}"
        self.address = f"{net}.2"
        ip("netns", "add", self.namespace)
        try:
            ip("link", "add", self.here, "type", "veth", "peer", "name", there, "netns", self.namespace)
            ip("addr", "add", f"{net}.1/24", "dev", self.here)
            ip("link", "set", self.here, "up")
            for words in (["addr", "add", f"{self.address}/24", "dev", there], ["link", "set", there, "up"]):
                ip("-n", self.namespace, *words)
            ip("-n", self.namespace, "link", "set", "lo", "up")
        except (OSError, subprocess.SubprocessError):
            ip("netns", "del", self.namespace)
            raise

    def pull(self) -> None:
        ip("link", "set", self.here, "down")

    def plug(self) -> None:
        ip("link", "set", self.here, "up")

    def close(self) -> None:
        ip("link", "del", self.here)  # the namespace may outlive its name for a moment
        ip("netns", "del", self.namespace)


@pytest.fixture
def cable(require: Callable[[object, str], None]) -> Iterator[Cable]:
    require(os.getuid() == 0, "network namespaces need root")
    try:
        made = Cable()
    except (OSError, subprocess.SubprocessError) as exc:
        require(False, f"there are no network namespaces here: {exc}")
        raise
    yield made
    made.close()


@pytest.fixture
def far(cable: Cable, make_sshd: Callable[..., Sshd]) -> Sshd:
    """Return the sshd of the other host. The key `guarded` may start services for data below `data`, and no more."""
    server = make_sshd(address=cable.address, namespace=cable.namespace)
    server.root.chmod(0o755)
    (server.root / "data").mkdir()
    roots = server.root / "roots"
    roots.write_text(f"{server.root}/data\n")
    roots.chmod(0o600)
    guard = f"{SCRIPTS}/rhl-guard --data-roots {roots}"
    server.authorize("guarded", f'restrict,port-forwarding,permitopen="127.0.0.1:*",command="{guard}"')
    return server


@pytest.fixture
def place(tmp_path: Path, far: Sshd) -> Iterator[Place]:
    """Return the place of a user whose cluster is the other host."""
    place = Place(tmp_path)
    text = CLUSTER.format(address=far.address, data=far.root / "data")
    (place.home / ".seamless" / "clusters.yaml").write_text(text)
    place.write("seamless.profile.yaml", "- cluster: far\n- execution: process\n- persistent: true\n")
    yield place
    for pid in tunnels(place.home):
        signal_quietly(pid, signal.SIGTERM)
    wait_for(lambda: not tunnels(place.home), "a tunnel does not end")


def step(place: Place) -> str:
    """Have the step executed, or found."""
    return place.run(*command(place), SEAMLESS_SSH=os.environ["SEAMLESS_SSH"])


def command(place: Place, text: str = "sort a.txt") -> list[str]:
    return ["seamless-run", "-i", "a.txt", "-c", place.counted(text)]


def kill_services(far: Sshd, service: str = "") -> list[int]:
    """Kill services of the other host; return what was killed."""
    killed = far.remote_processes(f"server/{service}")
    for pid in killed:
        signal_quietly(pid, signal.SIGKILL)
    wait_for(lambda: not any(words_of(pid) for pid in killed), "a service does not die")
    return killed


def test_a_step_is_executed_once_with_its_data_on_the_other_host(place: Place, far: Sshd) -> None:
    assert step(place) == RESULT
    assert step(place) == RESULT
    assert place.ran == 1
    assert (far.root / "data" / place.project / "seamless.db").exists()
    assert far.logins() <= 4  # two services: a command and a tunnel each


def test_a_second_command_needs_no_login(place: Place, far: Sshd) -> None:
    step(place)
    far.forget()
    step(place)
    assert far.commands() == []


@pytest.mark.parametrize("service", ["hashserver", "database", ""])
def test_a_killed_service_is_started_again(place: Place, far: Sshd, service: str) -> None:
    step(place)
    assert len(kill_services(far, service)) == (1 if service else 2)
    assert step(place) == RESULT
    place.write("a.txt", "d\nc\n")
    assert step(place) == "c\nd\n"
    assert place.ran == 2


def test_killed_tunnels_are_opened_again(place: Place, far: Sshd) -> None:
    step(place)
    for pid in tunnels(place.home):
        os.kill(pid, signal.SIGKILL)
    assert step(place) == RESULT
    assert place.ran == 1
    assert len(tunnels(place.home)) == 2


def test_everything_may_be_killed_at_once(place: Place, far: Sshd) -> None:
    step(place)
    for pid in tunnels(place.home):
        os.kill(pid, signal.SIGKILL)
    kill_services(far)
    far.kill_sessions()
    assert step(place) == RESULT
    assert place.ran == 1


def test_a_pulled_cable_is_reported_and_forgotten_when_it_is_plugged(place: Place, far: Sshd, cable: Cable) -> None:
    step(place)
    cable.pull()
    message = place.refused(*command(place, "tac a.txt"), SEAMLESS_SSH=os.environ["SEAMLESS_SSH"])
    assert "cannot reach guarded over SSH" in message
    assert "check the network" in message
    cable.plug()
    assert step(place) == RESULT
    assert place.ran == 1
