"""Steps at a jobserver and on a daskserver, with all services on this machine; raw tasks on the same Dask cluster."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

from benchmarks.execution.quiet import Measured
from benchmarks.services.report import Line
from benchmarks.services.servers import ROOT
from benchmarks.services.steps import Project

_CLUSTER = """
here:
  type: local
  workers: 2
  default_queue: main
  queues:
    main: {{memory: 1GB, walltime: '00:20:00'}}
  frontends:
    - hashserver: {{bufferdir: {store}}}
      database: {{database_dir: {store}}}
      {service}: {{network_interface: 127.0.0.1, port_start: {port}, port_end: {last}}}
"""

# Prints, as JSON, what has been measured of one step, of many in `parallel`, and on Dask of as many raw tasks.
_PROGRAM = """
import contextlib, dataclasses, glob, itertools, json, os, sys
import seamless, seamless.config
from benchmarks.execution.quiet import compare
from benchmarks.execution.steps import add
from seamless.transformer import delayed, direct, parallel
calls, count, rounds, dask = map(int, sys.argv[1:])
seamless.config.init()
step, later, numbers = direct(add), delayed(add), itertools.count(1, 1_000_000)
step(-1, 1)

def one():
    base = next(numbers)
    for i in range(calls):
        step(base + i, 2)

def many():
    base = next(numbers)
    for tf in parallel(later(base + i, 3) for i in range(count)):
        assert tf.exception is None, tf.exception

def raw(client):
    client.gather(client.map(add, range(count), [2] * count, pure=False))

states = glob.glob(os.environ["REMOTE_HTTP_LAUNCHER_DIR"] + "/server/*.json")
services = [json.load(open(state))["pid"] for state in states]
found = compare({"one": one}, rounds, services)
with contextlib.ExitStack() as stack:
    rivals = {"many": many}
    if dask:
        from distributed import Client, LocalCluster
        from seamless.remote import daskserver_remote
        ours = daskserver_remote.client().client
        cluster = stack.enter_context(LocalCluster(2, threads_per_worker=1, dashboard_address=None))
        other = stack.enter_context(Client(cluster, set_as_default=False))
        rivals |= {"same": lambda: raw(ours), "other": lambda: raw(other)}
    found |= compare(rivals, rounds, services)
print(json.dumps({name: dataclasses.asdict(measured) for name, measured in found.items()}), flush=True)
seamless.close()
"""


def _measure(place: Path, service: str, quick: bool) -> tuple[dict[str, Measured], int, int]:
    """Return what was found, and the number of steps that "one" and "many" stand for."""
    project = Project(place, service, 0)
    port = random.randrange(20000, 32000, 200)
    configuration = project.home / ".seamless"
    configuration.mkdir()
    text = _CLUSTER.format(store=project.home / "store", service=service, port=port, last=port + 199)
    (configuration / "clusters.yaml").write_text(text)
    (project.home / "work" / "seamless.yaml").write_text("- project: steps\n- cluster: here\n- execution: remote\n")
    calls, count, rounds = (5, 20, 1) if quick else (50, 500, 5)
    command = [sys.executable, "-c", _PROGRAM, *map(str, (calls, count, rounds, int(service == "daskserver")))]
    try:
        done = subprocess.run(
            command,
            cwd=project.home / "work",
            env=project._environment,
            stdout=subprocess.PIPE,
            timeout=600,
            check=True,
        )
    finally:
        project.stop()
    found = {name: Measured(**values) for name, values in json.loads(done.stdout).items()}
    return found, calls, count


def _noted(subject: str, measured: Measured) -> str:
    return subject if measured.quiet else f"{subject} (disturbed)"


def jobserver(place: Path, quick: bool) -> list[Line]:
    """Measure one step, and steps a second."""
    found, calls, count = _measure(place, "jobserver", quick)
    one, many = found["one"], found["many"]
    return [
        Line(_noted("jobserver, one step", one), one.seconds / calls * 1e3, "ms", goal=8),
        Line(_noted("jobserver, parallel", many), count / many.seconds, "steps/s", goal=300),
        Line("jobserver, parallel, CPU of a step", many.cpu_seconds / count * 1e3, "ms"),
    ]


def dask(place: Path, quick: bool) -> list[Line]:
    """Measure one step, and steps a second against raw tasks: on the same cluster, and on one of two processes."""
    found, calls, count = _measure(place, "daskserver", quick)
    one, many, same, other = (found[name] for name in ("one", "many", "same", "other"))
    subject, rate = _noted("daskserver, parallel", many), count / many.seconds
    return [
        Line(_noted("daskserver, one step", one), one.seconds / calls * 1e3, "ms"),
        Line(subject, rate, "steps/s", "raw tasks, same cluster", count / same.seconds, ratio_goal=0.5),
        Line(subject, rate, "steps/s", "raw tasks, LocalCluster(2)", count / other.seconds, ratio_goal=0.5),
        Line(
            "daskserver, parallel, CPU of a step",
            many.cpu_seconds / count * 1e3,
            "ms",
            "raw tasks, same cluster",
            same.cpu_seconds / count * 1e3,
        ),
    ]


def reference(place: Path, quick: bool) -> list[Line]:
    """Measure steps of the reference in its own process, beside ours in another one; nothing if it is not there.

    Without a service the reference keeps results in memory, so ours does, too; a second pair of lines has ours on disk.
    """
    from benchmarks.services.servers import REFERENCE

    if quick or not (REFERENCE / ".complete").exists():
        return []
    program = place / "program.py"
    program.write_text(_BOTH)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(place)}
    ours = environment | {"PYTHONPATH": str(ROOT)}
    runs = {
        "memory": (sys.executable, ours),
        "disk": (sys.executable, ours | {"SEAMLESS_CACHE": str(place / "cache")}),
        "reference": (str(REFERENCE / "bin" / "python"), environment),
    }
    found = {}
    for name, (python, variables) in runs.items():
        done = subprocess.run(
            [python, str(program)], cwd=place, env=variables, stdout=subprocess.PIPE, timeout=300, check=True
        )
        found[name] = [float(word) * 1e3 for word in done.stdout.splitlines()[-1].split()]
    lines = []
    for word, memory, disk, theirs in zip(_PLACES, found["memory"], found["disk"], found["reference"], strict=True):
        lines.append(Line(f"500 steps, {word}", memory, "ms", "reference", theirs, ratio_goal=1))
        lines.append(Line(f"500 steps, {word}, kept on disk", disk, "ms", "reference (keeps nothing)", theirs))
    return lines


_PLACES = ("in the process", "2 workers")

_BOTH = """
import time
import seamless, seamless.config
from seamless.transformer import delayed, parallel, spawn

@delayed
def add(a, b):
    return a + b

def run(base):
    handles = [add(base + i, 1) for i in range(500)]
    start = time.perf_counter()
    for tf in parallel(handles):
        assert tf.exception is None, tf.exception
    return time.perf_counter() - start

if __name__ == "__main__":
    seamless.config.set_nparallel(50)
    here = run(0)
    spawn(2)
    run(1000)
    there = run(2000)
    print(here, there, flush=True)
    seamless.close()
"""
