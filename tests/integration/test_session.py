"""A day of a user, typed as in the manual: two YAML files, a script and commands, stages, and putting away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.place import PROGRAM, Place

SCRIPT = """
seamless.config.init()
print(step(21, sys.argv[1]))
import seamless
seamless.close()
"""
STAGES = """
seamless.config.init()
for stage in (None, "prod", None, "prod"):
    seamless.config.set_stage(stage)
    print(seamless.config.get_stage(), step(21, sys.argv[1]))
import seamless
seamless.close()
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Return the place of a user whose services are killed in the end."""
    place = Place(tmp_path)
    place.write("script.py", PROGRAM + SCRIPT)
    place.write("stages.py", PROGRAM + STAGES)
    yield place
    place.kill()


def rows(place: Place, *options: str) -> list[dict[str, Any]]:
    """Return what `seamless-service-ps --json` lists."""
    text = place.run("seamless-service-ps", *options, "--json")
    return [json.loads(line) for line in text.splitlines()]


def test_a_session_from_the_first_call_to_an_empty_store_and_back(place: Place) -> None:
    line = place.counted("sort a.txt")
    run = ("seamless-run", "-i", "a.txt", "-c", line)

    # the services of the two files
    shown = place.run("seamless-init")
    assert "hashserver" in shown and "database" in shown
    services = place.pids()
    assert len(services) == 2
    assert place.run("seamless-init", "--check").count("running") == 2

    # a script and a command, each executed once
    for _ in range(2):
        assert place.run("python", "script.py", place.counter) == "42\n"
        assert place.run(*run) == "a\nb\n"
    assert place.ran == 2
    assert place.pids() == services

    # another stage has services and results of its own
    for _ in range(2):
        assert place.run("seamless-run", "--stage", "prod", *run[1:]) == "a\nb\n"
    assert place.ran == 3
    assert (place.data / "STAGE-prod" / "seamless.db").exists()

    # a program that goes to the other stage and back finds what the script has left, and adds one
    for _ in range(2):
        assert place.run("python", "stages.py", place.counter) == "None 42\nprod 42\nNone 42\nprod 42\n"
    assert place.ran == 4

    # what there is
    listed = rows(place, "--server", "--persistent")
    found = {(row["service"], row["stage"]): row for row in listed}
    assert len(listed) == len(found) == 4
    assert set(found) == {(s, stage) for s in ("hashserver", "database") for stage in (None, "prod")}
    for row in listed:
        assert (row["process"], row["project"]) == ("running", "fruit")
        assert row["persistent"] == (None if row["stage"] else "populated"), "the data of the present stage"
    for row in rows(place, "--cluster", "ws"):
        assert (row["process"], row["persistent"]) == ("running", "populated")
        assert row["size"] > 0
    assert {row["pid"] for row in listed} == set(place.pids())
    table = place.run("seamless-service-ps", "--server", "--persistent")
    assert len(table.splitlines()) == 5

    # data in use is not deleted, and a service that runs is not forgotten
    for command in ("clear", "rm"):
        message = place.refused(f"seamless-service-{command}", "--service", "database")
        assert "database-ws-rw-fruit" in message and "stop it first" in message

    # stopped services lose nothing, and start again by themselves
    place.run("seamless-service-stop", "--cluster", "ws")
    assert place.pids() == []
    assert place.run(*run) == "a\nb\n"
    assert place.run("python", "script.py", place.counter) == "42\n"
    assert place.ran == 4

    # removed records neither
    place.run("seamless-service-stop", "--cluster", "ws")
    place.run("seamless-service-rm", "--cluster", "ws")
    assert place.states() == []
    assert rows(place, "--server") == []
    assert place.run(*run) == "a\nb\n"
    assert place.ran == 4

    # cleared data of one stage is computed again, that of the other stays
    place.run("seamless-service-stop", "--cluster", "ws")
    for service in ("hashserver", "database"):
        place.run("seamless-service-clear", "--service", service, "--yes")
    assert not [path for path in place.data.rglob("*") if len(path.name) == 64 and "STAGE" not in str(path)]
    for _ in range(2):
        assert place.run(*run) == "a\nb\n"
        assert place.run("python", "script.py", place.counter) == "42\n"
    assert place.ran == 6
    assert place.run("seamless-run", "--stage", "prod", *run[1:]) == "a\nb\n"
    assert place.ran == 6


def test_only_the_results_cleared_are_computed_again_and_agree_with_the_buffers(place: Place) -> None:
    run = ("seamless-run", "-i", "a.txt", "-c", place.counted("sort a.txt"))
    place.run(*run)
    buffers = sorted(path.name for path in place.data.rglob("??/*"))
    place.run("seamless-service-stop", "--cluster", "ws")
    place.run("seamless-service-clear", "--service", "database", "--yes")
    assert sorted(path.name for path in place.data.rglob("??/*")) == buffers, "they share a directory"
    assert place.run(*run) == "a\nb\n"
    assert place.ran == 2


def test_only_the_buffers_cleared_are_computed_again_where_they_are_needed(place: Place) -> None:
    run = ("seamless-run", "-i", "a.txt", "-c", place.counted("sort a.txt"))
    place.run(*run)
    place.run("seamless-service-stop", "--cluster", "ws")
    place.run("seamless-service-clear", "--service", "hashserver", "--yes")
    assert (place.data / "seamless.db").exists()
    for _ in range(2):
        assert place.run(*run) == "a\nb\n"
        assert place.ran == 2


def test_a_stage_of_the_files_may_have_other_services(place: Place) -> None:
    place.write("seamless.yaml", "- project: fruit\n- stage prod:\n    - project: vegetables\n")
    assert place.run("seamless-run", "sort a.txt") == "a\nb\n"
    assert place.run("seamless-run", "--stage", "prod", "sort a.txt") == "a\nb\n"
    assert (place.store / "vegetables" / "STAGE-prod" / "seamless.db").exists()
    place.run("seamless-init", "--stage", "prod")
    assert {row["project"] for row in rows(place)} == {"fruit", "vegetables"}
