"""A user at work: a home with the file of clusters, a project directory with two YAML files, and the commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

SCRIPTS = Path(sys.executable).parent
DEADLINE = 60.0  # seconds for whatever is waited for

# A step in Python that leaves a line in a file whenever it is executed.
PROGRAM = """
import sys
import seamless.config
from seamless.transformer import direct

@direct
def step(x, counter):
    with open(counter, "a") as f:
        f.write("ran\\n")
    return x * 2
"""

Done = subprocess.CompletedProcess[str]


def eventually(condition: Callable[[], Any]) -> Any:
    """Return what `condition` returns as soon as that is true; fail if it never is."""
    deadline = time.monotonic() + DEADLINE
    while not (value := condition()):
        assert time.monotonic() < deadline, "this did not happen in time"
        time.sleep(0.005)
    return value


def command_line(command: Sequence[Any]) -> list[str]:
    """Return the words of a command; one of Seamless that has no script beside the interpreter is run as a module."""
    name, *arguments = map(str, command)
    if not (SCRIPTS / name).exists() and name.startswith("seamless-"):
        module = name.removeprefix("seamless-").replace("service-", "service.").replace("-", "_")
        return [sys.executable, "-m", f"seamless.cli.{module}", *arguments]
    return [name, *arguments]


class Place:
    """The directories of one user, whose services run on this machine and keep their files in `store`.

    `buffers`, `results`: further fields of the two services in the definition of the cluster.
    """

    def __init__(self, root: Path, *, project: str = "fruit", buffers: str = "", results: str = ""):
        self.root, self.project = root, project
        self.work, self.home, self.store, self.counter = (root / n for n in ("work", "home", "store", "count"))
        (self.home / ".seamless").mkdir(parents=True)
        self.work.mkdir()
        self.cluster(buffers=buffers, results=results)
        self.write("seamless.yaml", f"- project: {project}\n")
        self.write("seamless.profile.yaml", "- cluster: ws\n- execution: process\n- persistent: true\n")
        self.write("a.txt", "b\na\n")

    def cluster(
        self, *, bufferdir: Path | None = None, database_dir: Path | None = None, buffers: str = "", results: str = ""
    ) -> None:
        """Define the cluster of this user."""
        (self.home / ".seamless" / "clusters.yaml").write_text(
            "ws:\n  type: local\n  frontends:\n"
            f"    - hashserver: {{bufferdir: {bufferdir or self.store}{buffers}}}\n"
            f"      database: {{database_dir: {database_dir or self.store}{results}}}\n"
        )

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project directory."""
        path = self.work / name
        path.write_text(text)
        return path

    @property
    def data(self) -> Path:
        """Where the services keep the buffers and results of the project."""
        return self.store / self.project

    @property
    def ran(self) -> int:
        """How often the step has been executed."""
        return self.counter.read_text().count("ran\n") if self.counter.exists() else 0

    def counted(self, rest: str) -> str:
        """Return a command line that notes that it is executed, and then does the rest."""
        return f"echo ran >> {self.counter}; {rest}"

    # --- commands -----------------------------------------------------------------------------

    def environment(self, **more: str) -> dict[str, str]:
        return {"HOME": str(self.home), "PATH": f"{SCRIPTS}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", **more}

    def start(self, *command: Any, **more: str) -> subprocess.Popen[str]:
        """Start a command in the project directory; the caller waits for it."""
        return subprocess.Popen(
            command_line(command), cwd=self.work, env=self.environment(**more), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def attempt(self, *command: Any, **more: str) -> Done:
        """Run a command, whatever comes of it; no traceback may."""
        process = self.start(*command, **more)
        try:
            out, err = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
            process.communicate()
        assert "Traceback" not in err, err
        return Done(command, process.returncode, out, err)

    def run(self, *command: Any, **more: str) -> str:
        """Run a command that must succeed; return its output."""
        done = self.attempt(*command, **more)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *command: Any, **more: str) -> str:
        """Run a command that must fail with nothing on its output; return its messages."""
        done = self.attempt(*command, **more)
        assert done.returncode != 0 and done.stdout == "", done
        return done.stderr

    # --- services -----------------------------------------------------------------------------

    @property
    def records(self) -> Path:
        """Where the launcher keeps the states of services."""
        return self.home / ".remote-http-launcher" / "server"

    def states(self, service: str = "") -> list[dict[str, Any]]:
        """Return what the launcher has recorded about services."""
        return [json.loads(path.read_text()) for path in sorted(self.records.glob(f"{service}*.json"))]

    def pids(self, service: str = "") -> list[int]:
        """Return the processes that serve this user, whatever is recorded about them."""
        mark = os.fsencode(self.records / service) if service else os.fsencode(self.records) + b"/"
        return [pid for pid in processes() if mark in words_of(pid) and b"--status-file" in words_of(pid)]

    def kill(self, service: str = "") -> list[int]:
        """Kill the services, and return their processes."""
        killed = self.pids(service)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: not any(words_of(pid) for pid in killed))
        return killed

    def clients(self) -> dict[str, Any]:
        """Return the text of SEAMLESS_REMOTE_CLIENTS for the services that run, with their tokens."""
        kinds = {}
        for kind, service in (("buffer", "hashserver"), ("database", "database")):
            (state,) = self.states(service)
            url = f"http://127.0.0.1:{state['port']}"
            kinds[kind] = [{"readonly": False, "url": url, "remote_url": url, "token": state["token"]}]
        return kinds


def processes() -> list[int]:
    """Return all processes of this machine."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def words_of(pid: int) -> bytes:
    """Return the command line of a process; empty once it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
