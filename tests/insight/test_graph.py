"""What can be computed again from what, and that no combination of removals loses anything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from seamless.insight.graph import Edge, derivable, needed


def edge(step: str, needs: str, gives: str) -> Edge:
    return Edge(step.encode(), frozenset(n.encode() for n in needs), tuple(g.encode() for g in gives))


def found(stored: str, *edges: Edge) -> str:
    """Return the derivable ones of buffers that were stored in this order."""
    names = derivable({name.encode(): float(i) for i, name in enumerate(stored)}, edges)
    return "".join(sorted(name.decode() for name in names))


def test_a_result_is_derivable_from_its_inputs_and_definition() -> None:
    assert found("atr", edge("t", "a", "r")) == "r"


def test_a_result_whose_input_is_gone_is_not_derivable() -> None:
    assert found("tr", edge("t", "a", "r")) == ""


def test_a_result_whose_definition_is_gone_is_not_derivable() -> None:
    assert found("ar", edge("t", "a", "r")) == ""


def test_a_chain_is_derivable_also_where_the_middle_is_not_stored() -> None:
    assert found("astz", edge("s", "a", "m"), edge("t", "m", "z")) == "z"


def test_of_two_that_give_each_other_the_first_one_stays() -> None:
    assert found("astz", edge("s", "a", "z"), edge("t", "z", "a")) == "z"
    assert found("zsta", edge("s", "a", "z"), edge("t", "z", "a")) == "a"


def test_a_trivial_input_need_not_be_stored() -> None:
    assert derivable({b"t": 0.0, b"r": 1.0}, [edge("t", "e", "r")], {b"e"}) == {b"r"}


def test_a_step_needs_all_that_it_refers_to_and_gives() -> None:
    one = edge("t", "ab", "r")
    assert set(needed([b"t"], {b"t": one}, lambda name: [])) == {b"t", b"a", b"b", b"r"}
    assert list(needed([b"d"], {}, lambda name: [b"m"])) == [b"d", b"m"]


NAMES = st.sampled_from("abcdefgh")
EDGES = st.lists(st.tuples(NAMES, st.sets(NAMES, max_size=2), st.sets(NAMES, min_size=1, max_size=2)), max_size=8)


@given(st.permutations("abcdefgh"), st.integers(0, 8), EDGES)
def test_whatever_is_derivable_comes_again_when_all_of_it_is_gone(order: list[str], n: int, edges: list) -> None:
    steps = [edge(step, "".join(needs), "".join(sorted(gives))) for step, needs, gives in edges]
    stored = {name.encode(): float(i) for i, name in enumerate(order[:n])}
    gone = derivable(stored, steps)
    have = set(stored) - gone
    while True:
        new = {g for s in steps if s.step in have and s.needs <= have for g in s.gives} - have
        if not new:
            break
        have |= new
    assert gone <= have
