"""Rows of seamless.db that somebody has edited to garbage: a lookup misses or gives one clear error, never nonsense."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seamless.checksum import Checksum
from seamless.errors import StoreError
from seamless.insight.collection import Criteria, plan
from seamless.insight.dashboard.overview import View
from seamless.insight.definition import Definition
from seamless.insight.explanation import explain
from seamless.insight.place import checked_place, irreproducible_steps, registered_results
from seamless.insight.sidecar import Sidecar
from seamless.services.database.check import check
from seamless.stores.embedded import DATABASE, EmbeddedStore, open_embedded
from seamless.stores.schema import TABLES
from tests.campaign.effort import examples, quick_directory

STEP, CONTESTED, OTHER = (Checksum.of(b"step %d" % n) for n in range(3))
RESULT, PART = Checksum.of(b"a result"), Checksum.of(b"a part")
RECORD = {"schema_version": 1, "tf_checksum": STEP.hex(), "result_checksum": RESULT.hex()}
COLUMNS = [
    (table, column)
    for table, text in TABLES.items()
    for column in [line.split('"')[1] for line in text.splitlines()[1:] if line.strip().startswith('"')]
    if column != "id"
]
garbage = st.one_of(
    st.text(max_size=70),
    st.binary(max_size=40),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.sampled_from([
        "", "null", "[]", "{}", "1", "NaN", '"x"', "[" * 100_000, "z" * 64, RESULT.hex().upper(), RESULT.hex()[:-1],
        RESULT.hex() + " ", b"\xff" * 64, RESULT.bytes(), "\x00" * 64, '{"length": "long"}',
    ]),
)  # fmt: skip


def filled(directory: Path) -> EmbeddedStore:
    """Return a store with a row in every table."""
    store = open_embedded(directory)
    store.buffers.put((Checksum.of(data), data) for data in (b"a result", b"a part"))
    results = store.results
    results.set_record(STEP, RESULT, RECORD)
    results.set_result(STEP, PART)  # a conflict
    results.set_result(CONTESTED, RESULT)
    results.contest(CONTESTED, RESULT)
    results.set_result(OTHER, PART)
    results.delete_result(OTHER)
    results.set_buffer_info(RESULT, {"length": 8})
    results.set_expression(RESULT, ["x", 1], "mixed", "plain", PART)
    results.set_semantic_to_syntactic(RESULT, "plain", "", [PART])
    results.set_bucket_probe("node", "here", PART, "now", {"a": 1})
    return store


def one(found: Any) -> Any:
    """Return what a list has, or None if it is empty."""
    return (found or [None])[0]


def looked_up(results: Any) -> dict[str, tuple[Any, Any]]:
    """Return for each lookup what it gives, or a StoreError; and what it gives in a sound database."""

    def attempt(look: Any, *arguments: Any) -> Any:
        try:
            return look(*arguments)
        except StoreError as exc:
            return exc

    return {
        "result": (attempt(results.get_result, STEP), RESULT),
        "results": (attempt(lambda: results.get_results([STEP])[0]), RESULT),
        "steps": (attempt(lambda: one(results.get_transformations(RESULT))), STEP),
        "conflict": (attempt(lambda: one(results.get_conflicts(STEP))), PART),
        "record": (attempt(results.get_record, STEP), RECORD),
        "expression": (attempt(results.get_expression, RESULT, ["x", 1], "mixed", "plain"), PART),
        "syntactic": (attempt(lambda: one(results.get_semantic_to_syntactic(RESULT, "plain", ""))), PART),
        "semantic": (attempt(lambda: one(results.get_syntactic_to_semantic(PART, "plain", ""))), RESULT),
    }


def structured(results: Any) -> None:
    """Look up what is an object: whatever it holds, it is an object, or there is none."""
    for look, arguments, kind in (
        (results.get_buffer_info, (RESULT,), dict),
        (results.get_bucket_probe, ("node", "here"), dict),
        (results.get_irreproducible, (CONTESTED,), list),
        (results.get_rev_expressions, (PART,), list),
        (results.get_deletions, (OTHER,), list),
    ):
        try:
            found = look(*arguments)
        except StoreError as exc:
            assert "\n" not in str(exc)
        else:
            assert found is None or isinstance(found, kind)


@examples(60)
@given(where=st.sampled_from(COLUMNS), value=garbage)
@example(where=("transformation", "result"), value=b"\xff" * 64)
@example(where=("transformation", "checksum"), value="z" * 64)
@example(where=("meta_data", "metadata"), value="[" * 100_000)
@example(where=("rev_transformation", "checksum"), value=RESULT.bytes())
def test_garbage_in_a_row_is_a_miss_or_one_clear_error(where: tuple[str, str], value: Any) -> None:
    table, column = where
    with quick_directory() as directory:
        store = filled(Path(directory))
        store.results.close()
        with closing(sqlite3.connect(Path(directory) / DATABASE)) as connection:
            connection.execute(f"UPDATE {table} SET {column} = ?", (value,))
            connection.commit()
        for name, (found, sound) in looked_up(store.results).items():
            if isinstance(found, StoreError):
                assert "\n" not in str(found)
            else:
                # Whoever writes another checksum, or another record, has written that.
                edited = isinstance(found, dict) if name == "record" else isinstance(value, str) and found == value
                assert found in (None, sound) or edited, (name, found)
        structured(store.results)
        view_of(Path(directory))
        write_again(store)
        store.results.close()
        assert list(check(str(Path(directory) / DATABASE))) is not None


def view_of(directory: Path) -> None:
    """Ask the questions about a store; a StoreError is an answer."""
    place = checked_place(str(directory))
    for ask in (_plan, _explain, irreproducible_steps, registered_results, _recent):
        try:
            ask(place)
        except StoreError as exc:
            assert "\n" not in str(exc)


def _plan(place: Any) -> None:
    with Sidecar(place) as sidecar:
        sidecar.update()
        plan(sidecar, Criteria(max_size=0, grace=0.0))
        sidecar.giving(RESULT.hex())


def _explain(place: Any) -> None:
    with Sidecar(place) as sidecar:
        sidecar.update()
        explain(sidecar, STEP.hex(), Definition("python", "plain", {}, {}, frozenset()))


def _recent(place: Any) -> None:
    View(place).recent()


def write_again(store: EmbeddedStore) -> None:
    """A result can be kept in spite of garbage in its row, and is found then; or there is one clear error."""
    try:
        if store.results.set_result(STEP, RESULT):
            assert store.results.get_result(STEP) == RESULT
        store.results.set_record(STEP, RESULT, RECORD)
        store.results.set_buffer_info(RESULT, {"length": 8})
        store.results.contest(STEP, RESULT)
        store.results.delete_result(STEP)
        assert store.results.get_result(STEP) is None
    except StoreError as exc:
        assert "\n" not in str(exc)


@pytest.mark.parametrize("value", ["garbage", b"\x01" * 32, "", 5])
def test_a_result_that_is_none_is_replaced_by_the_next_one(tmp_path: Path, value: Any, caplog: Any) -> None:
    store = filled(tmp_path)
    store.results.close()
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
        connection.execute("UPDATE transformation SET result = ?", (value,))
        connection.commit()
    assert store.results.get_result(STEP) is None
    assert "transformation.result" in caplog.text and "seamless-database-check" in caplog.text
    assert store.results.set_result(STEP, PART)
    assert store.results.get_result(STEP) == PART
