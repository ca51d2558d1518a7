"""Servers that are away for a while, or die, while others execute steps: nothing is lost, or done twice in vain."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.dask_place import DaskPlace, end
from tests.integration.place import Place, eventually
from tests.integration.test_jobserver import place as jobserver_place
from tests.services.jobserver.conftest import DEADLINE, Jobserver, start, use
from tests.services.jobserver.test_execution import step

__all__ = ["jobserver_place", "start", "use"]  # fixtures

SECONDS_AWAY = 20.0
STORES = ("hashserver", "database")


@pytest.fixture
def dask_place(tmp_path: Path) -> Iterator[DaskPlace]:
    """A place with a daskserver of one worker."""
    pytest.importorskip("distributed")
    place = DaskPlace(tmp_path / "dask", workers=1)
    yield place
    end(place)


def go(*places: Place) -> None:
    """Have the commands there go on."""
    for place in places:
        place.write("go", "")


def outcome(process: subprocess.Popen[str]) -> str:
    """Return what a command prints that succeeds."""
    out, err = process.communicate(timeout=2 * DEADLINE)
    assert process.returncode == 0, err
    return out


@contextmanager
def waiting(place: Place) -> Iterator[subprocess.Popen[str]]:
    """Begin a command that waits for a file `go`; give its process when it is being executed."""
    process = place.start(
        "seamless-run", "-c", place.counted(f"while [ ! -e {place.work}/go ]; do sleep 0.01; done; echo done")
    )
    try:
        eventually(lambda: place.ran == 1 or process.poll() is not None)
        yield process
    finally:
        process.kill()
        process.communicate()


def test_steps_on_a_jobserver_and_on_dask_survive_stores_that_are_silent_for_twenty_seconds(
    jobserver_place: Place, dask_place: DaskPlace
) -> None:
    places = (jobserver_place, dask_place)
    with waiting(jobserver_place) as first, waiting(dask_place) as second:
        stores = [pid for each in places for service in STORES for pid in each.pids(service)]
        assert len(stores) == 4
        for pid in stores:
            os.kill(pid, signal.SIGSTOP)
        go(*places)
        time.sleep(SECONDS_AWAY)
        for pid in stores:
            os.kill(pid, signal.SIGCONT)
        assert [outcome(process) for process in (first, second)] == ["done\n"] * 2
    assert [place.ran for place in places] == [1, 1]


def test_steps_on_a_jobserver_and_on_dask_survive_stores_that_are_killed(
    jobserver_place: Place, dask_place: DaskPlace
) -> None:
    places = (jobserver_place, dask_place)
    with waiting(jobserver_place) as first, waiting(dask_place) as second:
        for place in places:
            for service in STORES:
                place.kill(service)
        go(*places)
        assert [outcome(process) for process in (first, second)] == ["done\n"] * 2
    assert [place.ran for place in places] == [1, 1]  # the results have waited for stores at other addresses


def test_a_jobserver_that_is_killed_and_comes_back_at_its_address_executes_what_was_under_way(
    start: Callable[..., Jobserver], use: Callable[[Jobserver], None]
) -> None:
    from seamless.remote import jobserver_remote

    server = start("--workers", "1")
    use(server)
    jobserver_remote.active.clients[0].retry_seconds = DEADLINE
    handle = step("wait", server.counter).start()
    eventually(lambda: server.ran == 1)
    port = server.port
    server.process.kill()
    server.process.wait(DEADLINE)
    (server.directory / "count.go").touch()
    start("--workers", "1", "--port", str(port))
    assert handle.run() == "waitwait"
    assert server.ran == 2


def test_a_command_whose_dask_worker_is_killed_ends_and_is_executed_by_the_next_one(dask_place: DaskPlace) -> None:
    place = dask_place
    pid = place.work / "pid"
    first = f"echo $$ > {pid}.new; mv {pid}.new {pid}; kill -9 $SEAMLESS_DASK_WORKER_PID; sleep 1000"
    line = place.counted(f"if [ ! -e {pid} ]; then {first}; fi; echo survived")
    process = place.start("seamless-run", "-c", line)
    try:
        shell = int(eventually(lambda: pid.exists() and pid.read_text()))
        eventually(lambda: not Path(f"/proc/{shell}").exists())
        assert outcome(process) == "survived\n"
    finally:
        process.kill()
        process.communicate()
    assert place.ran == 2
