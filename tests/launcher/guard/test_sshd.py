"""The guard as sshd calls it, with the line for authorized_keys that it prints: every other channel is closed."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seamless.launcher import run, stop
from seamless.launcher.errors import GuardRejected
from seamless.launcher.guard.main import main
from tests.helpers.sshd import DEADLINE, SCRIPTS, Sshd, free_port, wait_for
from tests.helpers.sshd import make_sshd as make_sshd

pytestmark = pytest.mark.ssh

FOREIGN = "127.0.0.2"  # an address that the line does not open


class Guarded:
    """An sshd, and a key that only the guard answers."""

    def __init__(self, server: Sshd, *flags: str, capsys: pytest.CaptureFixture[str]):
        self.server = server
        self.data = server.root / "data"
        self.data.mkdir()
        roots = server.root / "roots"
        roots.write_text(f"{self.data}\n")
        roots.chmod(0o644)
        key = server.authorize("guard")
        arguments = ("--data-roots", str(roots), *flags, "--print-authorized-key", str(key))
        assert main(arguments, execute=lambda argv, environment: None) == 0
        server.set_line("guard", capsys.readouterr().out.strip())
        self.run("rhl-ps")  # from now on the host is known

    def ssh(self, *words: str, data: bytes | None = None) -> subprocess.CompletedProcess[str]:
        """Run ssh with these words after its options and the host."""
        return subprocess.run(
            [str(self.server.shim), *words],
            input=None if data is None else data.decode(),
            stdin=subprocess.DEVNULL if data is None else None,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def run(self, command: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Send a command."""
        return self.ssh(*options, "guard", command)

    @contextlib.contextmanager
    def forwarding(self, *options: str) -> Iterator[Path]:
        """Hold a connection without a command; yield the file with what ssh says."""
        said = self.server.root / "said"
        with open(said, "w") as f:
            process = subprocess.Popen(
                [str(self.server.shim), "-v", "-N", *options, "guard"], stdin=subprocess.DEVNULL, stderr=f
            )
        try:
            wait_for(
                lambda: "Entering interactive session" in said.read_text() or process.poll() is not None, "no login"
            )
            yield said
        finally:
            process.kill()
            process.wait(DEADLINE)


@pytest.fixture
def guarded(make_sshd: Callable[..., Sshd], capsys: pytest.CaptureFixture[str]) -> Guarded:
    return Guarded(make_sshd(more="AcceptEnv *\nExposeAuthInfo yes"), capsys=capsys)


@pytest.fixture
def echo() -> Iterator[Callable[[str], int]]:
    """Return echo(address): the port of a server there that sends `hello`."""
    listeners: list[socket.socket] = []

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.sendall(b"hello")
                connection.close()

    def start(address: str) -> int:
        listener = socket.create_server((address, 0))
        listeners.append(listener)
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def received(address: tuple[str, int]) -> bytes:
    """Return what comes from a server; empty if the connection is closed or there is none."""
    with socket.socket() as s:
        s.settimeout(DEADLINE)
        try:
            s.connect(address)
            return s.recv(100)
        except OSError:
            return b""


def test_helpers_work_and_nothing_else_does(guarded: Guarded) -> None:
    assert guarded.run("PATH=$HOME/miniforge3/bin:$PATH rhl-ps --key").returncode == 0
    done = guarded.run("ls /")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "rhl-guard: rejected: command not in whitelist: 'ls /'\n"
    (guarded.data / "x").touch()
    assert guarded.run(f"rhl-clear {guarded.data}").stdout == f"removed 1 item(s) from {guarded.data}\n"


