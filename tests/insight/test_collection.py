"""What goes from a store, what never does, and that nothing that goes is lost."""

from __future__ import annotations

import os
from time import time

import pytest

from seamless.checksum import Checksum
from seamless.errors import UsageError
from seamless.insight.collection import Criteria, plan, remove
from seamless.insight.pinned import LIMIT, PINNED, pinned_roots, set_size_limit, size_limit, write_pinned
from seamless.insight.sidecar import Sidecar

ALL = Criteria(max_size=0)


def collect(sidecar: Sidecar, criteria: Criteria = ALL) -> set[bytes]:
    """Remove what the criteria say; return what has gone."""
    sidecar.update()
    found = plan(sidecar, criteria)
    done = remove(sidecar, found)
    assert done.problems == []
    return set(found.going)


def digest(data: bytes) -> bytes:
    return Checksum.of(data).bytes()


def test_a_result_goes_and_what_it_is_computed_from_stays(lab, sidecar: Sidecar) -> None:  # type: ignore[no-untyped-def]
    name = lab.step(b"result", a=lab.put(b"input"))
    assert collect(sidecar) == {digest(b"result")}
    assert not lab.has(Checksum.of(b"result").hex())
    assert lab.has(name) and lab.has(Checksum.of(b"input").hex())
    assert lab.results.get_result(Checksum(name)) == Checksum.of(b"result")


def test_a_plan_changes_nothing(lab, sidecar: Sidecar) -> None:  # type: ignore[no-untyped-def]
    lab.step(b"result", a=lab.put(b"input"))
    sidecar.update()
    found = plan(sidecar, ALL)
    assert found.freed == len(b"result")
    assert lab.has(Checksum.of(b"result").hex())


def test_a_result_whose_input_is_lost_stays(lab, sidecar: Sidecar) -> None:  # type: ignore[no-untyped-def]
    lab.step(b"result", a=Checksum.of(b"never stored").hex())
    assert collect(sidecar) == set()


def test_a_result_that_did_not_come_again_stays(lab, sidecar: Sidecar) -> None:  # type: ignore[no-untyped-def]
    name = Checksum(lab.step(b"result", a=lab.put(b"input")))
    lab.results.contest(name, Checksum.of(b"result"))
    lab.results.set_result(name, Checksum.of(b"result"))
    assert collect(sidecar) == set()


def test_a_result_of_a_result_goes_with_it(lab, sidecar: Sidecar) -> None:  # type: ignore[no-untyped-def]
    lab.step(b"one", a=lab.put(b"input"))
    lab.step(b"two", a=Checksum.of(b"one").hex())
    assert collect(sidecar) == {digest(b"one"), digest(b"two")}


def test_the_files_of_a_directory_go_with_it(lab, sidecar: Sidecar) -> None:  # type: ignore[no-untyped-def]
    folder = lab.folder(x=b"ex", y=b"why")
    lab.step(folder, output="deepfolder", a=lab.put(b"input"))
    lab.step(b"two", a=Checksum.of(b"ex").hex())
    assert collect(sidecar) == {digest(folder), digest(b"ex"), digest(b"why"), digest(b"two")}


def test_only_with_irreplaceable_goes_what_cannot_be_computed_again(lab, sidecar: Sidecar) -> None:  # type: ignore[no-untyped-def]
    lab.put(b"an upload that nobody needs")
    lab.step(b"result", a=lab.put(b"input"))
    sidecar.update()
    found = plan(sidecar, Criteria(unreachable="results"))
    assert (found.going, found.withheld.go) == ([], 1)
    assert collect(sidecar, Criteria(unreachable="results", irreplaceable=True)) == {
        digest(b"an upload that nobody needs")
    }


