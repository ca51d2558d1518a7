"""`seamless-cancel`: an execution is ended from another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.queueing.conftest import Place
from tests.cli.run.processes import alive, wait_for


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A place to work in."""
    found = Place(tmp_path)
    yield found
    found.end()


def begun(place: Place, *argv: str) -> tuple[subprocess.Popen[str], int]:
    """Start a command whose step writes its process id to the file `count`; return both when it runs."""
    process = place.start(*argv)
    wait_for(lambda: place.executions())
    return process, int(place.executions()[0])


def test_a_running_command_is_ended(place: Place) -> None:
    run, pid = begun(place, "seamless-run", f"echo $$ >> {place.count}; sleep 100 > o.txt")
    tf = (place.work / "o.txt.FUTURE").read_text()[:64]
    done = place.run("seamless-cancel", tf)
    assert (done.returncode, done.stdout) == (0, "process: canceled\n")
    assert run.wait(30) == 130
    wait_for(lambda: not alive(pid))
    assert place.files() == {"a.txt"}


def test_a_step_of_a_queue_is_ended_and_the_others_go_on(place: Place) -> None:
    place.submit("-c", f"echo $$ >> {place.count}; sleep 100 > o.txt")
    place.submit("cat a.txt > b.txt")
    server, pid = begun(place, "seamless-queue", "--workers", "1")
    done = place.run("seamless-cancel", (place.work / "o.txt.FUTURE").read_text()[:64])
    assert (done.returncode, done.stdout) == (0, "process: canceled\n")
    place.run("seamless-queue-finish", "-q")
    assert server.wait(30) == 1
    assert not alive(pid)
    assert (place.work / "b.txt").exists()


def test_what_does_not_run_is_told_with_2(place: Place) -> None:
    done = place.run("seamless-cancel", "ab" * 32)
    assert (done.returncode, done.stdout) == (2, "process: not-running\n")


def test_a_script_gets_an_object_for_each_place(place: Place) -> None:
    done = place.run("seamless-cancel", "--json", "ab" * 32)
    assert done.returncode == 2
    assert json.loads(done.stdout) == {"place": "process", "status": "not-running", "error": None}


def test_bad_input_gives_1(place: Place) -> None:
    done = place.run("seamless-cancel", "nonsense")
    assert (done.returncode, done.stdout) == (1, "")
    assert "neither a checksum" in done.stderr


def test_a_program_that_takes_no_requests_is_named(place: Place) -> None:
    code = (
        "import os, sys\nfrom seamless.stores.embedded import open_embedded\nfrom seamless.checksum import Checksum\n"
        "store = open_embedded(os.environ['SEAMLESS_CACHE'] + '/__TOPLEVEL__')\n"
        "with store.results.claim(Checksum('ab' * 32)):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], env=place.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    done = place.run("seamless-cancel", "ab" * 32)
    holder.communicate(timeout=30)
    assert done.returncode == 1
    assert f"process: error: process {holder.pid}" in done.stdout


def test_no_request_is_left_behind(place: Place) -> None:
    begun(place, "seamless-run", f"echo $$ >> {place.count}; sleep 100 > o.txt")
    place.run("seamless-cancel", (place.work / "o.txt.FUTURE").read_text()[:64])
    running = Path(place.environment["SEAMLESS_CACHE"]) / ".running"
    wait_for(lambda: os.listdir(running) == [])
