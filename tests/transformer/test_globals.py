"""Declared globals as text."""

from __future__ import annotations

import datetime
import hashlib
import importlib.util
import json
import math
import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from seamless.errors import UsageError
from seamless.transformer.globals_text import HEADER, globals_definition, literal, render_globals

VECTORS = Path(__file__).parents[1] / "vectors" / "transformations.json"
CASES = [case for case in json.loads(VECTORS.read_text(encoding="utf-8"))["cases"] if case.get("globals")]


def load(path: Path, text: str, name: str = "loaded") -> ModuleType:
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain_checksum(value: Any) -> str:
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_the_module_main_has_the_checksum_of_the_vector(case: dict[str, Any], tmp_path: Path) -> None:
    module = load(tmp_path / "m.py", case["source"])
    values = {
        name: getattr(module, spec["attr"]) if "attr" in spec else spec["json"]
        for name, spec in case["globals"].items()
    }
    definition, data = globals_definition(values)
    assert data == {}
    assert plain_checksum(definition) == case["expected"]["transformation"]["main"][2]


def body(values: dict[str, Any]) -> str:
    text, data = render_globals(values)
    assert data == {}
    assert text.startswith(HEADER)
    return text[len(HEADER) :]


def test_names_are_sorted_and_separated_by_blank_lines() -> None:
    assert body({"b": 1, "a": "x"}) == "\na = 'x'\n\nb = 1\n"


SHAPES = """\
import functools

class Outer:
    class Point:
        x = 1

    def method(self):
        return 2

def helper(x):
    return x

short = lambda x: x + 1
long = (lambda x:
        x + 2)
"""


