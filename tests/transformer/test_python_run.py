"""Execution of code text: modes, namespace, embedded modules, failures."""

from __future__ import annotations

import hashlib
import inspect
import linecache
import sys
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from seamless.transformer.python_run import format_user_error, run_python
from seamless.transformer.source import class_source, function_source


def text(code: str) -> dict[str, Any]:
    return {"language": "python", "type": "interpreted", "code": code}


def package(texts: dict[str, str]) -> dict[str, Any]:
    return {
        "language": "python",
        "type": "interpreted",
        "code": {key: {"language": "python", "code": code, "dependencies": []} for key, code in texts.items()},
    }


def run(code: str, modules: Mapping[str, Any] | None = None, /, **pins: Any) -> Any:
    return run_python(
        code,
        pins=pins,
        modules=modules or {},
        output_celltype="mixed",
        name="step",
        code_checksum=hashlib.sha256(code.encode()).hexdigest(),
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def f(a, b=5):\n    return a * b\n", 10),
        ("# a comment\ndef a(a):\n    return a\n", 2),
        ("def fact(a):\n    return 1 if a < 2 else a * fact(a - 1)\n", 2),
        ("def f(**kw):\n    return kw\n", {"a": 2}),
        ("a * 7\n", 14),
        ("(a +\n 1)\n", 3),
        ("a +\n 1\n", 3),
        ("lambda a: a ** 3\n", 8),
        ("lambda a:\n    a ** 3\n", 8),
        ("lambda **kw: kw\n", {"a": 2}),
        ("result = 100 * a", 200),
        ("def f(x):\n    return x + 1\nresult = f(a)\n", 3),
        ("result = sorted(PINS), OUTPUTPIN, FILESYSTEM", (["a"], "mixed", {})),
        ("result = __name__, __package__", ("transformer", "transformer")),
        ("def f(a): return PINS['a'], 'caller' in globals()", (2, False)),
    ],
)  # fmt: skip
def test_code_of_each_kind_gives_its_value(code: str, expected: Any) -> None:
    assert run(code, a=2) == expected


def test_pins_that_are_no_parameters_are_variables() -> None:
    assert run("def f(a):\n    return a + extra\n", a=1, extra=2) == 3


def test_an_argument_may_be_none() -> None:
    assert run("def f(a, b=1):\n    return a, b\n", a=None, b=None) == (None, None)


def test_a_block_must_assign_result() -> None:
    with pytest.raises(RuntimeError, match="^Output variable name 'result' undefined: the code must assign 'result'"):
        run("x = a", a=1)


@pytest.mark.parametrize(
    "code",
    [
        "def f(x: np.ndarray) -> Missing[int]:\n    def g(y: Missing): return y\n    return g(x)\n",
        "def f(x):\n    class A:\n        v: Missing = 1\n    return A.v\n",
    ],
)
def test_annotations_that_cannot_be_evaluated_do_no_harm(code: str) -> None:
    assert run(code, x=1) == 1


def test_annotations_that_can_be_evaluated_are_evaluated() -> None:
    code = "def f(x):\n    class A: pass\n    def g(y: A, z: 'int'): pass\n    return g.__annotations__['y'] is A\n"
    assert run(code, x=1) is True


def test_the_code_does_not_inherit_future_statements() -> None:
    assert run("def f(x):\n    def g(y: int): pass\n    return g.__annotations__\n", x=1) == {"y": int}


@pytest.mark.parametrize("ending", ["import sys; sys.exit(3)", "raise SystemExit(3)"])
def test_an_exit_is_an_ordinary_failure(ending: str) -> None:
    with pytest.raises(RuntimeError, match=r"ended with sys.exit\(3\)") as caught:
        run(f"def f(a):\n    {ending}\n", a=1)
    assert ", line 2, in f" in format_user_error(caught.value, name="step")


def test_a_keyboard_interrupt_is_passed_on() -> None:
    with pytest.raises(KeyboardInterrupt):
        run("raise KeyboardInterrupt")


