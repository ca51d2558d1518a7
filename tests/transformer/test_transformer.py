"""Transformers: what can be a step, its attributes, how arguments bind."""

import functools

import pytest
import steps

from seamless import Buffer, Checksum
from seamless.errors import UsageError
from seamless.transformer import DirectTransformer, Transformer, delayed, direct

FACTOR = 7


def test_direct_gives_the_value_and_delayed_a_transformation():
    assert direct(steps.add)(2, 3) == 5
    assert delayed(steps.add)(2, 3).run() == 5


def test_decorator_form_keeps_name_and_docstring():
    @direct
    def documented(x):
        "The docstring."
        return x

    assert documented.__name__ == "documented"
    assert documented.__doc__ == "The docstring."
    assert documented.__wrapped__(3) == 3
    assert documented(4) == 4


@pytest.mark.parametrize("thing", [dict, functools.partial(steps.add, 1), len, 5])
def test_only_functions_and_text_can_be_steps(thing):
    with pytest.raises(TypeError):
        direct(thing)


def test_conversion_copies_the_state():
    first = delayed(steps.add)
    second = direct(first)
    second.celltypes.a = "int"
    assert isinstance(second, DirectTransformer)
    assert first.celltypes.a == "mixed"
    assert second(1, 2) == 3
    assert type(delayed(second)) is Transformer


def test_binding_errors_are_those_of_python_and_name_the_function():
    with pytest.raises(TypeError, match=r"^add\(\): missing a required argument: 'b'$"):
        delayed(steps.add)(1)
    with pytest.raises(TypeError, match=r"^add\(\): too many positional arguments$"):
        delayed(steps.add)(1, 2, 3)


@pytest.mark.parametrize(("decorator", "name"), [(direct, "direct"), (delayed, "delayed")])
@pytest.mark.parametrize("options", [{}, {"language": "python"}])
def test_the_decorators_are_written_without_parentheses(decorator, name, options):
    with pytest.raises(TypeError, match=f"use @{name} without parentheses"):
        decorator(**options)


def test_an_object_of_a_class_is_called_so_where_it_cannot_be_stored():
    class Thing:
        pass

    with pytest.raises(TypeError, match="argument 'a', an object of class Thing, cannot be stored"):
        delayed(steps.add)(Thing(), 1)
    with pytest.raises(TypeError, match="argument 'a', of type dict, cannot be stored"):
        delayed(steps.add)({"x": Thing()}, 1)


def test_arguments_can_be_bound_in_advance_and_overridden():
    step = direct(steps.add)
    step.args.b = 10
    assert step.args.a is None
    assert step(1) == 11
    assert step(1, 2) == 3
    with pytest.raises(AttributeError):
        step.args.c = 1


def test_a_default_that_is_not_given_is_another_identity_than_the_same_value_given():
    implicit, explicit = delayed(steps.scaled)(2), delayed(steps.scaled)(2, 5)
    assert implicit.run() == explicit.run() == 10
    assert implicit.transformation_checksum != explicit.transformation_checksum


def test_source_text_takes_keyword_arguments_of_declared_celltypes_only():
    step = direct("a + b")
    step.celltypes.a = "int"
    step.celltypes.b = "int"
    assert step(a=1, b=2) == 3
    with pytest.raises(TypeError, match="positional arguments not supported"):
        step(1, 2)
    with pytest.raises(TypeError, match="Missing argument: 'b'"):
        step(a=1)
    with pytest.raises(TypeError, match="Unknown argument: 'c'"):
        step(a=1, b=2, c=3)


def test_source_text_without_any_pin_runs():
    assert direct("6 * 7")() == 42


def test_celltypes_are_checked():
    step = delayed(steps.add)
    step.celltypes.a = int
    assert step.celltypes["a"] == "int"
    with pytest.raises(TypeError):
        step.celltypes.a = "cson"
    with pytest.raises(AttributeError):
        step.celltypes.z = "int"
    for forbidden in ("deepfolder", "module"):
        with pytest.raises(TypeError, match="result celltype"):
            step.celltypes.result = forbidden


def test_meta_assignment_merges_and_none_removes():
    step = delayed(steps.add)
    step.meta = {"ncores": 4}
    step.meta = {"ncores": None, "local": None}
    assert step.meta == {"transformer_path": ["tf", "tf"], "local": None, "__direct_print__": False}


def test_undeclared_names_fail_with_how_to_declare_them():
    def uses_global(x):
        return x * FACTOR

    with pytest.raises(UsageError, match=r"FACTOR(.|\n)*globals"):
        delayed(uses_global)(1)
    step = delayed(uses_global)
    step.globals.FACTOR = FACTOR
    assert step(2).run() == 14