def test_the_longest_unused_goes_first_until_the_limit_is_reached(lab, sidecar: Sidecar) -> None:  # type: ignore[no-untyped-def]
    source = lab.put(b"input")
    for size, code in ((1000, "1"), (1001, "2"), (1002, "3")):
        lab.step(b"x" * size, a=source, code=code)
    for size, age in ((1000, 5), (1001, 9), (1002, 7)):
        path = lab.path(Checksum.of(b"x" * size).hex())
        os.utime(path, (time() - age * 86400,) * 2)
    sidecar.update()
    size = plan(sidecar, ALL).size
    assert collect(sidecar, Criteria(max_size=size - 1500)) == {digest(b"x" * 1001), digest(b"x" * 1002)}


def test_what_was_used_later_or_is_smaller_stays(lab, sidecar: Sidecar) -> None:  # type: ignore[no-untyped-def]
    lab.step(b"x" * 1000, a=lab.put(b"input"))
    lab.step(b"y" * 10, a=lab.put(b"input"), code="other")
    assert collect(sidecar, Criteria(older_than=30 * 86400.0)) == set()
    assert collect(sidecar, Criteria(older_than=3 * 86400.0, larger_than=500)) == {digest(b"x" * 1000)}


def test_what_is_in_use_is_not_touched(lab, sidecar: Sidecar) -> None:  # type: ignore[no-untyped-def]
    lab.step(b"result", a=lab.put(b"input"))
    os.utime(lab.path(Checksum.of(b"result").hex()))
    assert collect(sidecar) == set()


def test_what_is_used_after_the_plan_stays(lab, sidecar: Sidecar) -> None:  # type: ignore[no-untyped-def]
    lab.step(b"result", a=lab.put(b"input"))
    sidecar.update()
    found = plan(sidecar, ALL)
    os.utime(lab.path(Checksum.of(b"result").hex()))
    done = remove(sidecar, found)
    assert (done.removed, done.used) == (0, 1)
    assert lab.has(Checksum.of(b"result").hex())


def test_the_inputs_of_a_step_that_is_executed_stay(lab, sidecar: Sidecar) -> None:  # type: ignore[no-untyped-def]
    lab.step(b"one", a=lab.put(b"input"))
    name = Checksum(lab.step(b"two", a=Checksum.of(b"one").hex()))
    with lab.results.claim(name):
        assert collect(sidecar) == set()
    assert collect(sidecar) == {digest(b"one"), digest(b"two")}


def test_a_pinned_step_keeps_its_inputs_and_result(lab, sidecar: Sidecar) -> None:  # type: ignore[no-untyped-def]
    lab.step(b"one", a=lab.put(b"input"))
    name = lab.step(b"two", a=Checksum.of(b"one").hex())
    lab.step(b"three", a=Checksum.of(b"two").hex())
    write_pinned(lab.place, {name: "the figure"})
    assert pinned_roots(lab.place) == {name: "the figure"}
    assert collect(sidecar, Criteria(unreachable="pins")) == {digest(b"three")}


def test_a_list_of_pins_that_cannot_be_read_stops_everything(lab, sidecar: Sidecar) -> None:  # type: ignore[no-untyped-def]
    with open(lab.place.file(PINNED), "w", encoding="utf-8") as f:
        f.write("# what I need\nabc the figure\n")
    with pytest.raises(UsageError, match=":2: 'abc' is no checksum"):
        plan(sidecar, ALL)


def test_a_removed_buffer_is_remembered(lab, sidecar: Sidecar) -> None:  # type: ignore[no-untyped-def]
    lab.step(b"result", a=lab.put(b"input"))
    collect(sidecar)
    assert sidecar.removed_at(digest(b"result")) is not None
    assert sidecar.removed_at(digest(b"input")) is None


def test_a_limit_is_kept_in_mind_and_taken_away(lab) -> None:  # type: ignore[no-untyped-def]
    set_size_limit(lab.place, 1000)
    assert size_limit(lab.place) == 1000
    set_size_limit(lab.place, None)
    assert size_limit(lab.place) is None
    assert not os.path.exists(lab.place.file(LIMIT))
