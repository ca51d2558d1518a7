"""Steps at a jobserver and on a daskserver, with all services on this machine; raw tasks on the same Dask cluster."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

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

# Prints seconds: of one step, of each of many in `parallel`, and on Dask of each of as many raw tasks.
_PROGRAM = """
import statistics, sys, time
import seamless, seamless.config
from benchmarks.workers.steps import add
from seamless.transformer import delayed, direct, parallel
calls, count, rounds, dask = map(int, sys.argv[1:])
seamless.config.init()
step, later = direct(add), delayed(add)
step(-1, 1)
one, many, raw = [], [], []
for number in range(calls):
    start = time.perf_counter()
    step(number, 2)
    one.append(time.perf_counter() - start)
for turn in range(rounds + 1):
    start = time.perf_counter()
    for tf in parallel([later(turn * count + i, 3) for i in range(count)]):
        assert tf.exception is None, tf.exception
    many.append((time.perf_counter() - start) / count)
    if dask:
        from seamless.remote import daskserver_remote
        client = daskserver_remote.client().client
        start = time.perf_counter()
        client.gather(client.map(pow, range(count), [2] * count, pure=False))
        raw.append((time.perf_counter() - start) / count)
median = lambda values: statistics.median(values[1:])
print(statistics.median(one), median(many), median(raw) if raw else 0.0, flush=True)
seamless.close()
"""


def _measure(place: Path, service: str, quick: bool) -> list[float]:
    project = Project(place, service, 0)
    port = random.randrange(20000, 32000, 200)
    configuration = project.home / ".seamless"
    configuration.mkdir()
    text = _CLUSTER.format(store=project.home / "store", service=service, port=port, last=port + 199)
    (configuration / "clusters.yaml").write_text(text)
    (project.home / "work" / "seamless.yaml").write_text("- project: steps\n- cluster: here\n- execution: remote\n")
    numbers = (5, 20, 1) if quick else (100, 500, 5)
    command = [sys.executable, "-c", _PROGRAM, *map(str, numbers), str(int(service == "daskserver"))]
    try:
        done = subprocess.run(
            command,
            cwd=project.home / "work",
            env=project._environment,
            stdout=subprocess.PIPE,
            timeout=300,
            check=True,
        )
    finally:
        project.stop()
    return [float(word) for word in done.stdout.split()]


def jobserver(place: Path, quick: bool) -> list[Line]:
    """Measure one step, and steps a second."""
    one, many, _ = _measure(place, "jobserver", quick)
    return [
        Line("jobserver, one step", one * 1e3, "ms", goal=8),
        Line("jobserver, parallel", 1 / many, "steps/s", goal=300),
    ]


def dask(place: Path, quick: bool) -> list[Line]:
    """Measure one step, and steps a second against raw tasks."""
    one, many, raw = _measure(place, "daskserver", quick)
    return [
        Line("daskserver, one step", one * 1e3, "ms"),
        Line("daskserver, parallel", 1 / many, "steps/s", "raw tasks, same cluster", 1 / raw, ratio_goal=0.5),
    ]


def reference(place: Path, quick: bool) -> list[Line]:
    """Measure steps of the reference in its own process, beside ours in another one; nothing if it is not there."""
    from benchmarks.services.servers import REFERENCE

    if quick or not (REFERENCE / ".complete").exists():
        return []
    program = place / "program.py"
    program.write_text(_BOTH)
    found = {}
    for name, python in (("ours", sys.executable), ("reference", str(REFERENCE / "bin" / "python"))):
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(place), "SEAMLESS_CACHE": str(place / name)}
        if name == "ours":
            environment["PYTHONPATH"] = str(ROOT)
        done = subprocess.run(
            [python, str(program)], cwd=place, env=environment, stdout=subprocess.PIPE, timeout=300, check=True
        )
        found[name] = [float(word) * 1e3 for word in done.stdout.splitlines()[-1].split()]
    words = ("500 steps, in the process", "500 steps, 2 workers")
    return [
        Line(word, ours, "ms", "reference", theirs, ratio_goal=1)
        for word, ours, theirs in zip(words, found["ours"], found["reference"], strict=True)
    ]


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
