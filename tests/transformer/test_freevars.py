"""Which names a function takes from outside, and the advice that goes with them."""

from __future__ import annotations

import importlib.util
import json
import math as m
from pathlib import Path
from pathlib import Path as Where
from types import ModuleType
from typing import Any

import pytest

from seamless.errors import UsageError
from seamless.transformer import delayed
from seamless.transformer.freevars import check_declared, defined_names, undeclared_names

FACTOR = 3


def load(path: Path, text: str, name: str = "loaded") -> ModuleType:
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def helper(x: Any) -> Any:
    return x


def names(source: str, *known: str) -> list[str]:
    return [item.name for item in undeclared_names(source, known=known)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(a, b=1):\n    return a + b + len([])", []),
        ("def f(a):\n    return a + K", ["K"]),
        ("def f(a=K):\n    return a", ["K"]),
        ("def f(a: K, *, b: 'L' = 1) -> M:\n    x: N = a\n    return x", []),
        ("def f(n):\n    return f(n - 1)", []),
        ("def f(a):\n    import numpy as np, os.path\n    from json import loads\n    return np, os, loads", []),
        ("def f(a):\n    def g(b):\n        return a + b + K\n    return g(1)", ["K"]),
        ("def f(a):\n    return [y + K for y in a if L]", ["K", "L"]),
        ("def f(a):\n    class C(Base):\n        x = 1\n        def m(self): return super().m() + K\n", ["Base", "K"]),
        ("def f(a):\n    class C:\n        def m(self): return __class__\n", []),
        ("def f(a):\n    global G\n    G = 1\n    return G", []),
        ("def f(a):\n    def g():\n        nonlocal a\n        a = 1\n    return g", []),
        ("def f(a):\n    if (y := a):\n        return y", []),
        ("def f(a):\n    with open(a) as h:\n        return h", []),
        ("def f(a):\n    try:\n        return K\n    except NameError:\n        return 0", []),
        ("def f(a):\n    try:\n        return K\n    except (OSError, ValueError):\n        return 0", ["K"]),
        ("def f(a):\n    del a\n    K.x = 1\n    K[0] = 1", ["K"]),
        ("lambda x: x + K", ["K"]),
        ("lambda x:\n    x + K", ["K"]),
        ("a * 7 + b", ["a", "b"]),
        ("result = a\nfor i in range(3): result += i + q", ["a", "q"]),
        ("from os import *\nresult = path", []),
        ("exec('K = 1', globals())\nresult = K", []),
        ("def f(a):\n    return PINS, OUTPUTPIN, FILESYSTEM, __name__", []),
        ("def f(a):\n    return f'{a!r:{K}}'", ["K"]),
        ("def f(a):\n    return a.K, g(K=a)", ["g"]),
    ],
)
def test_undeclared_names_are_those_that_nobody_defines(source: str, expected: list[str]) -> None:
    assert sorted(names(source)) == expected


def test_known_names_are_declared() -> None:
    assert names("def f(a):\n    return a + K + L", "K") == ["L"]


def test_a_name_has_the_line_of_its_first_use() -> None:
    found = undeclared_names("def f(a):\n    pass\n    g = K\n    return K + L\n")
    assert [(item.name, item.line) for item in found] == [("K", 3), ("L", 4)]


def test_the_kind_tells_where_a_name_has_its_value() -> None:
    local = 1

    def f(a: Any) -> Any:
        return local, FACTOR, m, nowhere  # type: ignore[name-defined]  # noqa: F821

    kinds = {item.name: item.kind for item in undeclared_names(f)}
    assert kinds == {"local": "closure", "FACTOR": "global", "m": "module", "nowhere": "undefined"}


def message(function: Any, **options: Any) -> str:
    with pytest.raises(UsageError) as caught:
        check_declared(function, **options)
    return str(caught.value)


def test_the_message_names_function_file_line_and_remedy(tmp_path: Path) -> None:
    module = load(tmp_path / "m.py", "K = 1\n\n@(lambda f: f)\ndef step(a):\n    return a + K\n")
    text = message(module.step)
    assert text.startswith(f"{tmp_path / 'm.py'}:5: function 'step' uses the global name 'K'")
    assert "step.globals.K = K" in text


def test_the_message_for_a_module_has_its_import_statement() -> None:
    def f(a: Any) -> Any:
        return m.sqrt(a), json.dumps(a)

    text = message(f)
    assert "'import math as m' inside the function" in text
    assert "f.modules.m = m" in text
    assert "'import json' inside the function" in text


def test_the_message_for_an_imported_object_has_its_import_statement() -> None:
    def f(a: Any) -> Any:
        return Where(a)

    text = message(f)
    assert "'from pathlib import Path as Where' inside the function" in text
    assert "f.globals.Where = Where" in text


def test_a_closure_variable_is_refused_and_can_be_declared() -> None:
    def make(n: int) -> Any:
        def inner(a: Any) -> Any:
            return a + n

        return inner

    assert "variable of the surrounding function 'n'" in message(make(3))
    check_declared(make(3), known={"n"})


def test_an_unknown_name_is_reported_as_such() -> None:
    def f(a: Any) -> Any:
        return a + typo  # type: ignore[name-defined]  # noqa: F821

    assert "the unknown name 'typo'" in message(f)


def test_a_function_that_needs_nothing_passes() -> None:
    check_declared(helper)


def test_the_defined_names_of_a_text_are_the_public_ones_at_top_level() -> None:
    source = "import os.path as p\nK = 1\n_L = 2\ndef f(x):\n    y = print\nclass A: z = 1\nfor i in range(2): pass\n"
    assert defined_names(source) == {"p", "K", "f", "A", "i"}


def uses_factor(x: Any) -> Any:
    return x * FACTOR


def factorial(n: Any) -> Any:
    return 1 if n < 2 else n * factorial(n - 1)


class Parent:
    def name(self) -> str:
        return "parent"


class ZChild(Parent):
    def name(self) -> str:
        return "child of " + super().name()


def test_a_global_function_that_uses_an_undeclared_name_is_refused_with_its_place() -> None:
    step = delayed(lambda x: uses_factor(x))
    step.globals.uses_factor = uses_factor
    with pytest.raises(UsageError, match=r"test_freevars\.py:\d+: function 'uses_factor' uses the global name"):
        step(2)
    step.globals.FACTOR = FACTOR
    assert step(2).run() == 6


def test_a_global_class_that_uses_an_undeclared_name_is_refused() -> None:
    step = delayed(lambda: ZChild().name())
    step.globals.ZChild = ZChild
    with pytest.raises(UsageError, match="global 'ZChild', a class, uses 'Parent'"):
        step()
    step.globals.Parent = Parent
    assert step().run() == "child of parent"


def test_a_global_function_may_use_itself_under_its_own_name() -> None:
    step = delayed(lambda n: product(n))  # type: ignore[name-defined]  # noqa: F821
    step.globals.product = factorial
    assert step(5).run() == 120
