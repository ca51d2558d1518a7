"""Steps whose data are in services, in processes of their own; against the embedded cache."""

from __future__ import annotations

import functools
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.services.report import Line, medians
from benchmarks.services.servers import OURS, ROOT

_CLUSTERS = """
here:
  type: local
  frontends:
    - hashserver: {{bufferdir: {store}}}
      database: {{database_dir: {store}}}
"""

# Calls the step with numbers that begin at the first argument; prints the milliseconds of the first call of the
# process, whose result is always known but for the very first time, and then those of each of the others.
_PROGRAM = """
import sys, time
first, calls = int(sys.argv[1]), int(sys.argv[2])
import seamless.config
seamless.config.init()
from benchmarks.steps import add
from seamless.transformer import direct
step = direct(add)
start = time.perf_counter()
step(-1, 1)
second = time.perf_counter()
for number in range(first, first + calls):
    step(number, 1)
end = time.perf_counter()
print((second - start) * 1000, (end - second) / calls * 1000, flush=True)
import seamless
seamless.close()
"""


class Project:
    """A project directory, with services of this machine or with an embedded cache."""

    def __init__(self, place: Path, name: str, calls: int):
        self.home, self._calls, self._next = place / name, calls, 0
        self.firsts: list[float] = []  # milliseconds of the first call of each process
        self._work = self.home / "work"
        self._work.mkdir(parents=True)
        self._environment = {
            "HOME": str(self.home),
            "PATH": f"{OURS}:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "LC_ALL": "C.UTF-8",
            "REMOTE_HTTP_LAUNCHER_DIR": str(self.home / "launcher"),
        }

    def use_services(self) -> None:
        """Name a cluster that is this machine."""
        configuration = self.home / ".seamless"
        configuration.mkdir()
        (configuration / "clusters.yaml").write_text(_CLUSTERS.format(store=self.home / "store"))
        (self._work / "seamless.yaml").write_text("- project: steps\n- cluster: here\n- execution: process\n")

    def use_embedded(self) -> None:
        """Name a cache directory."""
        self._environment["SEAMLESS_CACHE"] = str(self.home / "cache")

    def run(self, *, known: bool) -> float:
        """Return the milliseconds of a step that nobody has computed, or (`known`) that an earlier process has."""
        if not known:
            self._next += self._calls
        command = [sys.executable, "-c", _PROGRAM, str(self._next), str(self._calls)]
        done = subprocess.run(
            command, cwd=self._work, env=self._environment, stdout=subprocess.PIPE, timeout=60, check=True
        )
        first, others = map(float, done.stdout.split())
        self.firsts.append(first)
        return others

    def stop(self) -> None:
        """End the services that were launched."""
        for state in (self.home / "launcher" / "server").glob("*.json"):
            pid = json.loads(state.read_text()).get("pid")
            if pid:
                _end(pid)


def _end(pid: int) -> None:
    """Ask a process to end; insist after 10 seconds."""
    deadline = time.monotonic() + 10
    number = signal.SIGTERM
    while _is_alive(pid):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        time.sleep(0.05)
        if time.monotonic() > deadline:
            number = signal.SIGKILL


def _is_alive(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in ("Z", "X")


def run(place: Path, quick: bool) -> list[Line]:
    """Measure in `place`, a directory that is empty."""
    calls, rounds = (5, 1) if quick else (200, 5)
    projects = {"services": Project(place, "services", calls), "embedded cache": Project(place, "embedded", calls)}
    projects["services"].use_services()
    projects["embedded cache"].use_embedded()
    try:
        for project in projects.values():
            project.run(known=False)  # launches the services, compiles modules
        first = medians(
            {name: functools.partial(project.run, known=False) for name, project in projects.items()}, rounds
        )
        warm = medians({name: functools.partial(project.run, known=True) for name, project in projects.items()}, rounds)
    finally:
        projects["services"].stop()
    begun = {name: statistics.median(project.firsts[1:]) for name, project in projects.items()}
    other = "embedded cache"
    return [
        Line("first call of a process, known", begun["services"], "ms", other, begun[other]),
        Line("step through services, known", warm["services"], "ms", other, warm[other], goal=1.5),
        Line("step through services, new", first["services"], "ms", other, first[other], goal=4),
    ]
