"""Steps in jobs of a real OAR cluster, which takes them from an ordinary user only."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab import OAR_USER, NoLab, oar_cluster, world_readable_environment

from tests.integration.dask_place import STEPS
from tests.integration.place import eventually, processes, words_of

pytestmark = [pytest.mark.oar, pytest.mark.xdist_group("oar"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def oar() -> Iterator[Path | str]:
    """The environment that the user of OAR works in, or why there is none."""
    try:
        with oar_cluster():
            yield world_readable_environment()
    except NoLab as exc:
        yield str(exc)


@pytest.fixture
def home(oar: Path | str, require: Callable[[object, str], None]) -> Iterator[Path]:
    """A home of that user, with a cluster and a project."""
    require(isinstance(oar, Path), str(oar))
    root = Path(tempfile.mkdtemp(prefix="oar-home-", dir="/var/tmp"))
    first = random.randrange(33000, 40000, 200)
    (root / ".seamless").mkdir()
    (root / ".seamless" / "clusters.yaml").write_text(
        "ws:\n  type: oar\n  memory_per_core_property_name: not_applicable\n  default_queue: main\n"
        "  queues:\n    main: {memory: 600MB, walltime: '00:20:00', cores: 1, maximum_jobs: 2, target_duration: 10s}\n"
        "  frontends:\n"
        f"    - hashserver: {{bufferdir: {root}/store}}\n      database: {{database_dir: {root}/store}}\n"
        f"      daskserver: {{network_interface: 127.0.0.1, port_start: {first}, port_end: {first + 199}}}\n"
    )
    (root / "seamless.yaml").write_text("- project: fruit\n")
    (root / "seamless.profile.yaml").write_text("- cluster: ws\n- execution: remote\n- persistent: true\n")
    yield root
    mark = os.fsencode(root) + b"/.remote-http-launcher"
    servers = [pid for pid in processes() if mark in words_of(pid) and b"--status-file" in words_of(pid)]
    for pid in servers:
        os.kill(pid, signal.SIGTERM)
    eventually(lambda: not any(words_of(pid) for pid in servers))
    shutil.rmtree(root, ignore_errors=True)


def test_two_steps_at_once_run_in_two_jobs(home: Path, oar: Path) -> None:
    (home / "program.py").write_text(
        STEPS
        + """
@delayed
def meet(number, place):
    import os, time
    open(f"{place}/here-{number}", "w").close()
    deadline = time.monotonic() + 100
    while not os.path.exists(f"{place}/here-{1 - number}"):
        assert time.monotonic() < deadline, "the other one has not come"
        time.sleep(0.05)
    return os.environ["OAR_JOB_ID"]

jobs = [tf.value if tf.exception is None else tf.exception for tf in parallel([meet(i, os.getcwd()) for i in range(2)])]
print(len(set(jobs)), all(job.isdigit() for job in jobs), jobs)
"""
    )
    subprocess.run(["chown", "-R", OAR_USER, home], check=True)
    variables = [f"HOME={home}", f"PATH={oar}/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8", f"USER={OAR_USER}"]
    command = ["runuser", "-u", OAR_USER, "--", "env", "-i", *variables, f"{oar}/bin/python", "program.py"]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=200, stdin=subprocess.DEVNULL)
    assert done.stdout.startswith("2 True"), done.stdout + done.stderr
