"""A compiled step as a global of another step: the text that makes it again, and its execution there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from seamless.errors import UsageError
from seamless.transformer import CompiledObject, CompiledTransformer, delayed, direct, worker
from seamless.transformer.globals_text import HEADER, render_globals
from seamless.transformer.languages import define_compiled_language, registry

Step = Callable[..., Any]

SCHEMA = "inputs: [{name: a, dtype: int32}]\noutputs: [{name: r, dtype: int32}]\n"
THREE_TIMES = "int transform(int a, int *r) { *r = 3 * a; return 0; }\n"


def scaled(x):  # type: ignore[no-untyped-def]
    return step(x).run() + 1  # type: ignore[name-defined]  # noqa: F821


def summed(x):  # type: ignore[no-untyped-def]
    return step(x) + 1  # type: ignore[name-defined]  # noqa: F821


def test_a_delayed_and_a_direct_step_are_used_by_another_step(step: Step) -> None:
    compiled = step("c", SCHEMA, THREE_TIMES)
    for function, one in ((scaled, compiled), (summed, direct(compiled))):
        outer = direct(function)
        outer.globals.step = one
        assert outer(5) == 16


def test_a_compiled_step_is_used_by_a_step_in_a_worker(step: Step) -> None:
    outer = delayed(scaled)
    outer.globals.step = step("c", SCHEMA, THREE_TIMES)
    worker.spawn(1)
    try:
        assert [handle.run() for handle in [outer(1), outer(2)]] == [4, 7]
    finally:
        worker.shutdown_workers()


def test_all_that_a_step_is_made_of_is_carried(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    language = {
        "compiler": "gcc",
        "mode": "object",
        "options": ["-fPIC"],
        "compile_flag": "-c",
        "language_flag": "-x c",
    }
    define_compiled_language("test-carried", language)
    schema = "inputs: [{name: a, dtype: int32, shape: [N]}]\noutputs: [{name: r, dtype: int32, shape: [K]}]\n"
    code = """\
int helper(int);
int transform(unsigned N, unsigned maxK, const int *a, unsigned *K, int *r) {
    for (*K = 0; *K < N; ++*K) r[*K] = helper(a[*K]) + ADDED;
    return 0;
}
"""
    compiled = step("c", schema, code)
    compiled.compilation.options.append("-DADDED=100")
    compiled.metavars.maxK = 5
    compiled.args.a = np.array([1, 2], "i4")
    compiled.objects.append(CompiledObject(language="test-carried"))
    compiled.objects[0].code = "int helper(int a) { return -a; }\n"

    def outer():  # type: ignore[no-untyped-def]
        return step().run()

    made = delayed(outer)
    made.globals.step = compiled
    monkeypatch.delitem(registry._languages, "test-carried")  # as in a process elsewhere
    assert made().run().tolist() == [99, 98]


def test_a_plain_step_is_five_lines_of_text() -> None:
    made = CompiledTransformer("c")
    made.schema, made.code = SCHEMA, THREE_TIMES
    made.celltypes.result = "deepcell"
    text, data = render_globals({"step": made})
    assert data == {}
    assert text.removeprefix(HEADER) == (
        "\nfrom seamless.transformer import CompiledTransformer\n\n"
        f"step = CompiledTransformer('c')\nstep.schema = {SCHEMA!r}\nstep.code = {THREE_TIMES!r}\n"
        "step.celltypes.result = 'deepcell'\n"
    )


def test_an_incomplete_step_is_refused() -> None:
    made = CompiledTransformer("c")
    with pytest.raises(UsageError, match="global 'step' is a compiled step without a schema"):
        render_globals({"step": made})
    made.schema = SCHEMA
    with pytest.raises(UsageError, match="without code"):
        render_globals({"step": made})
