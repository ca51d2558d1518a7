"""A step that is verified runs again; what does not come again is registered, and replaces nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from seamless.checksum import Checksum
from seamless.errors import SeamlessError, UsageError
from seamless.insight.verification import Verdict, verify
from seamless.session import session
from seamless.transformer.identity import transformation_buffer

SAME = "def step():\n    return 1\n"
RANDOM = "def step():\n    import os\n    return 'seed 7 ' + os.urandom(8).hex()\n"
FAILING = "def step():\n    raise ValueError('no')\n"


@pytest.fixture
def active(lab):  # type: ignore[no-untyped-def]
    """Make the store the active one."""
    session.activate([lab.store.buffers], [lab.store.results])
    return lab


def checked(lab, code: str, known: bytes, *, output: str = "text", **more) -> tuple[Checksum, Verdict]:  # type: ignore[no-untyped-def]
    """Verify a step whose known result is `known`."""
    definition = {
        "__language__": "python",
        "__output__": ["result", output, None],
        "code": ["python", "transformer", lab.put(code.encode())],
    }
    tf = Checksum(lab.put(transformation_buffer(definition)))
    result = Checksum(lab.put(known))
    lab.results.set_result(tf, result)
    return tf, verify(tf, definition, result, **more)


def test_a_step_that_gives_the_same_again_is_not_registered(active) -> None:  # type: ignore[no-untyped-def]
    tf, verdict = checked(active, SAME, b"1\n", output="int")
    assert (verdict.outcome, verdict.registered) == ("same", [])
    assert active.results.get_irreproducible(tf) == []


def test_a_result_that_does_not_come_again_is_registered_and_stays(active) -> None:  # type: ignore[no-untyped-def]
    tf, verdict = checked(active, RANDOM, b"seed 7 known\n")
    known = Checksum.of(b"seed 7 known\n")
    assert verdict.outcome == "different"
    assert verdict.details[0].startswith("1- seed 7 known")
    assert active.results.get_result(tf) == known
    assert [entry["result"] for entry in active.results.get_irreproducible(tf)] == [known.hex()]
    assert active.results.get_conflicts(tf) == [Checksum(verdict.new)]
    assert active.store.buffers.get(Checksum(verdict.new)) is not None


def test_with_forget_it_is_no_longer_the_result(active) -> None:  # type: ignore[no-untyped-def]
    tf, _ = checked(active, RANDOM, b"seed 7 known\n", forget=True)
    assert active.results.get_result(tf) is None
    assert len(active.results.get_irreproducible(tf)) == 1


def test_a_witness_that_is_the_same_makes_them_equivalent(active) -> None:  # type: ignore[no-untyped-def]
    tf, verdict = checked(active, RANDOM, b"seed 7 known\n", witness="cut -c 1-6 result")
    assert verdict.outcome == "equivalent"
    assert len(active.results.get_irreproducible(tf)) == 1


def test_a_witness_that_differs_does_not(active) -> None:  # type: ignore[no-untyped-def]
    _, verdict = checked(active, RANDOM, b"seed 7 known\n", witness="cat result")
    assert verdict.outcome == "different"
    assert verdict.witnesses is not None


def test_a_known_step_can_be_the_witness(active) -> None:  # type: ignore[no-untyped-def]
    pin = ["text", None, Checksum.of(b"seed 7 known\n").hex()]
    code = ["python", "transformer", active.put(b"def head(text):\n    return text[:6]\n")]
    output = ["result", "text", None]
    step = {"__language__": "python", "__output__": output, "code": code, "text": pin}
    witness = active.put(transformation_buffer(step))
    _, verdict = checked(active, RANDOM, b"seed 7 known\n", witness=witness)
    assert verdict.outcome == "equivalent"


def test_a_step_without_that_input_is_no_witness(active) -> None:  # type: ignore[no-untyped-def]
    witness = active.step(b"r")
    with pytest.raises(UsageError, match="none of its inputs"):
        checked(active, RANDOM, b"seed 7 known\n", witness=witness)


def test_a_witness_that_fails_is_an_error(active) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SeamlessError, match="the witness fails"):
        checked(active, RANDOM, b"seed 7 known\n", witness="exit 3")


def test_a_step_that_fails_changes_nothing(active) -> None:  # type: ignore[no-untyped-def]
    tf, verdict = checked(active, FAILING, b"1\n")
    assert verdict.outcome == "failed"
    assert "ValueError: no" in str(verdict.error)
    assert active.results.get_result(tf) == Checksum.of(b"1\n")
    assert active.results.get_irreproducible(tf) == []


def test_a_known_result_whose_content_is_gone_is_compared_by_its_checksum(active, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    definition = {
        "__language__": "python",
        "__output__": ["result", "text", None],
        "code": ["python", "transformer", active.put(RANDOM.encode())],
    }
    tf = Checksum(active.put(transformation_buffer(definition)))
    active.results.set_result(tf, Checksum("0" * 64))
    verdict = verify(tf, definition, Checksum("0" * 64))
    assert "only the checksums can be compared" in verdict.details[0]
