"""A real sshd on a high port with a home directory of its own, and the ssh command line that reaches it.

The account's own ~/.ssh and the system's /etc/ssh are not touched. Needs root, as sshd does to give a session a home.
`conftest.py` of a test directory takes the fixture with `from tests.helpers.sshd import sshd as sshd`.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

SSHD = "/usr/sbin/sshd"
SCRIPTS = Path(sys.executable).parent
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
DEADLINE = 20.0

# Not below a directory that everybody can write: guards and their policies look at that.
SCRATCH = next((path for path in ("/srv", "/var/lib") if os.access(path, os.W_OK)), None)

_SHIM = """#!/bin/sh
printf '%s\\n' "$(printf '%s ' "$@" | tr '\\n' ' ')" >> {log}
exec /usr/bin/ssh -F {config} "$@"
"""

_CONFIG = """Port {port}
ListenAddress {address}
HostKey {root}/hostkey
PidFile {root}/sshd.pid
AuthorizedKeysFile {root}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
AllowTcpForwarding yes
MaxStartups 100
LogLevel VERBOSE
Subsystem sftp internal-sftp
SetEnv HOME={home} PATH={path} LC_ALL=C.UTF-8
{more}
"""

_ALIAS = """Host {alias}
  HostName {address}
  Port {port}
  User root
  IdentityFile {root}/id_{alias}
  IdentitiesOnly yes
  BatchMode yes
  UserKnownHostsFile {root}/known_hosts
  StrictHostKeyChecking accept-new

