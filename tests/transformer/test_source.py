"""The source text of functions and lambdas, and what is refused early."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import linecache
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from seamless.errors import UsageError
from seamless.transformer.source import class_source, function_source, located_source

VECTORS = Path(__file__).parents[1] / "vectors" / "transformations.json"
CASES = [
    case
    for case in json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]
    if case["kind"] == "function" and "delayed" not in case["source"]
]


def load(path: Path, text: str, name: str = "loaded") -> ModuleType:
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_the_text_of_a_function_has_the_checksum_of_the_vector(case: dict[str, Any], tmp_path: Path) -> None:
    module = load(tmp_path / "m.py", case["source"])
    text = function_source(getattr(module, case["function"]))
    buffer = (text.rstrip("\n") + "\n").encode()
    assert hashlib.sha256(buffer).hexdigest() == case["expected"]["transformation"]["code"][2]


DECORATED = """\
def deco(*args, **kwargs):
    return lambda f: f

{decorators}
def f(x):
    return x  # end
    # a last comment

K = 1
"""


@pytest.mark.parametrize(
    "decorators",
    ["@deco()", "@deco()\n@deco(1)", "@deco(\n    1,\n)", "@deco(\n    '''\n@def f(x):\n''')\n# note\n@deco(2)"],
    ids=["one", "two", "several lines", "string and comment"],
)
def test_decorators_of_any_shape_are_left_out(decorators: str, tmp_path: Path) -> None:
    module = load(tmp_path / "m.py", DECORATED.format(decorators=decorators))
    assert function_source(module.f) == "def f(x):\n    return x  # end\n    # a last comment"


def test_a_comment_between_decorator_and_def_stays(tmp_path: Path) -> None:
    module = load(tmp_path / "m.py", DECORATED.format(decorators="@deco()\n# why"))
    assert function_source(module.f).startswith("# why\ndef f(x):\n")


def test_the_first_line_in_the_file_is_that_of_the_def(tmp_path: Path) -> None:
    module = load(tmp_path / "m.py", DECORATED.format(decorators="@deco(\n    1,\n)"))
    located = located_source(module.f)
    assert (located.filename, located.first_line) == (str(tmp_path / "m.py"), 7)


def test_a_method_with_text_at_the_left_margin_is_dedented(tmp_path: Path) -> None:
    text = "class A:\n    def f(x):\n        s = '''\nleft\n    kept'''\n# comment\n        return s\n"
    module = load(tmp_path / "m.py", text)
    assert function_source(module.A.f) == "def f(x):\n    s = '''\nleft\n    kept'''\n# comment\n    return s"


@pytest.mark.parametrize(
    ("line", "expression", "expected"),
    [
        ("f = lambda x: x ** 2", "f", "lambda x: x ** 2"),
        ("f = (lambda x:\n     x + 1)", "f", "lambda x:\n     x + 1"),
        ("a, b = lambda x: x + 1, lambda x: x + 2", "a", "lambda x: x + 1"),
        ("a, b = lambda x: x + 1, lambda x: x + 2", "b", "lambda x: x + 2"),
        ("a, b = lambda x: x + 1, lambda y: y + 1", "b", "lambda y: y + 1"),
        ("f = lambda x: (lambda x: x + 3)", "f", "lambda x: (lambda x: x + 3)"),
        ("f = lambda x: (lambda x: x + 3)", "f(1)", "lambda x: x + 3"),
        ("é = {'ü': lambda x: 'é' + x, 'ö': lambda x: 'ö' + x}", "é['ö']", "lambda x: 'ö' + x"),
        ("x = 1; f = lambda x: x; y = 2", "f", "lambda x: x"),
    ],
)
def test_the_text_of_a_lambda_is_its_expression(line: str, expression: str, expected: str, tmp_path: Path) -> None:
    module = load(tmp_path / "m.py", line + "\n")
    assert function_source(eval(expression, vars(module))) == expected


REFUSED = [
    ("def f(*args): pass", r"parameter '\*args'.*pass a list or a dict"),
    ("def f(a, **kw): pass", r"parameter '\*\*kw'"),
    ("def f(*, a, **kw): pass", r"parameter '\*\*kw'"),
    ("def f(a, /): pass", "positional-only.*remove the '/'"),
    ("async def f(a): pass", "coroutine function.*asyncio.run"),
    ("async def f(a):\n    yield 1", "coroutine function"),
    ("def f(a): yield a", "generator.*return a list"),
    ("def f(result): pass", "parameter 'result'.*rename"),
    ("def f(code): pass", "parameter 'code'.*rename"),
    ("def f(__x): pass", "'__' names are reserved"),
    ("f = lambda *a: a", r"parameter '\*a'"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_cannot_be_a_transformation_is_refused_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    module = load(tmp_path / "m.py", text + "\n")
    with pytest.raises(UsageError, match=f"m.py:1: .*{message}"):
        function_source(module.f)


class Callable:
    def __call__(self) -> None: ...


@pytest.mark.parametrize("thing", [1, int, functools.partial(len), Callable(), Callable().__call__, "def f(): 1"])
def test_what_is_not_a_function_is_a_type_error(thing: Any) -> None:
    with pytest.raises(TypeError, match="^func must be a function$"):
        function_source(thing)


def test_a_builtin_is_a_type_error_that_says_what_to_write_instead() -> None:
    with pytest.raises(
        TypeError, match=r"^func must be a function: 'len' is a builtin .*def step\(x\): return len\(x\)$"
    ):
        function_source(len)


def test_a_method_is_refused_with_its_place(tmp_path: Path) -> None:
    module = load(
        tmp_path / "m.py", "class A:\n    def f(self, x):\n        return x\n    def g(x):\n        return x\n"
    )
    with pytest.raises(UsageError, match=r"m.py:2: 'A.f' is a method: .* write it as a function outside of the class"):
        function_source(module.A.f)
    assert function_source(module.A.g) == "def g(x):\n    return x"


def test_a_function_within_a_function_may_call_its_parameter_self(tmp_path: Path) -> None:
    module = load(tmp_path / "m.py", "def outer():\n    def f(self):\n        return self\n    return f\n")
    assert function_source(module.outer()) == "def f(self):\n    return self"


def test_a_function_made_by_exec_has_no_source() -> None:
    namespace: dict[str, Any] = {}
    exec("def f(x): return x", namespace)
    with pytest.raises(UsageError, match="not available; put it in a .py file"):
        function_source(namespace["f"])


def test_a_notebook_cell_known_to_linecache_has_source() -> None:
    text = "import os\nawait_me = 1\ndef cell_function(x):\n    return x\ng = lambda x: x\n"
    name = "<notebook-cell-1>"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    namespace: dict[str, Any] = {}
    try:
        exec(compile(text, name, "exec", dont_inherit=True), namespace)
        assert function_source(namespace["cell_function"]) == "def cell_function(x):\n    return x"
        assert function_source(namespace["g"]) == "lambda x: x"
    finally:
        del linecache.cache[name]


def test_a_function_in_a_doctest_has_source() -> None:
    import doctest

    text = (
        ">>> def f(x):\n...     return x\n>>> from seamless.transformer.source import function_source\n"
        ">>> print(function_source(f))\ndef f(x):\n    return x\n"
    )
    test = doctest.DocTestParser().get_doctest(text, {}, "sample", None, None)
    assert doctest.DocTestRunner().run(test).failed == 0


def test_a_file_that_has_changed_since_it_was_loaded_is_noticed(tmp_path: Path) -> None:
    module = load(tmp_path / "m.py", "def f(x):\n    return x\n")
    (tmp_path / "m.py").write_text("def something_else(x):\n    return x, 1\n")
    with pytest.raises(UsageError, match="has changed since it was loaded"):
        function_source(module.f)


def test_the_wrapped_function_is_taken_from_a_well_behaved_wrapper(tmp_path: Path) -> None:
    text = "import functools\ndef w(f):\n    return functools.wraps(f)(lambda *a: f(*a))\n@w\ndef f(x):\n    return x\n"
    assert function_source(load(tmp_path / "m.py", text).f) == "def f(x):\n    return x"


def test_a_class_outside_sys_modules_is_found_through_its_methods() -> None:
    text = "K = 1\n\nclass A:\n    class B:\n        def m(self):\n            return 1\n"
    name = "<text of a class>"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    namespace: dict[str, Any] = {"__name__": "not.loaded"}
    try:
        exec(compile(text, name, "exec", dont_inherit=True), namespace)
        assert "not.loaded" not in sys.modules
        assert class_source(namespace["A"].B) == "class B:\n    def m(self):\n        return 1"
    finally:
        del linecache.cache[name]