def test_other_ends_of_a_thread_become_failures() -> None:
    with pytest.raises(RuntimeError, match="End: now"):
        run("class End(BaseException): pass\nraise End('now')")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def f(a):\n    yield a", "the result is a generator"),
        ("async def g(): pass\nresult = g()", "the result is a coroutine"),
    ],
)
def test_a_result_that_is_no_value_is_refused(code: str, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        run(code, a=1)


def test_a_coroutine_function_is_refused() -> None:
    with pytest.raises(SyntaxError, match="coroutine function"):
        run("async def f(a): return a", a=1)


# --- embedded modules ---------------------------------------------------------------------------

VMOD = {"vmod": text("FACTOR = 3\n\n\ndef triple(x):\n    return x * FACTOR")}
VPKG = {
    "vpkg": package(
        {
            "__init__": "from .core import g\nfrom . import const\nTOP = 'top'",
            "core": "from .const import Z\n\n\ndef g(x):\n    return x + Z",
            "const": "Z = 100",
            "lazy": "L = 5",
            "sub.__init__": "from ..const import Z as Y\nfrom .deep import D",
            "sub.deep": "from .. import const\nimport vpkg.core\nD = const.Z + vpkg.core.g(1)",
        }
    )
}


@pytest.mark.parametrize(
    "statement",
    [
        "from .vmod import triple", "from . import vmod; triple = vmod.triple", "from transformer.vmod import triple",
        "import vmod; triple = vmod.triple", "from vmod import triple", "from vmod import *", "triple = vmod.triple",
        "import transformer.vmod; triple = transformer.vmod.triple", "import vmod as v; triple = v.triple",
        "from transformer import vmod; triple = vmod.triple",
        "import importlib; triple = importlib.import_module('vmod').triple",
        "from importlib import import_module; triple = import_module('.vmod', __package__).triple",
    ],
)  # fmt: skip
def test_a_single_file_can_be_imported_in_every_form(statement: str) -> None:
    assert run(f"{statement}\nresult = triple(x)", VMOD, x=5) == 15


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("from .vpkg import g; result = g(1)", 101),
        ("from .vpkg.core import g; result = g(1)", 101),
        ("from . import vpkg; result = vpkg.g(1)", 101),
        ("from transformer.vpkg import g; result = g(1)", 101),
        ("from vpkg.core import g; result = g(1)", 101),
        ("from vpkg import g; result = g(1)", 101),
        ("import vpkg; result = vpkg.core.g(1)", 101),
        ("import vpkg.lazy; result = vpkg.lazy.L", 5),
        ("import vpkg.lazy as s; result = s.L", 5),
        ("from vpkg import lazy; result = lazy.L", 5),
        ("import vpkg.sub.deep as s; result = s.D", 201),
        ("from .vpkg.sub import D, Y; result = D + Y", 301),
        ("from vpkg.sub.deep import D; result = D", 201),
        ("from importlib import import_module; result = import_module('vpkg.sub').D", 201),
        ("import vpkg; from . import vpkg as v; import transformer.vpkg as w; result = vpkg is v is w", True),
        ("result = vpkg.TOP", "top"),
    ],
)
def test_a_package_can_be_imported_in_every_form(statement: str, expected: Any) -> None:
    assert run(statement, VPKG) == expected


def test_the_embedded_code_wins_over_installed_packages() -> None:
    modules = {"json": text("def dumps(x): return 'embedded'"), "user": text("import json\nV = json.dumps(1)")}
    assert run("import json, user\nresult = json.dumps(1), user.V", modules) == ("embedded", "embedded")
    assert run("import json\nresult = json.dumps(1)") == "1"


def test_installed_packages_can_be_imported() -> None:
    code = "import os.path, xml.dom as d\nfrom collections import abc\nresult = os.path.sep, d.__name__, abc.__name__"
    assert run(code, VMOD) == ("/", "xml.dom", "collections.abc")


def test_modules_of_a_package_may_import_each_other_in_a_circle() -> None:
    ring = package(
        {
            "__init__": "from .a import A",
            "a": "from . import b\nA = 1\ndef f(): return b.B",
            "b": "import ring.a as a\nB = 2",
        }
    )
    assert run("from ring.a import f\nresult = f()", {"ring": ring}) == 2


def test_directories_without_init_can_be_passed_through() -> None:
    assert run("from p.q.r import X\nresult = X", {"p": package({"__init__": "", "q.r": "X = 1"})}) == 1


@pytest.mark.parametrize(
    "statement", ["from .nope import x", "from . import nope", "import transformer.nope", "from vmod.nope import x"]
)
def test_a_module_that_is_not_embedded_is_named_with_those_that_are(statement: str) -> None:
    with pytest.raises(
        ImportError, match=r"No module named 'transformer\..*nope' \(embedded modules: vmod; declare it"
    ):
        run(statement, VMOD)


