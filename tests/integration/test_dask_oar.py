"""Steps in jobs of a real OAR cluster, which takes them from an ordinary user only."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab import NoLab, oar_cluster, world_readable_environment

from tests.integration.dask_place import OarPlace, end

pytestmark = [pytest.mark.oar, pytest.mark.xdist_group("oar"), pytest.mark.timeout(300)]
pytest.importorskip("dask_jobqueue")


@pytest.fixture(scope="module")
def oar() -> Iterator[Path | str]:
    """The environment that the user of OAR works in, or why there is none."""
    try:
        with oar_cluster():
            yield world_readable_environment()
    except NoLab as exc:
        yield str(exc)


@pytest.fixture
def place(oar: Path | str, require: Callable[[object, str], None]) -> Iterator[OarPlace]:
    """A place whose steps run in jobs."""
    require(isinstance(oar, Path), str(oar))
    assert isinstance(oar, Path)
    root = Path(tempfile.mkdtemp(prefix="oar-home-", dir="/var/tmp"))
    place = OarPlace(root, oar, queue=", cores: 1, maximum_jobs: 2, target_duration: 10s")
    yield place
    end(place)
    shutil.rmtree(root, ignore_errors=True)


def test_two_steps_at_once_run_in_two_jobs(place: OarPlace) -> None:
    program = place.program(
        """
@delayed
def meet(number, place):
    import os, time
    open(f"{place}/here-{number}", "w").close()
    deadline = time.monotonic() + 150
    while not os.path.exists(f"{place}/here-{1 - number}"):
        assert time.monotonic() < deadline, "the other one has not come"
        time.sleep(0.05)
    return os.environ["OAR_JOB_ID"]

jobs = [tf.value if tf.exception is None else tf.exception for tf in parallel([meet(i, os.getcwd()) for i in range(2)])]
print(len(set(jobs)), all(job.isdigit() for job in jobs), jobs)
"""
    )
    running = place.start(sys.executable, program)
    try:
        out, err = running.communicate(timeout=200)
    finally:
        running.kill()
        running.communicate()
    assert out.startswith("2 True"), out + err
