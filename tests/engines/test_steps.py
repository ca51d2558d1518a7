"""The same steps in every place of execution: the same identities, results, errors and records, each executed once."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lab import NoLab

from tests.engines.places import ENGINES, Engine
from tests.integration.place import Place

HERE = Path(__file__).parent
EXPECTED: dict[str, dict[str, Any]] = json.loads((HERE / "expected.json").read_text())
KEPT = [name for name, told in EXPECTED.items() if told["result"]] + ["stamp"]
FAILING = [name for name, told in EXPECTED.items() if not told["result"]]
RECORDS = len(KEPT) + 6 + 2  # the leaves of the fan-out, and the two steps that others depend on
FIELDS = {
    "schema_version", "tf_checksum", "result_checksum", "seamless_version", "execution_mode", "remote_target",
    "wall_time_seconds", "cpu_time_user_seconds", "cpu_time_system_seconds", "memory_peak_bytes",
    "gpu_memory_peak_bytes",
}  # fmt: skip
pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.parametrize("ran", [engine.parameter for engine in ENGINES], indirect=True),
]


@dataclass
class Ran:
    """What the program has told of the steps, by name, on one engine: first with nothing known, and then again."""

    engine: Engine
    cold: dict[str, dict[str, Any]]
    warm: dict[str, dict[str, Any]]
    records: list[dict[str, Any]]  # after both

    @property
    def failing(self) -> list[str]:
        return [name for name in FAILING if name in self.cold]


@pytest.fixture(scope="module")
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran | str:
    """Run the program twice on an engine, or tell why there is none."""
    engine: Engine = request.param
    try:
        with engine.begun(tmp_path_factory.mktemp(engine.name) / "place") as place:
            place.write("program.py", (HERE / "program.py").read_text())
            names = [name for name in [*KEPT, *FAILING] if engine.crashes or name != "crashing"]
            cold, warm = run(place, names), run(place, KEPT)
            return Ran(engine, cold, warm, records(place))
    except NoLab as exc:
        return str(exc)


def run(place: Place, names: list[str]) -> dict[str, dict[str, Any]]:
    """Run the program with these steps, which is all about itself that it prints."""
    process = place.start(sys.executable, place.work / "program.py", *names)
    try:
        out, err = process.communicate(timeout=180)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, err) == (0, "")
    told: dict[str, dict[str, Any]] = json.loads(out)
    return told


def records(place: Place) -> list[dict[str, Any]]:
    """Return the records that the database of a place has."""
    with sqlite3.connect(place.data / "seamless.db") as connection:
        found = [json.loads(text) for (text,) in connection.execute("SELECT metadata FROM meta_data")]
    connection.close()
    return found


def general(error: str | None) -> str | None:
    """Return the text of an error without what no two executions have in common."""
    for pattern, text in (
        (r"/\S+/program.py", "program.py"),
        (r"(a )?(worker )?process( \d+)?", "process"),
        (r" on [^\s)]+\)", " on HOST)"),
        (r"up to \d+ MB", "up to N MB"),
    ):
        error = error and re.sub(pattern, text, error)
    return error


@pytest.fixture(autouse=True)
def _there(ran: Ran | str, require: Callable[[object, str], None]) -> None:
    require(isinstance(ran, Ran), str(ran))


def test_identities_and_results_are_those_of_every_other_engine(ran: Ran) -> None:
    found = {name: (ran.cold[name]["tf"], ran.cold[name]["result"]) for name in ran.cold if name != "stamp"}
    expected = {name: (told["tf"], told["result"]) for name, told in EXPECTED.items() if name in ran.cold}
    assert found == expected, {name: told["error"] for name, told in ran.cold.items()}


def test_an_error_has_the_text_that_it_has_in_every_other_engine(ran: Ran) -> None:
    found = {name: general(ran.cold[name]["error"]) for name in ran.failing}
    assert found == {name: EXPECTED[name]["error"] for name in ran.failing}


def test_everything_is_found_by_the_next_program_and_nothing_executed(ran: Ran) -> None:
    assert {name: ran.warm[name]["result"] for name in KEPT} == {name: ran.cold[name]["result"] for name in KEPT}
    assert [name for name in KEPT if not ran.warm[name]["cached"]] == []
    assert [name for name in ran.cold if ran.cold[name]["cached"]] == []


def test_every_step_has_one_record_with_the_same_fields(ran: Ran) -> None:
    compiled = [record["tf_checksum"] for record in ran.records if "compilation" in record]
    assert compiled == [ran.cold["compiled"]["tf"]]
    assert {frozenset(record) - {"compilation"} for record in ran.records} == {frozenset(FIELDS)}
    assert {(each["execution_mode"], each["remote_target"]) for each in ran.records} == {ran.engine.recorded}
    assert len(ran.records) == RECORDS
    results = {record["tf_checksum"]: record["result_checksum"] for record in ran.records}
    assert {name: results[ran.cold[name]["tf"]] for name in KEPT} == {name: ran.cold[name]["result"] for name in KEPT}
