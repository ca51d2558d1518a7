"""The same steps in jobs of a real SLURM cluster: begun when there is work, given back, replaced when they die."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.dask_place import DaskPlace, end
from tests.integration.place import eventually

pytestmark = [pytest.mark.slurm, pytest.mark.xdist_group("slurm"), pytest.mark.timeout(150)]
pytest.importorskip("dask_jobqueue")

QUICK = (
    ", cores: 2, maximum_jobs: 2, partition: main, "
    "extra_dask_config: {distributed.adaptive.interval: 1s, distributed.adaptive.wait-count: '2'}"
)


@pytest.fixture
def place(tmp_path: Path, slurm: dict[str, str]) -> Iterator[DaskPlace]:
    """A place whose steps run in jobs."""
    place = DaskPlace(tmp_path / "place", kind="slurm", queue=QUICK, **slurm)
    yield place
    end(place)
    eventually(lambda: jobs(place) == [])


def jobs(place: DaskPlace) -> list[str]:
    """Return the jobs that wait or run."""
    command = ["squeue", "--noheader", "--format=%i"]
    done = subprocess.run(command, env=place.environment(), capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.split()


def test_steps_and_commands_run_in_jobs_which_are_given_back_afterwards(place: DaskPlace, tmp_path: Path) -> None:
    counter = tmp_path / "count"
    program = place.program(f"""
made = [where(i, {str(counter)!r}) for i in range(200)]
values = [tf.value if tf.exception is None else tf.exception for tf in parallel(made)]
print([value["x"] for value in values] == [2 * i for i in range(200)], all(value["job"] for value in values))
""")
    assert place.run(sys.executable, program) == "True True\n"
    assert counter.read_text().count("ran") == 200
    assert place.run("seamless-run", "echo $SLURM_JOB_ID").strip().isdigit()
    eventually(lambda: jobs(place) == [])  # while the wrapper lives
    assert place.pids("daskserver")
    assert place.run("seamless-run", "echo again $SLURM_JOB_ID").split()[1].isdigit()  # and it grows again


def test_a_step_whose_job_is_canceled_is_executed_in_another_one(place: DaskPlace, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    program = place.program(f"""
@delayed
def step(mark):
    import os, time
    with open(mark, "a") as f:
        f.write(os.environ["SLURM_JOB_ID"] + "\\n")
    if len(open(mark).readlines()) == 1:
        time.sleep(1000)
    return os.environ["SLURM_JOB_ID"]

tf = step({str(mark)!r})
tf.compute()
print(tf.value if tf.exception is None else tf.exception)
""")
    running = place.start(sys.executable, program)
    try:
        first = eventually(lambda: mark.exists() and mark.read_text().strip())
        subprocess.run(["scancel", first], env=place.environment(), check=True, timeout=30)
        out, err = running.communicate(timeout=90)
    finally:
        running.kill()
        running.communicate()
    assert out.strip().isdigit() and out.strip() != first, out + err


def test_nested_steps_on_jobs_that_are_all_taken_end(place: DaskPlace) -> None:
    program = place.program("""
@direct
def leaf(i, j):
    return i * 10 + j

@delayed
def outer(i):
    return sum(leaf(i, j) for j in range(5))

outer.globals.leaf = leaf
print([tf.value if tf.exception is None else tf.exception for tf in parallel([outer(i) for i in range(12)])])
""")
    assert place.run(sys.executable, program) == f"{[50 * i + 10 for i in range(12)]}\n"
