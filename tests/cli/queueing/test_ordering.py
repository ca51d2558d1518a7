"""Which steps may run, which must wait, which never run."""

from __future__ import annotations

from typing import Any

from seamless.cli.queueing.job import BLOCKED, DONE, FAILED, STOPPED, Job
from seamless.cli.queueing.ordering import Ordering
from seamless.cli.queueing.paths import PathIndex


def job(number: int, targets: str = "", promised: str = "") -> Job:
    """Return a step that makes `targets` and needs `promised`, both names with blanks between."""
    record: dict[str, Any] = {
        "original_command": f"step {number}",
        "transformation_checksum": None,
        "transformation_dict": {},
        "result_targets": dict.fromkeys(targets.split()),
        "params": {"workdir": "/w"},
        "promised": {name: f"/w/{name}" for name in promised.split()},
    }
    return Job(number, record)


def ordering(*jobs: Job) -> Ordering:
    found = Ordering()
    for one in jobs:
        found.add(one)
    return found


def free(order: Ordering) -> list[int]:
    return [one.number for one in order.free()]


def end(order: Ordering, number: int, state: str = DONE) -> list[int]:
    order.jobs[number].state = state
    return [never.number for never in order.ended(order.jobs[number])]


def test_steps_that_share_nothing_are_free() -> None:
    assert free(ordering(job(1, "x"), job(2, "y"))) == [1, 2]


def test_a_step_waits_for_what_makes_its_input() -> None:
    order = ordering(job(1, "x"), job(2, "y", "x"), job(3, "z", "y"))
    assert free(order) == [1]
    end(order, 1)
    assert free(order) == [2]
    end(order, 2)
    assert free(order) == [3]


def test_what_needs_a_failed_step_never_runs_nor_what_needs_that() -> None:
    order = ordering(job(1, "x"), job(2, "y", "x"), job(3, "z", "y"), job(4, "w"))
    assert end(order, 1, FAILED) == [2, 3]
    assert [order.jobs[number].state for number in (2, 3)] == [BLOCKED, BLOCKED]
    assert "job 1" in order.jobs[2].error and "job 2" in order.jobs[3].error
    assert free(order) == [4]


def test_what_comes_after_a_failure_never_runs_either() -> None:
    order = ordering(job(1, "x"))
    end(order, 1, STOPPED)
    order.add(job(2, "y", "x"))
    assert order.jobs[2].state == BLOCKED


def test_a_second_step_for_the_same_file_waits_for_the_first_and_runs_if_that_fails() -> None:
    order = ordering(job(1, "x"), job(2, "x"))
    assert free(order) == [1]
    assert end(order, 1, FAILED) == []
    assert free(order) == [2]


def test_a_file_is_not_written_again_before_it_is_read() -> None:
    order = ordering(job(1, "x"), job(2, "y", "x"), job(3, "x"))
    end(order, 1)
    assert free(order) == [2]
    end(order, 2)
    assert free(order) == [3]


def test_a_reader_needs_the_latest_writer_before_it() -> None:
    order = ordering(job(1, "x"), job(2, "x"), job(3, "y", "x"))
    assert order.jobs[3].needs == {2}


def test_directories_and_what_is_in_them_belong_together() -> None:
    order = ordering(job(1, "d"), job(2, "y", "d/x"), job(3, "e/x"), job(4, "z", "e"))
    assert order.jobs[2].needs == {1}
    assert order.jobs[4].needs == {3}


def test_names_that_only_begin_alike_do_not_touch() -> None:
    index = PathIndex()
    index.add("/w/data", 1)
    assert index.touching(["/w/data2", "/w/dat"]) == set()
    assert index.touching(["/w/data/x"]) == index.touching(["/w"]) == {1}


def test_a_path_is_done_when_all_that_made_it_is() -> None:
    order = ordering(job(1, "d/x"), job(2, "d/y"))
    end(order, 1)
    assert (order.is_done("/w/d/x"), order.is_done("/w/d"), order.is_done("/w/other")) == (True, False, False)


def test_a_step_waits_for_a_capture_that_may_stand_for_its_input() -> None:
    order = ordering(job(1, "out/*.csv"), job(2, "x", "out/a.csv"), job(3, "y", "out/a.txt"), job(4, "z", "out"))
    assert free(order) == [1, 3]
    end(order, 1)
    assert set(free(order)) == {2, 3, 4}


def test_a_step_does_not_replace_what_a_capture_may_stand_for_before_that_has_ended() -> None:
    order = ordering(job(1, "a*.csv"), job(2, "*1.csv"), job(3, "b.csv"), job(4, "*.txt"), job(5, "a.txt"))
    assert free(order) == [1, 3, 4]
