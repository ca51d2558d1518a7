"""CompiledTransformer: its attributes, what a call asks for, and the identity it makes. Nothing is compiled here."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seamless import Checksum
from seamless.transformer import (
    CompiledObject,
    CompiledTransformer,
    DirectCompiledTransformer,
    DirectTransformer,
    delayed,
    direct,
)

SCHEMA = """\
inputs:
  - {name: x, dtype: float64, shape: [N]}
  - {name: k, dtype: int32}
outputs:
  - {name: result, dtype: float64, shape: [K]}
"""


def step() -> Any:
    made = CompiledTransformer("c")
    made.schema, made.code = SCHEMA, "int transform();"
    made.metavars.maxK = 7
    return made


def test_an_unknown_language_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="Unknown compiled language: 'zig'"):
        CompiledTransformer("zig")


def test_a_new_transformer_has_neither_schema_nor_header_nor_code() -> None:
    made = CompiledTransformer("c", scratch=True, direct_print=True, local=True)
    assert (made.schema, made.header, made.code, made.language) == (None, None, None, "c")
    assert (made.scratch, made.direct_print, made.local) == (True, True, True)


def test_the_schema_makes_the_signature_and_the_celltypes() -> None:
    made = step()
    assert str(made._signature) == "(x, k)"
    assert {p.kind for p in made._signature.parameters.values()} == {inspect.Parameter.POSITIONAL_OR_KEYWORD}
    assert dict(made.celltypes.items()) == {"x": "mixed", "k": "mixed", "result": "mixed"}
    assert made.header.startswith("#include <stdint.h>\n")


def test_header_and_language_cannot_be_set() -> None:
    made = step()
    for name in ("header", "language"):
        with pytest.raises(AttributeError):
            setattr(made, name, "c")


def test_schema_and_code_are_read_from_paths_at_once(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(SCHEMA)
    (tmp_path / "k.c").write_text("int transform();\n")
    made = CompiledTransformer("c")
    made.schema, made.code = tmp_path / "s.yaml", tmp_path / "k.c"
    (tmp_path / "k.c").unlink()
    assert (made.schema, made.code) == (SCHEMA, "int transform();\n")


def test_a_mistake_in_a_schema_leaves_the_old_one() -> None:
    made = step()
    with pytest.raises(TypeError, match="schema:2: Unknown scalar dtype"):
        made.schema = "inputs:\n  - {name: x, dtype: int}\n"
    assert made.schema == SCHEMA


@pytest.mark.parametrize("name", ["code", "objects", "result", "__x", "META__x"])
def test_an_input_cannot_have_the_name_of_something_else(name: str) -> None:
    with pytest.raises(TypeError, match="has a name that an input cannot have"):
        CompiledTransformer("c").schema = f"inputs:\n  - {{name: {name}, dtype: int8}}\n"


def test_metavars_are_exactly_the_maxima_of_output_wildcards() -> None:
    made = step()
    assert made.metavars.is_complete
    assert made.metavars.to_dict() == {"maxK": 7}
    for name in ("maxN", "K"):
        with pytest.raises(AttributeError):
            setattr(made.metavars, name, 3)
        with pytest.raises(AttributeError):
            getattr(made.metavars, name)
    made.metavars.maxK = "12"
    assert made.metavars.maxK == 12
    made.schema = SCHEMA.replace("[K]", "[L]")
    assert not made.metavars.is_complete
    assert made.metavars.to_dict() == {}


def test_resources_are_cores_and_outside_the_identity() -> None:
    made = step()
    before = made(np.zeros(1), 2).construct()
    assert made.resources == {}
    made.resources = {"cores": 4}
    assert made.resources == made.meta["resources"] == {"cores": 4}
    assert made(np.zeros(1), 2).construct() == before
    for wrong in ({"cores": 0}, {"cores": "4"}, {"kernels": 4}):
        with pytest.raises(ValueError, match="resources of a compiled step"):
            made.resources = wrong
    made.resources = {}
    assert "resources" not in made.meta


def test_only_the_celltype_of_the_result_can_be_set() -> None:
    made = step()
    made.celltypes.result = "deepcell"
    assert made(np.zeros(1), 2).celltype == "deepcell"
    with pytest.raises(TypeError):
        made.celltypes.result = "plain"
    with pytest.raises(AttributeError):
        made.celltypes.x = "binary"


def test_modules_and_globals_are_refused() -> None:
    for name in ("modules", "globals"):
        with pytest.raises(NotImplementedError):
            getattr(step(), name)


def test_objects_is_a_list_of_compiled_objects() -> None:
    made, item = step(), CompiledObject(language="fortran")
    made.objects.append(item)
    assert (len(made.objects), made.objects[0], list(made.objects)) == (1, item, [item])
    assert (item.language, item.code, item.compilation.compiler) == ("fortran", None, "gfortran")
    with pytest.raises(TypeError):
        made.objects.append("int f();")
    with pytest.raises(AttributeError):
        item.language = "c"


def test_what_is_missing_is_said_at_the_call() -> None:
    made = CompiledTransformer("c")
    with pytest.raises(ValueError, match="compiled transformer schema is not set"):
        made(1)
    made.schema = SCHEMA
    with pytest.raises(ValueError, match="compiled transformer code is not set"):
        made(1)
    made.code = "int transform();"
    with pytest.raises(ValueError, match=r"compiled transformer metavars are incomplete: \['maxK'\]"):
        made(1)
    made.metavars.maxK = 3
    made.objects.append(CompiledObject(language="c"))
    with pytest.raises(ValueError, match="Compiled object 'obj0' has no code"):
        made(1)


def test_arguments_bind_as_those_of_a_function() -> None:
    with pytest.raises(TypeError, match="missing a required argument: 'k'"):
        step()(np.zeros(2))
    with pytest.raises(TypeError, match="too many positional arguments"):
        step()(np.zeros(2), 1, 2)
    made = step()
    made.args.k = 4
    assert made(np.zeros(2)).construct() == step()(np.zeros(2), 4).construct()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.zeros(2, "f4"), "Input 'x' dtype is float32, expected float64"),
        (np.zeros(2, ">f8"), "Input 'x' dtype is >f8, expected float64; Input 'x' must have native byte order"),
        ([[1.0], [2.0, 3.0]], "Input 'x' must be a numpy array, or a regular list"),
        (["a"], "Input 'x' must be a numpy array, or a regular list"),
    ],
)
def test_an_array_of_another_dtype_is_refused_at_the_call(value: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        step()(value, 3)


def test_a_numpy_scalar_of_another_dtype_is_refused_at_the_call() -> None:
    with pytest.raises(TypeError, match="Input 'k' dtype is int64, expected int32"):
        step()(np.zeros(2), np.int64(3))


def test_a_list_becomes_an_array_of_the_dtype() -> None:
    assert step()([1, 2], 3).construct() == step()(np.array([1.0, 2.0]), 3).construct()
    made = step()
    made.schema = "inputs: [{name: x, dtype: int8, shape: [N]}]"
    with pytest.raises(OverflowError, match="Input 'x' has 300, which does not fit int8"):
        made([300])


def test_checksums_are_not_looked_at_before_construction() -> None:
    handle = step()(Checksum("a" * 64), 3)
    assert handle.construct() is not None


def test_the_identity_has_schema_code_and_objects_and_nothing_about_building() -> None:
    made = step()
    before = made(np.zeros(2), 3).construct()
    made.compilation.options = ["-O0"]
    made.compilation.target = "debug"
    made.metavars.maxK = 1000
    assert made(np.zeros(2), 3).construct() == before
    item = CompiledObject(language="c")
    item.code = "int f();"
    made.objects.append(item)
    handle = made(np.zeros(2), 3)
    assert handle.construct() != before
    identity = handle.transformation_checksum.resolve().get_value("plain")
    assert set(identity) == {"__language__", "__output__", "__schema__", "code", "objects", "x", "k"}
    assert Checksum(identity["objects"][2]).resolve("plain") == {
        "obj0": {"name": "obj0", "language": "c", "code": "int f();"}
    }


def test_a_changed_object_changes_the_identity() -> None:
    made, item = step(), CompiledObject(language="c")
    item.code = "int f();"
    made.objects.append(item)
    before = made(np.zeros(2), 3).construct()
    item.code = "int g();"
    assert made(np.zeros(2), 3).construct() != before


def test_the_envelope_says_how_to_build() -> None:
    made = step()
    made.compilation.options = ["-O1"]
    handle = made(np.zeros(2), 3)
    handle.construct()
    stored = Checksum(handle._tf_dict["__compilation__"]).resolve("plain")
    assert stored["main"]["options"] == ["-O1"]
    assert stored["objects"] == {}
    assert Checksum(handle._tf_dict["__header__"]).resolve("text") == made.header.rstrip("\n")
    assert handle.meta["metavars"] == {"maxK": 7}
    assert handle._definition.envelope.pins["__compiled__"] is True


def test_direct_and_delayed_convert_and_copy() -> None:
    made = step()
    converted = direct(made)
    assert isinstance(converted, DirectCompiledTransformer)
    assert isinstance(converted, DirectTransformer)
    converted.metavars.maxK = 99
    converted.compilation.options.append("-x")
    assert made.metavars.maxK == 7
    assert "-x" not in made.compilation.options
    back = delayed(converted)
    assert type(back) is CompiledTransformer
    assert back(np.zeros(2), 3).construct() == made(np.zeros(2), 3).construct()
