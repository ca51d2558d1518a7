"""A user whose configuration executes on a jobserver: the same commands and programs as ever."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.place import DEADLINE, PROGRAM, Place, eventually

WHERE = """
import seamless.config
seamless.config.init()
from seamless.transformer import direct

def where(x):
    import os
    with open(x, "a") as f:
        f.write("ran\\n")
    return os.getpid()

import sys
print(direct(where)(sys.argv[1]))
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A cluster on this machine whose jobserver has two workers; what runs is ended with the test."""
    place = Place(tmp_path)
    definition = place.home / ".seamless" / "clusters.yaml"
    jobserver = "      jobserver: {network_interface: 127.0.0.1, port_start: 49152, port_end: 65535}\n"
    definition.write_text(
        definition.read_text().replace("  type: local\n", "  type: local\n  workers: 2\n") + jobserver
    )
    place.write("seamless.profile.yaml", "- cluster: ws\n- execution: remote\n")
    yield place
    place.kill()


def status(place: Place, service: str = "jobserver") -> dict[str, int]:
    """Return what the jobserver says of itself."""
    import urllib.request

    (state,) = place.states(service)
    head = {"Authorization": f"Bearer {state['token']}"}
    with urllib.request.urlopen(
        urllib.request.Request(f"http://127.0.0.1:{state['port']}/status", headers=head), timeout=DEADLINE
    ) as answer:
        found: dict[str, int] = json.load(answer)
        return found


def test_commands_and_programs_run_unchanged(place: Place) -> None:
    assert place.run("seamless-run", "-i", "a.txt", "-c", place.counted("tac a.txt")) == "a\nb\n"
    assert place.run("seamless-run", "-i", "a.txt", "-c", place.counted("tac a.txt")) == "a\nb\n"
    assert place.ran == 1
    program = place.write("program.py", f"{PROGRAM}\nseamless.config.init()\nprint(step(21, sys.argv[1]))\n")
    for _ in range(2):
        assert place.run("python", program, place.counter) == "42\n"
    assert place.ran == 2
    assert status(place)["executed"] == 2


def test_the_yaml_decides_where_a_step_is_executed(place: Place) -> None:
    program = place.write("where.py", WHERE)
    there = int(place.run("python", program, place.counter))
    assert os.getpgid(there) and status(place)["executed"] == 1
    place.write("seamless.profile.yaml", "- cluster: ws\n- execution: process\n")
    assert int(place.run("python", program, place.counter)) == there  # a hit, although it is executed elsewhere
    assert place.ran == 1


def test_a_failing_command_ends_with_its_status(place: Place) -> None:
    done = place.attempt("seamless-run", "-c", "echo no >&2; exit 5")
    assert (done.returncode, done.stdout) == (5, "")
    assert "exit status 5" in done.stderr


def test_an_interrupted_command_is_ended_there(place: Place) -> None:
    place.run("seamless-run", "true > RESULT; echo 1")
    process = place.start("seamless-run", "-c", place.counted("sleep 600"))
    eventually(lambda: place.ran == 1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    eventually(lambda: status(place)["canceled"] == 1)


def test_a_step_can_be_canceled_from_another_terminal(place: Place) -> None:
    program = place.write(
        "program.py",
        "import seamless.config\nfrom seamless.transformer import direct\nseamless.config.init()\n"
        f"direct({place.counted('sleep 600')!r}, 'bash')()\n",
    )
    process = place.start("python", program)
    eventually(lambda: place.ran == 1)
    (job,) = _queue(place)
    assert "jobserver: canceled\n" in place.run("seamless-cancel", job["transformation"])
    process.communicate(timeout=DEADLINE)
    assert process.returncode not in (0, None)


def test_a_jobserver_that_was_killed_is_launched_again_and_the_step_executed(place: Place) -> None:
    process = place.start("seamless-run", "-c", place.counted(f"while [ ! -e {place.work}/go ]; do sleep 0.01; done"))
    eventually(lambda: place.ran == 1)
    place.kill("jobserver")
    place.write("go", "")
    out, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, err
    assert place.ran == 2


def test_stores_that_were_launched_again_elsewhere_are_found_by_the_jobserver(place: Place) -> None:
    place.run("seamless-run", "sort a.txt")
    (jobserver,) = place.pids("jobserver")
    place.kill("database")
    place.kill("hashserver")
    assert place.run("seamless-run", "sort -r a.txt") == "b\na\n"
    assert place.pids("jobserver") == [jobserver]


def test_seamless_init_launches_it_with_its_stores(place: Place) -> None:
    assert "jobserver" in place.run("seamless-init")
    assert status(place)["results_kept"] is True
    assert len(place.pids("jobserver")) == 1
    assert place.run("seamless-run", "sort a.txt") == "a\nb\n"
    assert status(place)["executed"] == 1


def test_a_substage_has_a_jobserver_of_its_own_and_the_same_results(place: Place) -> None:
    program = place.write(
        "program.py",
        f"{PROGRAM}\nfor substage in ('a', 'b'):\n    seamless.config.set_stage('s', substage)\n"
        "    print(step(ord(substage), sys.argv[1]))\n",
    )
    assert place.run("python", program, place.counter) == "194\n196\n"
    assert len(place.pids("jobserver")) == 2 and len(place.pids("database")) == 1


def _queue(place: Place) -> list[dict[str, str]]:
    import urllib.request

    (state,) = place.states("jobserver")
    head = {"Authorization": f"Bearer {state['token']}"}
    with urllib.request.urlopen(
        urllib.request.Request(f"http://127.0.0.1:{state['port']}/queue", headers=head), timeout=DEADLINE
    ) as answer:
        found: list[dict[str, str]] = json.load(answer)["jobs"]
        return found
