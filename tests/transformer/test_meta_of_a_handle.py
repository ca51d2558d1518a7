"""The meta of a handle is that of the moment of the call."""

from __future__ import annotations

from seamless.transformer import delayed


def test_a_later_change_inside_the_meta_of_a_step_does_not_reach_its_handles() -> None:
    @delayed
    def step(x):  # type: ignore[no-untyped-def]
        return x

    step.meta = {"nested": {"value": 1}}
    handle = step(1)
    step.meta["nested"]["value"] = 2
    assert handle.meta["nested"]["value"] == 1