def test_a_closure_is_refused():
    def make(k):
        def inner(x):
            return x * k

        return inner

    with pytest.raises(UsageError, match="k"):
        delayed(make(3))(1)


def test_globals_enter_the_identity():
    def uses_global(x):
        return x * FACTOR

    one, two = delayed(uses_global), delayed(uses_global)
    one.globals.FACTOR, two.globals.FACTOR = 1, 2
    assert one(5).construct() != two(5).construct()
    assert (one(5).run(), two(5).run()) == (5, 10)


def test_arrays_and_bytes_can_be_globals():
    import numpy as np

    def total(x):
        return int(table.sum()) + len(blob) + x  # noqa: F821

    step = direct(total)
    step.globals.table = np.arange(4)
    step.globals.blob = b"abc"
    assert step(1) == 10


def test_transformers_in_globals_make_a_fan_out():
    def square(x):
        return x * x

    def driver(n):
        from seamless.transformer import parallel

        return sum(tf.run() for tf in parallel([square(i) for i in range(n)]))

    step = direct(driver)
    step.globals.square = delayed(square)
    assert step(4) == 14
    other = delayed(driver)
    other.globals.square = delayed(square)
    again = delayed(driver)
    again.globals.square = delayed(square)
    assert other(4).construct() == again(4).construct()


def test_a_direct_transformer_in_globals_works_too():
    def helper(x):
        return x + 1

    def outer(x):
        return helper_step(helper_step(x))  # noqa: F821

    step = direct(outer)
    step.globals.helper_step = direct(helper)
    assert step(1) == 3


def test_none_is_a_value_like_any_other():
    def is_none(x):
        return x is None

    assert direct(is_none)(None) is True

    def gives_none(x):
        return None

    assert direct(gives_none)(1) is None


def test_bytes_pins_arrive_as_bytes():
    def kind(x):
        return type(x).__name__

    step = direct(kind)
    step.celltypes.x = "bytes"
    assert step(b"\x00a") == "bytes"

    def back(x):
        return x[::-1]

    step = direct(back)
    step.celltypes.x = "bytes"
    step.celltypes.result = "bytes"
    assert step(b"abc") == b"cba"


def test_a_long_string_is_text_unless_it_names_a_known_buffer():
    def length(x):
        return len(x)

    assert direct(length)("a" * 64) == 64
    step = direct(length)
    step.celltypes.x = "str"
    buffer = Buffer("some text", "mixed")
    assert step(buffer.get_checksum().hex()) == 64
    with pytest.warns(UserWarning, match="known buffer"):
        assert direct(length)(buffer.get_checksum().hex()) == 9
    assert direct(length)(buffer.get_checksum()) == 9


def test_a_checksum_pin_gives_the_plain_value():
    def first(x):
        return x[0]

    buffer = Buffer([5, 6], "plain")
    step = direct(first)
    step.celltypes.x = "checksum"
    assert step(buffer.get_checksum()) == 5
    assert step(buffer.get_checksum().hex()) == 5
    with pytest.raises(TypeError, match="'x'"):
        step([5, 6])


def test_deep_inputs_are_packed_and_delivered_as_checksums():
    def names(x):
        return {k: [type(v).__name__, v.resolve("mixed")] for k, v in x.items()}

    step = direct(names)
    step.celltypes.x = "deepcell"
    assert step({"a": 1, "b": "text"}) == {"a": ["Checksum", 1], "b": ["Checksum", "text"]}


def test_a_folder_arrives_as_bytes_by_path():
    def sizes(x):
        return {k: len(v) for k, v in x.items()}

    step = direct(sizes)
    step.celltypes.x = "folder"
    assert step({"a.txt": b"abc", "d/b.txt": b""}) == {"a.txt": 3, "d/b.txt": 0}


def test_a_64_character_text_in_a_deep_result_is_text():
    def make(n):
        return {"a": "x" * 64, "b": "f" * 64}

    step = delayed(make)
    step.celltypes.result = "deepcell"
    result = step(1).run()
    assert Checksum(result["a"]).resolve("mixed") == "x" * 64
    assert Checksum(result["b"]).resolve("mixed") == "f" * 64


def test_an_argument_that_cannot_be_stored_is_named():
    with pytest.raises(TypeError, match="'b'"):
        delayed(steps.add)(1, object())
    with pytest.raises(ValueError, match="'a'"):
        step = delayed(steps.add)
        step.celltypes.a = "plain"
        step(float("nan"), 1)


