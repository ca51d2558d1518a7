"""The situations that are measured. Each is brought about anew for every repetition, with a tiny service."""

from __future__ import annotations

import json
import os
import shlex
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.services.report import Line
from seamless.launcher import SSHConnectionError, forget, run, stop
from tests.helpers.sshd import Sshd, tunnels, wait_for

SERVICE = Path(__file__).resolve().parents[2] / "tests" / "launcher" / "service.py"
KEY = "service-far-rw-benchmark"
CALLERS = 10

# Milliseconds and logins that each situation may cost.
GOALS = {
    "cold start with tunnel": (1500, 2),
    "warm: the connection file holds": (10, 0),
    "connection file lost": (1000, 2),
    "service killed": (3000, 2),
    "tunnel killed": (1000, 2),
    f"{CALLERS} callers at once, cold": (3000, 2),
    "host does not answer": (12000, 0),
}


class Situation:
    """One host, one service, and what is done to them."""

    def __init__(self, server: Sshd, home: Path, workdir: Path):
        self.server, self.home, self.workdir = server, home, workdir
        words = shlex.join([sys.executable, "-I", "-S", str(SERVICE), "ok", "--status-file"])
        self.config: dict[str, Any] = {
            "key": KEY,
            "workdir": str(workdir),
            "command": f"{words} {{status_file}}",
            "handshake": "healthcheck",
            "hostname": "127.0.0.1",
            "ssh_hostname": "plain",
            "network_interface": "127.0.0.1",
            "tunnel": True,
            "log_level": "minimal",
        }

    @property
    def connection_file(self) -> Path:
        return self.home / ".remote-http-launcher" / "client" / f"{KEY}.json"

    def cold(self) -> None:
        """Nothing runs, and nobody is logged in."""
        stop(self.config)
        forget(self.config)
        self.server.kill_sessions()

    def warm(self) -> None:
        """The service runs, and its tunnel is there."""
        run(self.config)

    def lost(self) -> None:
        """The service runs, but it is not known how to reach it."""
        self.warm()
        self.connection_file.unlink()
        wait_for(lambda: not tunnels(self.home), "the tunnel does not end")
        self.server.kill_sessions()

    def killed(self) -> None:
        """The service has been killed, its tunnel is there."""
        self.warm()
        pid = json.loads((self.server.home / ".remote-http-launcher" / "server" / f"{KEY}.json").read_text())["pid"]
        os.kill(pid, signal.SIGKILL)

    def without_tunnel(self) -> None:
        """The service runs, its tunnel has been killed."""
        self.warm()
        for pid in tunnels(self.home):
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not tunnels(self.home), "the tunnel does not end")

    def silent(self) -> None:
        """The host accepts connections and never says a word."""
        self.lost()
        self.server.freeze()


def call(situation: Situation) -> None:
    """Have the service at hand."""
    run(situation.config)


def call_together(situation: Situation) -> None:
    """Have several callers want the service at once."""
    threads = [threading.Thread(target=call, args=(situation,)) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def call_in_vain(situation: Situation) -> None:
    """Be told that the host cannot be reached."""
    try:
        run(situation.config)
    except SSHConnectionError:
        situation.server.thaw()
        return
    raise RuntimeError("a host that does not answer was reached")


def measure(situation: Situation, repetitions: int, *, patient: bool) -> list[Line]:
    """Return a line for the time and one for the logins of each situation. `patient`: also what takes ten seconds."""
    cases: list[tuple[Callable[[], None], Callable[[Situation], None]]] = [
        (situation.cold, call),
        (situation.warm, call),
        (situation.lost, call),
        (situation.killed, call),
        (situation.without_tunnel, call),
        (situation.cold, call_together),
        (situation.silent, call_in_vain),
    ]
    floor = statistics.median(_login(situation.server) for _ in range(repetitions))
    lines = []
    for (name, (milliseconds, logins)), (prepare, action) in zip(GOALS.items(), cases, strict=True):
        if action is call_in_vain and not patient:
            continue
        times, counts = [], []
        for _ in range(1 if action is call_in_vain else repetitions):
            prepare()
            before, start = situation.server.logins(), time.perf_counter()
            action(situation)
            times.append((time.perf_counter() - start) * 1000)
            counts.append(situation.server.logins() - before)
        lines.append(Line(name, statistics.median(times), "ms", "ssh host true", floor, goal=milliseconds))
        lines.append(Line(name, max(counts), "logins", goal=logins))
    return lines


def _login(server: Sshd) -> float:
    """Return the milliseconds that a command takes which does nothing, with a login of its own."""
    start = time.perf_counter()
    subprocess.run([server.shim, "-q", "-o", "ControlPath=none", "plain", "true"], check=True, timeout=60)
    return (time.perf_counter() - start) * 1000