def test_a_session_without_a_command_is_only_told_what_this_is(guarded: Guarded) -> None:
    done = guarded.ssh("guard", data=b"id\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert "this program is an SSH guard" in done.stderr


def test_there_is_no_terminal(guarded: Guarded) -> None:
    done = guarded.run("rhl-ps --key", "-tt")
    assert "PTY allocation request failed" in done.stderr


@pytest.mark.parametrize("program", ["sftp", "scp", "scp -O"])
def test_files_are_not_transferred(guarded: Guarded, program: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    words = [*program.split(), "-S", str(guarded.server.shim)]
    words += (
        ["-b", "/dev/null", "guard"] if program == "sftp" else [str(tmp_path / "file"), f"guard:{guarded.data}/file"]
    )
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert os.listdir(guarded.data) == []


def test_the_own_loopback_interface_can_be_reached(guarded: Guarded, echo: Callable[[str], int]) -> None:
    local, remote = free_port(), echo("127.0.0.1")
    with guarded.forwarding("-L", f"127.0.0.1:{local}:127.0.0.1:{remote}"):
        wait_for(lambda: received(("127.0.0.1", local)) == b"hello", "the tunnel does not open")


def test_nothing_else_can_be_reached(guarded: Guarded, echo: Callable[[str], int]) -> None:
    local, remote = free_port(), echo(FOREIGN)
    assert received((FOREIGN, remote)) == b"hello"
    with guarded.forwarding("-L", f"127.0.0.1:{local}:{FOREIGN}:{remote}") as said:
        assert received(("127.0.0.1", local)) == b""
        wait_for(lambda: "administratively prohibited" in said.read_text(), "the forward was not refused")


def test_nothing_is_forwarded_from_there(guarded: Guarded, echo: Callable[[str], int]) -> None:
    remote, local = free_port(), echo("127.0.0.1")
    with guarded.forwarding("-R", f"127.0.0.1:{remote}:127.0.0.1:{local}") as said:
        wait_for(lambda: "remote port forwarding failed" in said.read_text(), "the forward was not refused")
        assert received(("127.0.0.1", remote)) == b""


def test_no_agent_is_forwarded(guarded: Guarded) -> None:
    done = guarded.run("rhl-ps --key", "-v", "-A")
    assert done.returncode == 0
    assert "Agent forwarding" not in done.stderr or "disabled" in done.stderr.lower()


def test_variables_that_the_server_accepts_reach_neither_guard_nor_service(guarded: Guarded) -> None:
    trap, code = guarded.server.root / "sprung", guarded.server.root / "code"
    code.mkdir()
    for name in ("sitecustomize", "seamless", "shlex"):
        (code / f"{name}.py").write_text(f"open({str(trap)!r}, 'a').close()\n")
    (code / "tools.yaml").write_text("x: {command_template: 'touch {config}'}\n")
    options = []
    for name, value in (
        ("PYTHONPATH", code),
        ("PYTHONSTARTUP", code / "shlex.py"),
        ("RHL_TOOLS_YAML", code / "tools.yaml"),
        ("HASHSERVER_EXTRA_DIRS", "/etc"),
        ("LD_LIBRARY_PATH", code),
    ):
        options += ["-o", f"SetEnv={name}={value}"]
    # SetEnv of ssh takes the first line only: one variable a login.
    for i in range(0, len(options), 2):
        assert guarded.run("rhl-ps --key", *options[i : i + 2]).returncode == 0
        done = guarded.run(f"rhl-launch-service --key K --workdir {guarded.data} -- touch x", *options[i : i + 2])
        assert "service binary is not whitelisted: 'touch'" in done.stderr
    assert not trap.exists()
    done = guarded.run(
        f"rhl-launch-service --key K --workdir {guarded.data} -- "
        f"hashserver --status-file ~/.remote-http-launcher/server/K.json {guarded.data}",
        "-o",
        "SetEnv=HASHSERVER_EXTRA_DIRS=/etc",
    )
    assert (done.returncode, done.stderr) == (0, "")
    process = next(pid for pid in guarded.server.remote_processes("hashserver"))
    assert b"HASHSERVER_EXTRA_DIRS" not in Path(f"/proc/{process}/environ").read_bytes()
    assert guarded.run("rhl-stop K").stdout in ("K: stopped\n", "K: kill required\n")


def test_the_log_names_the_key_and_the_client(guarded: Guarded) -> None:
    guarded.run("rhl-ps")
    shown = subprocess.run(
        ["ssh-keygen", "-lf", str(guarded.server.root / "id_guard.pub")], capture_output=True, text=True, check=True
    )
    line = (guarded.server.home / ".remote-http-launcher" / "guard.log").read_text()
    assert f'accepted key={shown.stdout.split()[1]} from=127.0.0.1 argv=["rhl-ps"]' in line


def test_a_service_is_launched_reused_inspected_and_stopped(guarded: Guarded) -> None:
    launch = (
        f"rhl-launch-service --key K --workdir {guarded.data}/p --network-interface 127.0.0.1 -- hashserver --writable "
        f"--host 127.0.0.1 --status-file ~/.remote-http-launcher/server/K.json --timeout 60 {guarded.data}/p"
    )
    for _ in range(2):
        done = guarded.run(launch)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    state = guarded.server.home / ".remote-http-launcher" / "server" / "K.json"
    wait_for(lambda: '"running"' in state.read_text(), "the service does not run")
    assert len(guarded.server.remote_processes("hashserver")) == 1
    assert guarded.run("rhl-ps").stdout.splitlines()[1].startswith("K    running  ")
    assert guarded.run("rhl-stop K").stdout == "K: stopped\n"
    assert guarded.run("rhl-rm K").returncode == 0


def test_a_directory_is_not_cleared_while_somebody_swaps_it(guarded: Guarded) -> None:
    """A race like that of the threat: the directory is exchanged with a link all the time."""
    victim, inside, link = guarded.server.root / "victim", guarded.data / "x", guarded.server.root / "link"
    victim.mkdir()
    (victim / "precious").touch()
    inside.mkdir()
    link.symlink_to(victim)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError):
                os.rename(inside, guarded.data / "y")
                os.rename(link, inside)
                os.rename(inside, link)
                os.rename(guarded.data / "y", inside)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(5):
            guarded.run(f"rhl-clear {inside}")
    finally:
        stop.set()
        thread.join()
    assert (victim / "precious").exists()


def test_no_socket_file_can_be_reached(guarded: Guarded) -> None:
    path, local = guarded.server.root / "socket", free_port()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with guarded.forwarding("-L", f"127.0.0.1:{local}:{path}") as said:
            assert received(("127.0.0.1", local)) == b""
            wait_for(lambda: "open failed" in said.read_text(), "the forward was not refused")


def test_no_socket_file_can_be_made_if_the_server_is_configured_as_the_note_says(
    make_sshd: Callable[..., Sshd], capsys: pytest.CaptureFixture[str]
) -> None:
    guarded = Guarded(make_sshd(more="AllowStreamLocalForwarding no"), capsys=capsys)
    path = guarded.server.root / "made"
    with guarded.forwarding("-R", f"{path}:127.0.0.1:{free_port()}") as said:
        wait_for(lambda: "remote port forwarding failed" in said.read_text(), "the forward was not refused")
        assert not path.exists()


def test_without_tunnels_nothing_is_forwarded(
    make_sshd: Callable[..., Sshd], capsys: pytest.CaptureFixture[str], echo: Callable[[str], int]
) -> None:
    guarded = Guarded(make_sshd(), "--without-tunnels", capsys=capsys)
    local, remote = free_port(), echo("127.0.0.1")
    with guarded.forwarding("-L", f"127.0.0.1:{local}:127.0.0.1:{remote}") as said:
        assert received(("127.0.0.1", local)) == b""
        wait_for(lambda: "administratively prohibited" in said.read_text(), "the forward was not refused")
    path = guarded.server.root / "made"
    with guarded.forwarding("-R", f"{path}:127.0.0.1:{remote}") as said:
        wait_for(lambda: "remote port forwarding failed" in said.read_text(), "the forward was not refused")
        assert not path.exists()


def test_the_scripts_that_the_line_names_are_installed() -> None:
    assert shutil.which("rhl-guard", path=str(SCRIPTS)) is not None


def test_our_own_client_launches_through_the_guard_with_two_logins(guarded: Guarded) -> None:
    server = guarded.server
    launch = {
        "key": "hashserver-far-rw-project",
        "workdir": str(guarded.data / "project"),
        "command": f"hashserver --writable --host 127.0.0.1 --status-file {{status_file}} {guarded.data}/project",
        "handshake": "healthcheck",
        "hostname": "127.0.0.1",
        "ssh_hostname": "guard",
        "network_interface": "127.0.0.1",
        "tunnel": True,
        "log_level": "minimal",
    }
    server.forget()
    payload = run(launch)
    assert server.logins() <= 2
    assert received_http(payload) == 200
    assert run(launch)["port"] == payload["port"]
    assert stop(launch) == "stopped"
    with pytest.raises(GuardRejected, match="path is outside configured --data-roots"):
        run({**launch, "key": "other", "workdir": str(server.root / "elsewhere")})


def received_http(payload: dict[str, object]) -> int:
    """Return the status of the health check through the tunnel."""
    with urllib.request.urlopen(f"http://{payload['hostname']}:{payload['port']}/healthcheck", timeout=DEADLINE) as a:
        return int(a.status)
