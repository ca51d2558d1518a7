"""The index beside a database: up to date, rebuilt when need be, and never a change of the database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from seamless.checksum import Checksum
from seamless.errors import StoreError
from seamless.insight.definition import definition_of
from seamless.insight.explanation import explain
from seamless.insight.relatives import nearest
from seamless.insight.sidecar import NAME, Sidecar


def relatives(lab, sidecar: Sidecar, name: str, limit: int = 1):  # type: ignore[no-untyped-def]
    sidecar.update()
    definition = definition_of(lab.path(name).read_bytes())
    assert definition is not None
    read = lambda hexsum: lab.path(hexsum).read_bytes() if lab.has(hexsum) else None  # noqa: E731
    return nearest(sidecar, name, definition, read, limit)


def test_a_step_is_indexed_once(lab, sidecar: Sidecar) -> None:  # type: ignore[no-untyped-def]
    lab.step(b"r", a=lab.put(b"1"))
    assert [sidecar.update(), sidecar.update()] == [1, 0]


def test_new_steps_are_found_after_the_last_one_was_forgotten(lab, sidecar: Sidecar) -> None:  # type: ignore[no-untyped-def]
    lab.step(b"r", a=lab.put(b"1"))
    gone = lab.step(b"s", a=lab.put(b"2"))
    sidecar.update()
    lab.results.delete_result(Checksum(gone))
    new = lab.step(b"t", a=lab.put(b"3"))  # takes the number of the one that has gone
    assert sidecar.update() == 1
    assert new in [step.checksum.hex() for step in sidecar.steps()]


def test_a_damaged_index_is_made_again(lab) -> None:  # type: ignore[no-untyped-def]
    lab.step(b"r", a=lab.put(b"1"))
    Path(lab.place.file(NAME)).write_bytes(b"no database at all" * 100)
    with Sidecar(lab.place) as sidecar:
        assert sidecar.update() == 1


def test_an_index_that_another_process_writes_is_not_thrown_away(lab) -> None:  # type: ignore[no-untyped-def]
    lab.step(b"r", a=lab.put(b"1"))
    with Sidecar(lab.place) as sidecar:
        sidecar.update()
        lab.step(b"s", a=lab.put(b"2"))
        with closing(sqlite3.connect(sidecar.path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            sidecar._connection.execute("PRAGMA busy_timeout = 1")
            with pytest.raises(StoreError, match="locked"):
                sidecar.update()
        assert sidecar.update() == 1


def test_an_index_of_another_version_is_made_again(lab) -> None:  # type: ignore[no-untyped-def]
    lab.step(b"r", a=lab.put(b"1"))
    with Sidecar(lab.place) as sidecar:
        sidecar.update()
        sidecar._connection.execute("UPDATE fact SET value = 'other' WHERE name = 'version'")
    with Sidecar(lab.place) as sidecar:
        assert sidecar.update() == 1


def test_the_database_is_not_changed(lab, sidecar: Sidecar) -> None:  # type: ignore[no-untyped-def]
    lab.step(b"r", a=lab.put(b"1"))
    lab.results.close()
    before = Path(lab.place.database).read_bytes()
    sidecar.update()
    assert Path(lab.place.database).read_bytes() == before


def test_the_nearest_relative_differs_in_the_fewest_things(lab, sidecar: Sidecar) -> None:  # type: ignore[no-untyped-def]
    one, two, three = (lab.put(b"%d" % i) for i in range(3))
    lab.step(b"far", a=one, b=one, c=one)
    near = lab.step(b"near", a=one, b=two, c=one)
    own = lab.step(b"own", a=one, b=two, c=three)
    (found,) = relatives(lab, sidecar, own)
    assert found.checksum == near
    assert [d.name for d in found.differences] == ["c"]


def test_of_equally_near_ones_that_with_similar_code_is_first(lab, sidecar: Sidecar) -> None:  # type: ignore[no-untyped-def]
    a = lab.put(b"1")
    lab.step(b"x", a=a, code="other\nlines\n")
    similar = lab.step(b"y", a=a, code="def f(a):\n    return a + 1\n")
    lab.step(b"z", a=a, code="nothing\nin common\n")
    own = lab.step(b"own", a=a, code="def f(a):\n    return a + 2\n")
    (found,) = relatives(lab, sidecar, own)
    assert found.checksum == similar
    assert found.differences[0].details == ["2-     return a + 1", "2+     return a + 2"]


def test_a_step_that_lost_its_result_is_no_relative(lab, sidecar: Sidecar) -> None:  # type: ignore[no-untyped-def]
    gone = lab.step(b"r", a=lab.put(b"1"))
    own = lab.step(b"s", a=lab.put(b"2"))
    sidecar.update()
    lab.results.delete_result(Checksum(gone))
    assert relatives(lab, sidecar, own) == []


def test_a_part_of_a_result_leads_to_its_step(lab, sidecar: Sidecar) -> None:  # type: ignore[no-untyped-def]
    step = lab.step(lab.folder(x=b"content"), output="deepfolder")
    sidecar.update()
    assert sidecar.giving(Checksum.of(b"content").hex()) == [step]


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (lambda lab, tf, r: lab.results.delete_result(tf, client="somebody"), "was forgotten by somebody"),
        (lambda lab, tf, r: lab.results.contest(tf, r), "did not come again"),
        (lambda lab, tf, r: lab.results.set_result(tf, tf), "was not taken"),
        (lambda lab, tf, r: lab.path(r.hex()).unlink(), "its content is not stored"),
    ],
)
def test_why_a_step_runs_again_is_told(lab, sidecar: Sidecar, event, text: str) -> None:  # type: ignore[no-untyped-def]
    name = lab.step(b"r", a=lab.put(b"1"))
    event(lab, Checksum(name), Checksum.of(b"r"))
    sidecar.update()
    definition = definition_of(lab.path(name).read_bytes())
    assert definition is not None
    assert any(text in reason for reason in explain(sidecar, name, definition).reasons)


def test_what_is_known_of_a_step_is_in_its_explanation(lab, sidecar: Sidecar) -> None:  # type: ignore[no-untyped-def]
    name = lab.step(b"r", a=lab.put(b"17"))
    sidecar.update()
    definition = definition_of(lab.path(name).read_bytes())
    assert definition is not None
    journal = [{"time": 1.0, "host": "h", "cwd": "/d", "exit_status": 3}]
    found = explain(sidecar, name, definition, journal=journal)
    assert found.state == "cached"
    assert found.values["a"] == "17"
    assert "failed with exit status 3 on h in /d" in found.reasons[0]
    assert found.as_dict()["pins"]["a"]["celltype"] == "bytes"