"""


def missing() -> str:
    """Return why there can be no sshd here; empty if there can."""
    if os.getuid() != 0:
        return "the tests with an sshd need root"
    if not os.path.exists(SSHD) or shutil.which("ssh") is None:
        return "there is no OpenSSH server and client (openssh-server)"
    return "" if SCRATCH else "neither /srv nor /var/lib can be written"


def free_port(address: str = "127.0.0.1") -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


class Sshd:
    """One sshd. `home` is the home directory of whoever logs in, and `alias` names below are hosts for ssh.

    `path`: where commands are found there, before the system's. `namespace`: a network namespace to run in, which has
    `address`. Aliases: `plain` may do everything; others are made by `authorize`.
    """

    def __init__(
        self,
        root: Path,
        *,
        path: Sequence[Path | str] = (SCRIPTS,),
        address: str = "127.0.0.1",
        namespace: str | None = None,
        port: int | None = None,
        more: str = "",
    ):
        self.root, self.address, self.namespace = root, address, namespace
        self.home = root / "home"
        self.home.mkdir(parents=True)
        self.path = ":".join([*map(str, path), SYSTEM_PATH])
        self.port = port or (free_port(address) if namespace is None else 2222)
        self.more = more
        self.process: subprocess.Popen[bytes] | None = None
        for name in ("ssh_config", "authorized_keys", "known_hosts", "sshd.log", "commands.log"):
            (root / name).touch()
        self._make_key("hostkey")
        self.shim = root / "ssh"
        self.shim.write_text(_SHIM.format(log=root / "commands.log", config=root / "ssh_config"))
        self.shim.chmod(0o755)
        self.authorize("plain")

    def _make_key(self, name: str) -> str:
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(self.root / name)]
        subprocess.run(command, check=True, timeout=DEADLINE)
        return (self.root / f"{name}.pub").read_text().strip()

    def authorize(self, alias: str, options: str = "") -> Path:
        """Make a host name for ssh with a key of its own, whose line has these options; return the public key."""
        key = self._make_key(f"id_{alias}")
        self.set_line(alias, f"{options} {key}".strip())
        with open(self.root / "ssh_config", "a") as f:
            f.write(_ALIAS.format(alias=alias, address=self.address, port=self.port, root=self.root))
        return self.root / f"id_{alias}.pub"

    def set_line(self, alias: str, line: str) -> None:
        """Replace the line of a key in authorized_keys."""
        path = self.root / "authorized_keys"
        others = [old for old in path.read_text().splitlines() if not old.endswith(f" id_{alias}")]
        path.write_text("".join(f"{text}\n" for text in [*others, line]))

    @property
    def command(self) -> str:
        """The value of SEAMLESS_SSH that reaches this sshd by its aliases."""
        return shlex.quote(str(self.shim))

    def start(self) -> None:
        """Start it; returns when it accepts connections."""
        os.makedirs("/run/sshd", exist_ok=True)
        config = self.root / "sshd_config"
        config.write_text(
            _CONFIG.format(
                port=self.port, address=self.address, root=self.root, home=self.home, path=self.path, more=self.more
            )
        )
        command = [SSHD, "-D", "-f", str(config), "-E", str(self.root / "sshd.log")]
        if self.namespace is not None:
            command = ["ip", "netns", "exec", self.namespace, *command]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        wait_for(self._accepts, "sshd does not accept connections")

    def _accepts(self) -> bool:
        assert self.process is not None and self.process.poll() is None, (self.root / "sshd.log").read_text()
        try:
            socket.create_connection((self.address, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """End it and all its sessions."""
        if self.process is None:
            return
        self.kill_sessions()
        self.process.terminate()
        self.process.wait(DEADLINE)
        self.process = None

    def kill_sessions(self) -> None:
        """End all connections; new ones are accepted."""
        for pid in self.sessions():
            signal_quietly(pid, signal.SIGKILL)

    def freeze(self) -> None:
        """Let all connections, and new ones, hang."""
        for pid in self._all():
            signal_quietly(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        for pid in self._all():
            signal_quietly(pid, signal.SIGCONT)

    def _all(self) -> list[int]:
        return [*([self.process.pid] if self.process else []), *self.sessions()]

    def sessions(self) -> list[int]:
        """Return the processes of sshd that serve connections."""
        if self.process is None:
            return []
        found, pending = [], [self.process.pid]
        while pending:
            parent = pending.pop()
            children = [pid for pid in processes() if parent_of(pid) == parent and name_of(pid) == "sshd"]
            found += children
            pending += children
        return found

    def logins(self) -> int:
        """Return how often somebody has logged in."""
        return (self.root / "sshd.log").read_text(errors="replace").count("Accepted publickey for ")

    def commands(self) -> list[str]:
        """Return the arguments of every ssh that was started."""
        return (self.root / "commands.log").read_text().splitlines()

    def forget(self) -> None:
        """Forget logins and commands."""
        for name in ("sshd.log", "commands.log"):
            os.truncate(self.root / name, 0)

    def remote_processes(self, mark: str = "") -> list[int]:
        """Return the processes whose command line names a file below the scratch directory and has `mark`."""
        inside = os.fsencode(self.root) + b"/"
        own = [self.process.pid] if self.process else []
        return [
            pid
            for pid in processes()
            if inside in (line := words_of(pid)) and os.fsencode(mark) in line and pid not in (*own, os.getpid())
        ]

    def close(self) -> None:
        """End it, everything that was started through it, and remove its directory."""
        self.thaw()
        self.stop()
        for pid in self.remote_processes():
            signal_quietly(pid, signal.SIGKILL)
        shutil.rmtree(self.root, ignore_errors=True)


def new_sshd(**options: object) -> Sshd:
    """Return an sshd in a new scratch directory, not started."""
    assert SCRATCH is not None
    return Sshd(Path(tempfile.mkdtemp(prefix="seamless-sshd-", dir=SCRATCH)), **options)  # type: ignore[arg-type]


@pytest.fixture
def make_sshd(
    require: Callable[[object, str], None], isolation: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Sshd]]:
    """Return make_sshd(**options): a running sshd, which SEAMLESS_SSH names. Ends with the test, as do all tunnels."""
    require(not missing(), missing())
    made: list[Sshd] = []

    def make(**options: object) -> Sshd:
        server = new_sshd(**options)
        made.append(server)
        server.start()
        monkeypatch.setenv("SEAMLESS_SSH", server.command)
        return server

    yield make
    for pid in tunnels(isolation):
        signal_quietly(pid, signal.SIGTERM)
    wait_for(lambda: not tunnels(isolation), "a tunnel does not end")
    for server in made:
        server.close()


@pytest.fixture
def sshd(make_sshd: Callable[..., Sshd]) -> Sshd:
    """Return a running sshd with the alias `plain`, on whose PATH the helpers of this installation are."""
    return make_sshd()


# --- processes ----------------------------------------------------------------------------------


def wait_for(condition: Callable[[], object], complaint: str, seconds: float = DEADLINE) -> None:
    """Wait until `condition()` is true; fail with the complaint if it never is."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, complaint
        time.sleep(0.01)


def processes() -> list[int]:
    """Return all processes of this machine."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def words_of(pid: int) -> bytes:
    """Return the command line of a process; empty once it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def name_of(pid: int) -> str:
    """Return what the kernel calls a process."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def parent_of(pid: int) -> int | None:
    """Return the parent of a process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    return int(text[text.rfind(b")") + 2 :].split()[1])


def tunnels(home: Path) -> list[int]:
    """Return the processes that hold tunnels for connection files below `home`."""
    return [pid for pid in processes() if os.fsencode(home) in words_of(pid) and b"monitor" in words_of(pid)]


def signal_quietly(pid: int, number: int) -> None:
    """Send a signal to a process that may have ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
