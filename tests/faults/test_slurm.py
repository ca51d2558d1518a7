"""What SLURM does to the jobs in which steps run: nodes that fail or are drained, too little memory or time.

A canceled job: tests/integration/test_dask_slurm.py; what follows in which case: tests/services/dask/test_jobs.py.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.dask_place import DaskPlace, end
from tests.integration.place import eventually

pytestmark = [pytest.mark.slurm, pytest.mark.xdist_group("slurm"), pytest.mark.timeout(300)]
pytest.importorskip("dask_jobqueue")

QUICK = ", cores: 1, maximum_jobs: 1, partition: main, extra_dask_config: {distributed.adaptive.interval: 1s}"
_PATIENCE = 400  # seconds for a program: it may see several jobs begin, and a minute pass in one
_BEGIN = 150  # seconds until a step is under way in a job: every service begins, and the machine may be busy

# A step that stays in its first job until that ends, and tells in the second one what job it is.
STEP = """
@delayed
def step(mark):
    import os, subprocess, time
    with open(mark, "a") as f:
        f.write(os.environ["SLURM_JOB_ID"] + "\\n")
    if len(open(mark).readlines()) == 1:
        {first}
    query = ["squeue", "--noheader", "--format=%l", "--job", os.environ["SLURM_JOB_ID"]]
    return subprocess.check_output(query, text=True).strip()

tf = step({mark!r})
tf.compute()
print(tf.value if tf.exception is None else tf.exception)
"""


@pytest.fixture
def place(tmp_path: Path, slurm: dict[str, str]) -> Iterator[DaskPlace]:
    """A place whose steps run in one job at a time."""
    place = DaskPlace(tmp_path / "place", kind="slurm", queue=QUICK, **slurm)
    yield place
    node(place, "resume")
    end(place)
    eventually(lambda: command(place, "squeue", "--noheader") == "")


def command(place: DaskPlace, *words: str) -> str:
    done = subprocess.run(words, env=place.environment(), capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.strip()


def node(place: DaskPlace, state: str) -> None:
    """Have the only node be in a state: down, drain, or in service again."""
    name = command(place, "sinfo", "--noheader", "--format=%n")
    words = ["scontrol", "update", f"nodename={name}", f"state={state}", "reason=test"]
    subprocess.run(words, env=place.environment(), capture_output=True, timeout=30, check=state != "resume")


def started(place: DaskPlace, directory: Path, first: str) -> tuple[subprocess.Popen[str], Path]:
    """Start a program with the step; return it, and the file in which the step notes its jobs."""
    mark = directory / "mark"
    program = place.program(STEP.replace("{first}", first).replace("{mark!r}", repr(str(mark))))
    return place.start(sys.executable, program), mark


def await_step(running: subprocess.Popen[str], mark: Path) -> None:
    """Return when the step is under way in its first job."""
    deadline = time.monotonic() + _BEGIN
    while not (mark.exists() and mark.read_text()):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline, "the step has not begun"
        time.sleep(0.01)


def begun(place: DaskPlace, directory: Path, first: str) -> tuple[subprocess.Popen[str], Path]:
    """Start a program with the step; return it when the step is under way in its first job."""
    running, mark = started(place, directory, first)
    await_step(running, mark)
    return running, mark


def ended(running: subprocess.Popen[str]) -> str:
    """Return what the program prints in the end."""
    try:
        out, err = running.communicate(timeout=_PATIENCE)
    finally:
        running.kill()
        running.communicate()
    assert running.returncode == 0, err
    return out.strip()


def test_a_step_whose_node_fails_is_executed_again_when_there_is_one(place: DaskPlace, tmp_path: Path) -> None:
    running, mark = begun(place, tmp_path, "time.sleep(1000)")
    node(place, "down")
    eventually(lambda: command(place, "squeue", "--noheader", "--states=running") == "")
    node(place, "resume")
    assert ended(running) == "20:00"
    assert len(mark.read_text().splitlines()) == 2


def test_a_step_on_a_node_that_is_drained_ends_there(place: DaskPlace, tmp_path: Path) -> None:
    go = tmp_path / "go"
    running, mark = begun(place, tmp_path, f"while not os.path.exists({str(go)!r}): time.sleep(0.01)")
    node(place, "drain")
    go.touch()
    assert ended(running) == "20:00"
    assert len(mark.read_text().splitlines()) == 1


# --- memory ---------------------------------------------------------------------------------------

# Two steps that each need more memory than their first job has.
HUNGRY = """
@delayed
def step(mark):
    import os
    with open(mark, "a") as f:
        f.write(os.environ["SLURM_JOB_ID"] + "\\n")
    return len(b"x" * 700_000_000)

code = "echo $SLURM_JOB_ID >> {mark}; python3 -c 'print(len(bytes(range(100)) * 7_000_000))' > RESULT"
command = delayed(code, "bash")
for tf in parallel([step("{mark}"), command()]):
    print(int(tf.value) if tf.exception is None else tf.exception)
"""


def test_what_the_kernel_ends_for_its_memory_gets_a_job_with_more(
    place: DaskPlace, tmp_path: Path, require: Callable[[object, str], None]
) -> None:
    require("task/cgroup" in command(place, "scontrol", "show", "config"), "SLURM cannot limit memory here")
    clusters, mark = place.home / ".seamless" / "clusters.yaml", tmp_path / "mark"
    clusters.write_text(clusters.read_text().replace("cores: 1", "cores: 2"))
    program = place.program(HUNGRY.replace("{mark}", str(mark)))
    assert ended(place.start(sys.executable, program)) == "700000000\n700000000"
    jobs = mark.read_text().split()
    assert (len(jobs), len(set(jobs))) == (4, 2)


# --- time -----------------------------------------------------------------------------------------


@pytest.mark.timeout(900)
def test_a_step_whose_job_comes_to_its_end_gets_a_longer_one_or_one_clear_error(
    place: DaskPlace, tmp_path: Path, slurm: dict[str, str]
) -> None:
    other = DaskPlace(tmp_path / "other", kind="slurm", queue=QUICK.replace("main", "short"), **slurm)
    try:
        under_way = []
        for each in (place, other):
            clusters = each.home / ".seamless" / "clusters.yaml"
            clusters.write_text(clusters.read_text().replace("00:20:00", "00:01:00"))
            under_way.append(started(each, each.work, "time.sleep(1000)"))
        (longer, mark), (hopeless, hopeless_mark) = under_way
        said = ended(hopeless)
        assert "its job has come to its end (walltime 00:01:00)" in said and "allows no longer jobs" in said
        assert len(hopeless_mark.read_text().splitlines()) == 1
        assert ended(longer) == "2:00"
        assert len(mark.read_text().splitlines()) == 2
    finally:
        for running, _ in under_way:
            running.kill()
            running.communicate()
        end(other)


# --- neither --------------------------------------------------------------------------------------


def test_a_step_that_fails_in_a_job_is_executed_once(place: DaskPlace) -> None:
    done = place.attempt("seamless-run", "-c", place.counted("echo no >&2; exit 7"))
    assert (done.returncode, done.stdout) == (7, "")
    assert "exit status 7" in done.stderr
    assert place.ran == 1
