"""Machines that are this one once more: each with a network address, processes, accounts and files of its own.

A machine sees the files of this one, but what it writes below /etc, /home, /opt, /root, /usr and /var is its own
and gone with it. `shared` is a directory that all see, as a network file system would be. Needs root.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from tests.helpers.sshd import SCRATCH, SSHD, wait_for

OWN = ("etc", "home", "opt", "root", "usr", "var")
SECONDS = 120
# What a machine writes by merely being there, or by somebody logging in.
HOME = "/root"
ALWAYS = (
    *("/etc/hosts", "/etc/.pwd.lock", "/etc/ssh/ssh_host_", "/var/log/", "/var/tmp"),
    *(f"{HOME}/{name}" for name in (".ssh", ".ansible")),
)
BACKUPS = ("passwd-", "group-", "shadow-", "subuid-", "subgid-")

# The first process of a machine: it makes the files, starts sshd, and waits for whatever loses its parent.
_FIRST = """set -eu
root=$1 name=$2
mount --make-rprivate /
hostname "$name"
mount -t tmpfs tmpfs "$root/$name"
for each in {own}; do
  mkdir -p "$root/$name/$each" "$root/$name/.$each"
  mount -t overlay overlay -o "lowerdir=/$each,upperdir=$root/$name/$each,workdir=$root/$name/.$each" "/$each"
done
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
chmod 1777 /tmp
mkdir -p /run/sshd
mount -t proc proc /proc
ip link set lo up
cat "$root/hosts" >>/etc/hosts
rm -rf {home}/.ssh {home}/.bashrc {home}/.profile {home}/.bash_profile
mkdir -m 700 {home}/.ssh
cat "$root/id_root.pub" >{home}/.ssh/authorized_keys
ssh-keygen -A >/dev/null
{sshd}
while :; do sleep 1 || :; done
"""


class Machines:
    """A network of machines by name. Address of the i-th: `net`.(i+1); this machine is `net`.254."""

    def __init__(self, names: Sequence[str]):
        assert SCRATCH is not None
        self.names = tuple(names)
        self.root = Path(tempfile.mkdtemp(prefix="seamless-machines-", dir=SCRATCH))
        self.root.chmod(0o755)
        self.shared = self.root / "shared"
        self.shared.mkdir()
        number = os.getpid()
        self.net, self.bridge = f"10.{100 + number % 50}.{number // 50 % 250}", f"sbr{number}"
        self._first: dict[str, subprocess.Popen[bytes]] = {}
        make_key(self.root / "id_root")
        (self.root / "known_hosts").touch()
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def address(self, name: str) -> str:
        """Return the address of a machine."""
        return f"{self.net}.{self.names.index(name) + 1}"

    def _start(self) -> None:
        ip("link", "add", self.bridge, "type", "bridge")
        ip("addr", "add", f"{self.net}.254/24", "dev", self.bridge)
        ip("link", "set", self.bridge, "up")
        hosts = "".join(f"{self.address(name)} {name}\n" for name in self.names)
        (self.root / "hosts").write_text(hosts)
        script = self.root / "first.sh"
        script.write_text(_FIRST.format(own=" ".join(OWN), sshd=SSHD, home=HOME))
        for i, name in enumerate(self.names):
            (self.root / name).mkdir()
            words = ["unshare", "--mount", "--uts", "--net", "--pid", "--fork", "--kill-child"]
            command = ["setpriv", "--pdeathsig", "KILL", *words, "bash", str(script), str(self.root), name]
            with open(self.root / f"{name}.log", "wb") as log:
                self._first[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
            wait_for(partial(self._inside, name), f"{name} does not start")
            link = f"{self.bridge}m{i}"
            there = str(self._inside(name))
            ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", there)
            ip("link", "set", link, "master", self.bridge, "up")
            enter = ["nsenter", "--net", f"--target={there}", "ip"]
            run(*enter, "addr", "add", f"{self.address(name)}/24", "dev", "eth0")
            run(*enter, "link", "set", "eth0", "up")
        for name in self.names:
            self._ssh_config(name, "root", self.root / "id_root")
            wait_for(partial(self._lets_in, name), f"{name} lets nobody in")

    def _lets_in(self, name: str) -> bool:
        return self.run(name, "true", check=False).returncode == 0

    def _inside(self, name: str) -> int | None:
        """Return the first process of a machine, as it is called here; None if it is not there yet."""
        outer = self._first[name].pid
        assert self._first[name].poll() is None, (self.root / f"{name}.log").read_text()
        children = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
        if not children or os.stat(f"/proc/{children[0]}/ns/net").st_ino == os.stat("/proc/self/ns/net").st_ino:
            return None
        return int(children[0])

    def _ssh_config(self, alias: str, user: str, key: Path, name: str = "") -> None:
        with open(self.root / "ssh_config", "a") as f:
            f.write(
                f"Host {alias}\n  HostName {self.address(name or alias)}\n  User {user}\n  IdentityFile {key}\n"
                f"  IdentitiesOnly yes\n  BatchMode yes\n  UserKnownHostsFile {self.root}/known_hosts\n"
                "  StrictHostKeyChecking accept-new\n  LogLevel ERROR\n"
            )

    def new_key(self, alias: str, user: str, name: str) -> str:
        """Make a key, and a host name for ssh with which this user asks for this machine; return the public key."""
        key = self.root / f"id_{alias}"
        make_key(key)
        self._ssh_config(alias, user, key, name)
        return (self.root / f"id_{alias}.pub").read_text().strip()

    @property
    def ssh(self) -> str:
        """The value of SEAMLESS_SSH that knows the names."""
        return f"ssh -F {self.root}/ssh_config"

    def run(self, name: str, *words: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command on a machine as root, over ssh."""
        command = ["ssh", "-F", str(self.root / "ssh_config"), name, shlex.join(map(str, words))]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 0 or not check, f"{words}: {done.stdout}{done.stderr}"
        return done

    def files(self, name: str) -> set[str]:
        """Return what a machine has that this one has not, or not so; without what any machine writes."""
        upper = Path(f"/proc/{self._inside(name)}/root{self.root}/{name}")
        found = set()
        for top in OWN:
            for directory, _, names in os.walk(upper / top):
                place = Path("/", os.path.relpath(directory, upper))
                found |= {str(place / each) for each in names if differs(upper / str(place)[1:] / each, place / each)}
                found |= set() if place.exists() else {str(place)}
        return {path for path in found if not path.startswith(ALWAYS) and not path.endswith(BACKUPS)}

    def close(self) -> None:
        """End the machines with all their processes, and the network."""
        for first in self._first.values():
            first.kill()
            first.wait(SECONDS)
        for i in range(len(self._first)):
            ip("link", "del", f"{self.bridge}m{i}", check=False)
        ip("link", "del", self.bridge, check=False)
        shutil.rmtree(self.root, ignore_errors=True)


def differs(path: Path, lower: Path) -> bool:
    """Tell whether a file is another one than that below it."""
    if not (path.is_file() and lower.is_file()) or path.is_symlink():
        return True
    return path.read_bytes() != lower.read_bytes()


def make_key(path: Path) -> None:
    """Make a key pair."""
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path))


def ip(*words: str, check: bool = True) -> None:
    """Change the network of this machine."""
    run("ip", *words, check=check)


def run(*words: str, check: bool = True) -> None:
    """Run a command quietly."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0 or not check, f"{words}: {done.stderr}"


def machines(names: Sequence[str]) -> Iterator[Machines]:
    """Yield machines for a fixture; they end with it."""
    made = Machines(names)
    try:
        yield made
    finally:
        made.close()
