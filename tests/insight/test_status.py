"""What a store holds, and which of the noted failures are still without a result."""

from __future__ import annotations

import time

import pytest

from seamless.checksum import Checksum
from seamless.insight.status import by_code, failed_steps, known_result, reason_of, status
from seamless.stores.failures import note_failure
from tests.insight.conftest import Lab


def fail(lab: Lab, step: str, error: str = "ValueError: 3\n", *, code: int | None = None, stderr: bytes = b"") -> None:
    note_failure(str(lab.store.directory), step, error=error, stderr=stderr, exit_status=code, command="f")


def test_a_store_is_counted(lab: Lab) -> None:
    lab.step(b"one", x=lab.put(b"x" * 1000))
    found = status(lab.place)
    assert (found.results, found.buffers, found.failed, found.running) == (1, 4, [], [])
    assert found.size > 1000 and found.database > 0 and found.free > 0


def test_a_step_that_has_failed_is_listed_once_with_its_latest_failure(lab: Lab) -> None:
    fail(lab, "ab" * 32, "KeyError: 1\n")
    fail(lab, "ab" * 32, "KeyError: 2\n")
    (found,) = failed_steps(lab.place)
    assert (found.times, found.reason, found.title, found.result) == (2, "KeyError: 2", "f", None)


def test_a_failed_step_with_a_result_is_no_failure_any_more(lab: Lab) -> None:
    step = lab.step(b"one")
    fail(lab, step)
    (found,) = failed_steps(lab.place)
    assert found.result == known_result(lab.place, step) == Checksum.of(b"one").hex()
    assert status(lab.place).failed == []


def test_the_latest_failure_comes_first_and_old_ones_can_be_left_out(lab: Lab) -> None:
    fail(lab, "ab" * 32)
    fail(lab, "cd" * 32)
    assert [one.checksum[:2] for one in failed_steps(lab.place)] == ["cd", "ab"]
    assert failed_steps(lab.place, since=time.time() + 3600) == []


def test_a_store_without_a_file_of_failures_has_none(lab: Lab) -> None:
    assert failed_steps(lab.place) == []


def test_results_are_grouped_by_code_with_the_times_of_their_records(lab: Lab) -> None:
    for number in range(3):
        step = lab.step(b"%d" % number, code="def f(x): ...\n", x=lab.put(b"x%d" % number))
        result = Checksum.of(b"%d" % number)
        names = {"tf_checksum": step, "result_checksum": result.hex()}
        record = {"schema_version": 1, **names, "wall_time_seconds": 1.5 + number}
        lab.results.set_record(Checksum(step), result, record)
    lab.step(b"other", code="def g(x): ...\n")
    first, second = by_code(lab.place)
    assert first[1:] == ("def f(x): ...", 3, 7.5, 3.5)
    assert second[1:] == ("def g(x): ...", 1, 0.0, 0.0)


def test_steps_whose_definitions_are_gone_are_one_group(lab: Lab) -> None:
    for data in (b"one", b"two"):
        lab.path(lab.step(data, x=lab.put(data))).unlink()
    (group,) = by_code(lab.place)
    assert group[:3] == ("", "", 2)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"exit_status": 7, "error": "...", "stderr": "a\nb\n\n"}, "exit status 7: b"),
        ({"exit_status": 1, "error": "...", "stderr": ""}, "exit status 1"),
        (
            {"exit_status": 137, "error": "Error: Return code 137 (killed by SIGKILL)"},
            "exit status 137 (killed by SIGKILL)",
        ),
        ({"error": "Traceback\nOSError: x\n(transformation 0a, process 1 on h)\n***\n* Standard error"}, "OSError: x"),
        ({"error": ""}, "no reason was noted"),
        ({}, "no reason was noted"),
    ],
)
def test_the_reason_is_one_line(entry: dict[str, object], reason: str) -> None:
    assert reason_of(entry) == reason
