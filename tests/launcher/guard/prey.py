"""What an attacker with a guarded key, or with an account on the same machine, would like to get: all of it watched."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.helpers.sshd import SCRIPTS, Sshd, new_sshd

SECRET = "the-secret-of-the-victim"
TRAP = "#!/bin/sh\ntouch {sprung}\n"
NAMES = (
    b"a\nrhl-guard: rejected: forged",
    b"\x1b]0;title\x07",
    "\u202egpj".encode(),
    b"\xff\xfe",
    b"n" * 255,
    b"-rf",
    b"--force",
    b"$(touch sprung)",
    b"`touch sprung`",
    b"; touch sprung",
    b" ",
    b"*",
)
DEEP = 1500  # directories in each other: deeper than Python recurses, and than a path is long


class Prey:
    """A server with a guarded key, and directories that an attacker has prepared below the root of its data.

    `victim` is beside that root, `sprung` appears if anything is executed, `sleeper` is a process of the account.
    """

    def __init__(self, server: Sshd):
        self.server, self.root, self.home = server, server.root, server.home
        self.data, self.victim, self.sprung = (self.root / name for name in ("data", "victim", "sprung"))
        self.records = self.home / ".remote-http-launcher" / "server"
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sleeper = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        for directory in (self.victim, self.data, self.records, self.home / ".ssh"):
            directory.mkdir(parents=True)
        for path in (self.victim / "precious", self.home / ".ssh" / "id", self.home / ".bashrc"):
            path.write_text(f"# {SECRET}\n")
        self._prepare_data()
        self._prepare_states()
        self._before = self._seen()

    # --- what has been prepared ---------------------------------------------------------------

    def _prepare_data(self) -> None:
        data = self.data
        for name in ("plain", "mixed", "names", "hard", "bin", "env/bin", "forged/server", "deep"):
            (data / name).mkdir(parents=True)
        (data / "plain" / "x").touch()
        for name, target in (("link", self.victim), ("up", data.parent), ("loop", data / "loop"), ("root", "/")):
            (data / name).symlink_to(target)
        (data / "link.db").symlink_to(self.victim / "precious")
        (data / "mixed" / "inner").symlink_to(self.victim)
        os.mkfifo(data / "fifo")
        os.mkfifo(data / "mixed" / "fifo")
        with open(data / "mixed" / "sparse", "wb") as f:
            f.truncate(1 << 40)
        for name in NAMES:
            open(os.path.join(os.fsencode(data / "names"), name), "w").close()
        os.link(self.victim / "precious", data / "hard" / "other name")
        for name in ("sh", "python3", "hashserver", "apptainer", "conda"):
            for directory in ("bin", "env/bin"):
                (data / directory / name).write_text(TRAP.format(sprung=self.sprung))
                (data / directory / name).chmod(0o755)
        (data / "sitecustomize.py").write_text(f"open({str(self.sprung)!r}, 'w')\n")
        library = data / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
        (library / "lib-dynload").mkdir(parents=True)
        for name in ("os", "encodings"):
            (library / f"{name}.py").write_text(f"import posix\nposix.open({str(self.sprung)!r}, posix.O_CREAT)\n")
        (data / "evil.sif").write_text("no image")
        for path in (os.fsencode(data / "deep"), os.path.join(os.fsencode(data), b"kept", NAMES[0], NAMES[1])):
            os.makedirs(path, exist_ok=True)
            self._deepen(path)

    def _deepen(self, path: bytes) -> None:
        fd = os.open(path, os.O_RDONLY)
        for _ in range(DEEP):
            os.mkdir("d", dir_fd=fd)
            below = os.open("d", os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = below
        os.close(fd)

    def _prepare_states(self) -> None:
        pid = self.sleeper.pid
        command = "hashserver --status-file sleep"
        states: dict[str, Any] = {
            "init": {"pid": 1, "status": "running", "command": command, "port": 1},
            "group": {"pid": -pid, "status": "running", "command": command},
            "all": {"pid": -1, "status": "running", "command": command},
            "own": {"pid": 0, "status": "running", "command": command},
            "named": {"pid": pid, "status": "running", "command": command, "port": self.port},
            "recycled": {"pid": pid, "start_time": 1, "status": "running", "command": command},
            "huge": {"pid": 1 << 70, "start_time": 1, "status": "running", "port": 1 << 70},
            "typed": {"pid": [str(pid)], "start_time": {}, "status": {"a": 1}, "port": "x", "meta": 3, "command": [1]},
            "far": {"status": "running", "port": 22, "network_interface": "192.0.2.1"},
            "shown": {"status": "\x1b[2J\nrhl-guard: rejected: forged", "port": 1, "network_interface": "\x1b[2J"},
        }
        for key, state in states.items():
            (self.records / f"{key}.json").write_text(json.dumps(state))
        (self.records / "deep.json").write_text('{"a":' * 100_000)
        (self.records / "linked.json").symlink_to(self.victim / "precious")
        (self.records / "linked.log").symlink_to(self.victim / "precious")
        os.mkfifo(self.records / "piped.json")
        os.mkfifo(self.records / "piped.log")
        (self.records / "directory.json").mkdir()
        forged = self.data / "forged" / "server"
        (forged / "named.json").write_text(json.dumps({"status": "running", "port": self.port}))

    # --- what must not happen -----------------------------------------------------------------

    def _seen(self) -> list[Any]:
        files = (self.victim / "precious", self.home / ".ssh" / "id", self.home / ".bashrc")
        return [
            sorted(os.listdir(self.victim)),
            sorted(os.listdir(self.home)),
            sorted(set(os.listdir(self.root)) - {"commands.log", "stop"}),
            *[path.read_text() for path in files],
            self.sleeper.poll(),
        ]

    def check(self, *outputs: str) -> None:
        """Fail if an attack has got or changed anything."""
        assert not self.sprung.exists(), "code of the attacker was executed"
        assert self._seen() == self._before
        for text in outputs:
            assert SECRET not in text
            assert "\x1b" not in text and "\x07" not in text
            assert "Traceback" not in text, text
            assert not any(line.startswith("rhl-guard: rejected: forged") for line in text.splitlines())

    def ssh(self, *words: str | bytes, data: bytes = b"") -> subprocess.CompletedProcess[str]:
        """Run ssh with these words after its options and the host."""
        done = subprocess.run(
            [os.fsencode(self.server.shim), *words], input=data, capture_output=True, timeout=60, check=False
        )
        texts = (text.decode("utf-8", "replace") for text in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(words, done.returncode, *texts)

    def text(self, template: str) -> bytes:
        """Return a command with the places of this server in it."""
        names = {"data": self.data, "victim": self.victim, "home": self.home, "port": self.port}
        names |= {"sprung": self.sprung, "pid": self.sleeper.pid}
        for name, value in names.items():
            template = template.replace(f"<{name}>", str(value))
        return template.encode("utf-8", "surrogateescape")

    def close(self) -> None:
        """End everything and remove it, however deep."""
        self.sleeper.kill()
        self.sleeper.wait()
        self.listener.close()
        subprocess.run(["rm", "-rf", "--", self.data], check=True)
        self.server.close()


@contextmanager
def hunted() -> Iterator[Prey]:
    """Hold a server that is attacked; one connection serves all commands that need no other."""
    server = new_sshd(more="AcceptEnv *\nExposeAuthInfo yes\nMaxSessions 100\nAllowStreamLocalForwarding no")
    try:
        server.start()
        prey = Prey(server)
        try:
            roots = server.root / "roots"
            roots.write_text(f"{prey.data}\n")
            roots.chmod(0o600)
            words = [SCRIPTS / "rhl-guard", "--data-roots", roots]
            key = server.authorize("guard")
            with open(server.root / "ssh_config", "a") as f:
                f.write(f"ControlMaster auto\nControlPath {server.root}/mux-%n\nControlPersist 60\n")
            made = subprocess.run(
                [*words, "--print-authorized-key", key], capture_output=True, text=True, check=True, timeout=60
            )
            server.set_line("guard", made.stdout.strip())
            prey.ssh("guard", "rhl-ps")  # from now on the host is known, and the launcher has its log
            prey._before = prey._seen()
            yield prey
        finally:
            prey.close()
    finally:
        server.close()