def test_functions_and_classes_are_dedented_and_aliased(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load(tmp_path / "shapes.py", SHAPES, "shapes_module")
    monkeypatch.setitem(sys.modules, "shapes_module", module)
    assert body({"Point": module.Outer.Point}) == "\nclass Point:\n    x = 1\n"
    assert body({"h": module.helper}) == "\ndef helper(x):\n    return x\nh = helper\n"
    assert body({"method": module.Outer.method}) == "\ndef method(self):\n    return 2\n"
    assert body({"s": module.short, "l": module.long}) == "\nl = (lambda x:\n        x + 2)\n\ns = lambda x: x + 1\n"


def test_two_different_definitions_of_one_name_are_refused(tmp_path: Path) -> None:
    first = load(tmp_path / "a.py", "def helper(x):\n    return 1\n").helper
    second = load(tmp_path / "b.py", "def helper(x):\n    return 2\n").helper
    with pytest.raises(UsageError, match="'z' and 'helper' are different objects"):
        render_globals({"helper": first, "z": second})


VALUES = [
    1, -2.5, "é\n", b"\x00", True, None, ..., 1j, [1, [2, "x"]], (1,), (), {}, {"b": 1, "a": [()]}, set(), {3, 1},
    frozenset(), frozenset({2}), range(3), bytearray(b"x"), {(1, 2): {"x"}},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_builtin_value_is_written_as_its_repr(value: Any) -> None:
    assert literal(value) == repr(value)


@pytest.mark.parametrize("value", [math.inf, -math.inf, [1, math.inf], complex(0, math.inf), {"a", "c", "b"}])
def test_a_value_whose_repr_is_no_stable_expression_is_written_otherwise(value: Any) -> None:
    text = literal(value)
    assert text is not None
    assert eval(text) == value


def test_the_text_of_a_set_of_strings_is_sorted() -> None:
    assert literal({"a", "c", "b"}) == "{'a', 'b', 'c'}"


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    with pytest.raises(UsageError, match="global 'loop' of type 'list'"):
        render_globals({"loop": loop})


def test_arrays_become_pins() -> None:
    array = np.arange(3)
    text, data = render_globals({"a": array, "s": np.float64(2), "d": {"x": [array]}})
    assert text == ""
    assert data == {"a": array, "s": np.float64(2), "d": {"x": [array]}}


POINT = """\
class Point:
    def __init__(self, x):
        self.x = x

    def __repr__(self):
        return f"Point({self.x})"

p = Point(3)
"""


def test_a_value_whose_repr_calls_a_declared_class_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load(tmp_path / "point.py", POINT, "point_module")
    monkeypatch.setitem(sys.modules, "point_module", module)
    assert body({"Point": module.Point, "p": module.p}).endswith("\np = Point(3)\n")
    with pytest.raises(UsageError, match="global 'p' of type 'Point'"):
        render_globals({"p": module.p})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "global 'x' of type 'object' cannot be carried"),
        (datetime.date(2020, 1, 1), "global 'x' of type 'date'"),
        (len, "global 'x' of type 'builtin_function_or_method'"),
        (OrderedDict(a=1), "global 'x' of type 'OrderedDict'"),
        ([object()], "global 'x' of type 'list'"),
        (math, "global 'x' is a module.*modules.x"),
    ],
)
def test_what_cannot_be_carried_is_named(value: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        render_globals({"x": value})


def test_a_builtin_type_is_written_by_name() -> None:
    assert body({"kind": int}) == "\nkind = int\n"


def transformer(**changes: Any) -> Any:
    parts: dict[str, Any] = {
        "is_direct": False, "language": "python", "source_text": "def step(x):\n    return x", "func_name": "step",
        "celltypes": {"x": "mixed", "result": "mixed"}, "args": {}, "modules": {}, "globals": {},
    }  # fmt: skip
    return SimpleNamespace(**{**parts, **changes})


def test_a_transformer_is_written_so_that_it_exists_again() -> None:
    text = body({"step": transformer(celltypes={"x": "int", "result": "float"}, args={"x": 3})})
    assert text == (
        "\nfrom seamless.transformer import delayed\n"
        "\n@delayed\ndef step(x):\n    return x\n"
        "step.celltypes['result'] = 'float'\nstep.celltypes['x'] = 'int'\nstep.args['x'] = 3\n"
    )


def test_a_transformer_keeps_its_kind_alias_and_language() -> None:
    text = body(
        {
            "other": transformer(is_direct=True),
            "square": transformer(func_name="<lambda>", source_text="lambda x: x**2"),
            "block": transformer(func_name="transformer", source_text="result = 1", celltypes={"result": "int"}),
            "shell": transformer(
                func_name=None, language="bash", source_text="echo 'a' > RESULT\n", celltypes={"result": "mixed"}
            ),
        }
    )
    assert "from seamless.transformer import delayed, direct\n" in text
    assert "\n@direct\ndef step(x):\n    return x\nother = step\n" in text
    assert "\nblock = delayed('result = 1')\nblock.celltypes['result'] = 'int'\n" in text
    assert "\nsquare = delayed(lambda x: x**2)\n" in text
    assert """\nshell = delayed("echo 'a' > RESULT", 'bash')\nshell.celltypes['result'] = 'mixed'\n""" in text


def test_the_globals_and_modules_of_a_transformer_come_along() -> None:
    array = np.arange(3)
    helper = {"language": "python", "type": "interpreted", "code": "X = 1"}
    text, data = render_globals({"step": transformer(globals={"K": 2, "W": array}, modules={"helper": helper})})
    assert "step.modules['helper'] = {'code': 'X = 1', 'language': 'python', 'type': 'interpreted'}\n" in text
    assert f"step.modules['main'] = {{'code': {HEADER + chr(10) + 'K = 2' + chr(10)!r}" in text
    assert "step.globals['W'] = step__globals__W\n" in text
    assert data == {"step__globals__W": array}


def test_a_declared_module_main_follows_the_globals() -> None:
    main = {"language": "python", "type": "interpreted", "code": "from __future__ import annotations\nX = 1"}
    definition, _ = globals_definition({"K": 2}, main)
    assert definition is not None
    assert definition["code"] == f"{HEADER}\nK = 2\n\nX = 1\n"
    compile(definition["code"], "main", "exec")
    assert globals_definition({}, main) == (main, {})
    assert globals_definition({}) == (None, {})