def test_a_mutated_argument_is_a_new_argument():
    def total(x):
        return sum(x)

    step, value = direct(total), [1, 2]
    assert step(value) == 3
    value.append(10)
    assert step(value) == 13


def test_a_step_that_mutates_its_argument_does_not_change_the_callers():
    def mutate(x):
        x.append(1)
        return len(x)

    value = [0]
    assert direct(mutate)(value) == 2
    assert value == [0]


def test_code_can_be_replaced():
    step = direct(steps.add)
    step.code = steps.scaled
    assert step(2, 3) == 6
    assert step.code.decode().startswith("def scaled")


def test_modules_travel_with_the_code(tmp_path, monkeypatch):
    import importlib

    (tmp_path / "traveller.py").write_text("def triple(x):\n    return 3 * x\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("traveller")

    def uses(x):
        from .traveller import triple

        return triple(x)

    step = direct(uses)
    step.modules.traveller = module
    assert step(5) == 15
    with pytest.raises(TypeError):
        step.modules.other = 5


def test_environment_which_is_checked_before_execution():
    step = delayed(steps.add)
    step.environment.set_which(["no-such-command-here"])
    tf = step(1, 2)
    assert tf.compute() is None
    assert "no-such-command-here" in tf.exception
    step.environment.set_which(None)
    assert step(1, 2).run() == 3


def test_an_environment_that_cannot_be_honoured_is_refused():
    step = delayed(steps.add)
    step.environment.set_docker({"name": "image:1"})
    tf = step(10, 20)
    assert tf.compute() is None
    assert "image:1" in tf.exception


def test_environment_items_can_be_set_and_cleared():
    from seamless.transformer import Environment

    env = Environment()
    env.set_conda("dependencies:\n  - gcc\n")
    assert "gcc" in env.get_conda()
    env.set_conda(None)
    assert env._to_lowlevel() is None
    with pytest.raises(ValueError, match="dependencies"):
        env.set_conda("a: 1\n")
    with pytest.raises(TypeError):
        env.set_conda("- a\n")
    with pytest.raises(ValueError, match="name"):
        env.set_docker({})


def test_a_carried_step_brings_its_own_globals():
    def inner(x):
        return x * K  # noqa: F821

    def driver(n):
        return [step(i) for i in range(n)]  # noqa: F821

    inner_step = direct(inner)
    inner_step.globals.K = 10
    outer = direct(driver)
    outer.globals.step = inner_step
    assert outer(3) == [0, 10, 20]


def test_globals_and_a_module_called_main_go_together(tmp_path, monkeypatch):
    def uses(x):
        return helper(x) + SHIFT  # noqa: F821

    step = direct(uses)
    step.modules.main = {
        "code": "def helper(x):\n    return 2 * x",
        "language": "python",
        "type": "interpreted",
    }
    step.globals.SHIFT = 5
    assert step(4) == 13


def test_a_failure_points_at_the_line_in_the_users_file():
    @delayed
    def broken(x):
        y = x + 1
        return 1 / (y - y)

    first = broken.__wrapped__.__code__.co_firstlineno
    tf = broken(1)
    tf.compute()
    assert f"{__file__}:{first + 3})" in tf.exception


def test_a_keyword_only_parameter_cannot_be_given_by_position():
    def minus(a, *, b):
        return a - b

    with pytest.raises(TypeError, match="too many positional arguments"):
        direct(minus)(3, 2)
    assert direct(minus)(3, b=2) == 1


def test_an_argument_of_celltype_module_is_a_module_of_the_code():
    step = delayed("helper.twice(x)")
    step.celltypes.x = "int"
    step.celltypes.helper = "module"
    definition = {"language": "python", "type": "interpreted", "code": "def twice(x):\n    return 2 * x"}
    tf = step(x=4, helper=definition)
    tf.construct()
    assert tf.transformation_checksum.resolve("plain")["helper"][:2] == ["plain", "module"]
    assert tf.run() == 8


def test_a_result_that_is_no_checksum_is_refused_with_the_reason():
    step = delayed(lambda x: x)
    step.celltypes.result = "checksum"
    tf = step(3)
    tf.compute()
    assert "cannot be stored with celltype 'checksum': it needs a Checksum" in tf.exception


@pytest.mark.parametrize(
    ("item", "value", "reason"),
    [
        ("powers", {"ptrace": True}, "asks for powers"),
        ("conda", "dependencies: [numpy]\n", "a conda definition but no name"),
    ],
)
def test_a_python_step_refuses_an_environment_that_nobody_provides(item, value, reason):
    step = delayed(steps.add)
    getattr(step.environment, f"set_{item}")(value)
    tf = step(100, 200)
    assert tf.compute() is None
    assert reason in tf.exception
