"""A new result and its record: one transaction, shared by threads, or nothing at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seamless.checksum import Checksum
from seamless.errors import StoreError
from seamless.stores.database import ResultDatabase
from seamless.stores.keeping import _New
from tests.transformer.workers.support import eventually

TF, RESULT, OTHER = (Checksum.of(text) for text in (b"tf", b"result", b"other"))


def record(transformation: Checksum = TF, result: Checksum = RESULT, **more: Any) -> dict[str, Any]:
    return {"schema_version": 1, "tf_checksum": transformation.hex(), "result_checksum": result.hex(), **more}


@pytest.fixture
def results(tmp_path: Path) -> ResultDatabase:
    return ResultDatabase(tmp_path / "seamless.db")


def statements(results: ResultDatabase, action: Callable[[], object]) -> list[str]:
    """Return the statements that an action executes."""
    seen: list[str] = []
    results._database.run(lambda connection: connection.set_trace_callback(seen.append))
    try:
        action()
    finally:
        results._database.run(lambda connection: connection.set_trace_callback(None))
    return seen


def test_a_new_result_is_kept_with_its_record_and_can_be_found_from_either_end(results):
    assert results.keep(TF, RESULT, record(note="x"))
    assert results.get_result(TF) == RESULT
    assert results.get_record(TF) == record(note="x")
    assert results.get_transformations(RESULT) == [TF]


def test_it_is_one_transaction(results):
    results.keep(OTHER, RESULT, record(OTHER))  # the first writing of a connection looks at the tables, too
    seen = statements(results, lambda: results.keep(TF, RESULT, record()))
    assert [text.split()[0] for text in seen] == ["BEGIN", "SELECT", "INSERT", "INSERT", "INSERT", "COMMIT"]


def stored(results: ResultDatabase) -> tuple[Any, ...]:
    return (
        results.get_result(TF), results.get_record(TF), results.get_transformations(RESULT),
        results.get_irreproducible(TF), results.get_conflicts(TF),
    )  # fmt: skip


@pytest.mark.parametrize(
    "prepare",
    [
        lambda results: results.set_result(TF, RESULT),
        lambda results: results.set_result(TF, OTHER),
        lambda results: results.set_record(TF, RESULT, record()),
        lambda results: (results.set_result(TF, RESULT), results.contest(TF, RESULT)),
    ],
    ids=["the same result", "another result", "a record", "a contested result"],
)
def test_nothing_is_kept_where_something_is_stored_already(results, prepare):
    prepare(results)
    before = stored(results)
    assert not results.keep(TF, RESULT, record())
    assert stored(results) == before


@pytest.mark.parametrize("wrong", [record(OTHER), {"schema_version": 1}, record(number=float("nan"))])
def test_nothing_is_kept_with_an_improper_record(results, wrong):
    assert not results.keep(TF, RESULT, wrong)
    assert results.get_result(TF) is None


def test_threads_that_come_during_a_transaction_share_the_next_one(results, monkeypatch):
    results.keep(OTHER, RESULT, record(OTHER))
    transaction, began, go_on = results._database.transaction, threading.Event(), threading.Event()
    rounds: list[int] = []

    def counted(action: Callable[[Any], list[bool]]) -> list[bool]:
        began.set()
        go_on.wait(60)
        kept = transaction(action)
        rounds.append(len(kept))
        return kept

    monkeypatch.setattr(results._database, "transaction", counted)
    checksums = [Checksum.of(b"%d" % i) for i in range(9)]
    kept: list[bool] = []
    threads = [
        threading.Thread(target=lambda tf=tf: kept.append(results.keep(tf, RESULT, record(tf)))) for tf in checksums
    ]
    threads[0].start()
    began.wait(60)
    for thread in threads[1:]:
        thread.start()
    eventually(lambda: len(results._keeping._together._waiting) == 8)
    go_on.set()
    for thread in threads:
        thread.join()
    assert kept == [True] * 9
    assert rounds == [1, 8]
    assert results.get_results(checksums) == [RESULT] * 9


def test_of_two_who_keep_the_same_at_once_one_is_told_that_it_is_there(results):
    results.keep(OTHER, RESULT, record(OTHER))
    new = _New(TF.hex(), RESULT.hex(), "{}")
    assert results._keeping._keep_all([new, new]) == [True, False]


def test_after_an_error_nothing_is_kept_and_it_can_be_tried_again(results, monkeypatch):
    def full(action: object) -> None:
        raise StoreError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(results._database, "transaction", full)
        assert not results.keep(TF, RESULT, record())
    assert results.get_result(TF) is None
    assert results.keep(TF, RESULT, record())


def test_a_database_that_may_only_be_read_keeps_nothing(results, tmp_path):
    results.close()
    assert not ResultDatabase(tmp_path / "seamless.db", writable=False).keep(TF, RESULT, record())
    assert results.get_result(TF) is None


def test_a_forked_child_keeps_results_too(results):
    results.keep(OTHER, RESULT, record(OTHER))
    results._keeping._together._under_way = 1  # by a thread that the child does not have
    child = os.fork()
    if child == 0:
        os._exit(0 if results.keep(TF, RESULT, record()) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert results.get_result(TF) == RESULT