def test_a_relative_import_above_the_root_is_an_import_error() -> None:
    with pytest.raises(ImportError, match="beyond top-level package"):
        run("from ... import x", VMOD)


def test_a_module_that_fails_is_executed_again_at_the_next_import() -> None:
    modules = {
        "counter": text("N = []"),
        "bad": text("from counter import N\nN.append(1)\nif len(N) < 2: raise ValueError"),
    }
    with pytest.raises(ValueError):
        run("result = 1", modules)


def test_each_execution_has_modules_of_its_own() -> None:
    modules = {"state": text("N = []")}
    code = "import state\nstate.N.append(1)\nresult = len(state.N)"
    assert [run(code, modules), run(code, modules)] == [1, 1]


def test_nothing_is_put_in_sys_modules() -> None:
    before = set(sys.modules)
    run("from .vpkg.sub import D\nimport vmod\nresult = D", {**VPKG, **VMOD})
    assert set(sys.modules) == before


def test_concurrent_executions_see_their_own_module_of_the_same_name() -> None:
    barrier = threading.Barrier(2, timeout=10)
    code = (
        "def f(wait):\n    wait()\n    from .m import V\n    wait()\n    import m\n    wait()\n"
        "    from m.sub import S\n    return V, m.V, S\n"
    )
    found: dict[int, Any] = {}

    def work(number: int) -> None:
        embedded = {"m": package({"__init__": f"V = {number}", "sub": f"from . import V\nS = V * 10 + {number}"})}
        found[number] = run(code, embedded, wait=barrier.wait)

    threads = [threading.Thread(target=work, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {1: (1, 1, 11), 2: (2, 2, 22)}


def test_threads_of_one_execution_share_its_modules() -> None:
    code = (
        "def f(x):\n    import threading\n    found = []\n"
        "    def work():\n        from .vpkg import lazy\n        found.append(lazy)\n"
        "    threads = [threading.Thread(target=work) for _ in range(4)]\n"
        "    [t.start() for t in threads]; [t.join() for t in threads]\n"
        "    return len(found), len(set(map(id, found)))\n"
    )
    assert run(code, VPKG, x=1) == (4, 1)


# --- the module `main`: declared globals --------------------------------------------------------

MAIN = {
    "main": text(
        "# Generated by seamless-transformer\nfrom __future__ import annotations\n\nK = 21\n\n"
        "def helper(x: Unknown):\n    return x * K\n"
    )
}


def test_declared_globals_are_variables_and_importable() -> None:
    assert run("def f(x):\n    from .main import K\n    return helper(x) + K\n", MAIN, x=2) == 63


def test_global_functions_find_data_pins_and_other_modules() -> None:
    modules = {"main": text("def helper(x):\n    return x + W + vmod.FACTOR"), **VMOD}
    assert run("def f(x):\n    return helper(x)\n", modules, x=2, W=10) == 15


def test_a_pin_never_replaces_a_builtin_of_a_global_function() -> None:
    modules = {"main": text("def helper(x):\n    return len(x)")}
    assert run("def f(len):\n    return helper(len)\n", modules, len=[1, 2]) == 2


def test_a_pin_comes_before_a_global_of_the_same_name() -> None:
    assert run("result = K", MAIN, K=1) == 1


DATACLASS = """\
from __future__ import annotations
import dataclasses
import typing as t
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass
class Point:
    x: int
    tags: list = field(default_factory=list)
    count: ClassVar[int] = 0
    other: t.ClassVar[int] = 1

    def norm(self):
        return abs(self.x)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Frozen(Point.__mro__[-1]):
    y: float = 2.0


ALL = Point(-3).norm(), [f.name for f in dataclasses.fields(Point)], Frozen(y=1.0).y, Point.__module__, \\
    Frozen.__module__
"""


def test_dataclasses_with_annotations_as_text_work_in_embedded_modules() -> None:
    expected = (3, ["x", "tags"], 1.0, "transformer.shapes", "transformer.shapes")
    assert run("import shapes\nresult = shapes.ALL", {"shapes": text(DATACLASS)}) == expected
    assert run(DATACLASS + "\nresult = ALL[:3]") == expected[:3]


# --- source and tracebacks ----------------------------------------------------------------------


def test_functions_and_classes_of_embedded_modules_have_source() -> None:
    triple = run("result = vmod.triple", VMOD)
    assert inspect.getsource(triple) == "def triple(x):\n    return x * FACTOR\n"
    assert function_source(triple) == "def triple(x):\n    return x * FACTOR"
    point = run("import shapes\nresult = shapes.Point", {"shapes": text(DATACLASS)})
    assert class_source(point).startswith("@dataclass\nclass Point:\n    x: int\n")


def test_a_decorated_function_of_an_embedded_module_has_source() -> None:
    modules = {"tools": text("def deco(f):\n    return lambda: f\n\n@deco\ndef inner(x):\n    return x")}
    assert function_source(run("result = tools.inner()", modules)) == "def inner(x):\n    return x"


def test_an_embedded_module_can_be_embedded_again() -> None:
    from seamless.transformer.modules import module_definition

    assert module_definition(run("result = vpkg", VPKG)) == VPKG["vpkg"]


def test_source_comes_back_after_linecache_was_cleared() -> None:
    run("result = vmod.triple", VMOD)
    linecache.clearcache()
    assert "x * FACTOR" in inspect.getsource(run("result = vmod.triple", VMOD))


def failure(code: str, modules: Mapping[str, Any] | None = None, **options: Any) -> str:
    with pytest.raises(Exception) as caught:
        run(code, modules, x=1)
    return format_user_error(caught.value, name="step", **options)


def test_a_traceback_begins_at_the_code_and_shows_its_lines() -> None:
    shown = failure("def f(x):\n    y = x\n    raise ValueError('bad', y)\n")
    assert shown == (
        "Traceback (most recent call last):\n"
        '  File "<transformer step>", line 3, in f\n'
        "    raise ValueError('bad', y)\n"
        "ValueError: ('bad', 1)\n"
    )


def test_a_traceback_tells_the_original_place_if_known() -> None:
    shown = failure("def f(x):\n    raise ValueError\n", origin=("/home/me/script.py", 40))
    assert '  File "<transformer step>", line 2, in f (/home/me/script.py:41)\n' in shown


def test_a_traceback_through_embedded_modules_has_no_frames_of_the_machinery() -> None:
    modules = {"outer": text("def g():\n    import inner"), "inner": text("x = 1\nraise KeyError('k')")}
    code = "def f(x):\n    from outer import g\n    g()\n"
    with pytest.raises(KeyError):
        run(code, modules, x=1)
    modules["inner"] = text("def h():\n    raise KeyError('k')")
    modules["outer"] = text("def g():\n    import inner\n    inner.h()")
    files = [line.split('"')[1] for line in failure(code, modules).splitlines() if line.startswith("  File")]
    assert files == ["<transformer step>", "<transformer step/outer>", "<transformer step/inner>"]


def test_a_chain_of_exceptions_is_kept() -> None:
    shown = failure(
        "def f(x):\n    try:\n        1 / 0\n    except ZeroDivisionError as e:\n        raise ValueError from e\n"
    )
    assert "ZeroDivisionError: division by zero\n\nThe above exception was the direct cause" in shown
    assert shown.count('File "<transformer step>"') == 2


def test_a_syntax_error_shows_the_line() -> None:
    shown = failure("def f(x):\n    return x +\n")
    assert '  File "<transformer step>", line 2\n    return x +\n' in shown
    assert shown.endswith("SyntaxError: invalid syntax\n")


def test_an_error_without_a_frame_of_the_code_is_one_line() -> None:
    shown = failure("x = 1")
    assert shown.startswith("RuntimeError: Output variable name 'result' undefined")
    assert shown.count("\n") == 1


def test_the_same_code_under_two_names_is_shown_under_each() -> None:
    code = "def f(x):\n    raise ValueError\n"
    shown = set()
    for name in ("first", "second"):
        with pytest.raises(ValueError) as caught:
            run_python(code, pins={"x": 1}, modules={}, output_celltype="mixed", name=name, code_checksum="ab" * 32)
        shown.add(format_user_error(caught.value, name=name).splitlines()[1])
    assert shown == {f'  File "<transformer {name}>", line 2, in f' for name in ("first", "second")}


def test_a_usage_error_inside_the_code_has_no_frames_of_the_machinery() -> None:
    code = (
        "def f(x):\n    from seamless.transformer.modules import module_definition\n"
        "    import sys\n    module_definition(sys)\n"
    )
    shown = failure(code)
    assert shown.count("  File ") == 1
    assert "\nseamless.errors.UsageError: module 'sys' is built into Python" in shown
