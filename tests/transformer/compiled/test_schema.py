"""The schema: what is accepted, and which mistake is reported where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seamless.transformer.compiled.schema import (
    Parameter,
    ScalarDType,
    Signature,
    StructDType,
    StructField,
    load_signature,
    parse_dtype,
    parse_schema,
)


def one(**entry: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "a", "dtype": "int32"} | entry]}


def test_a_schema_gives_its_parameters_and_wildcards() -> None:
    signature = parse_schema(
        "inputs:\n  - {name: x, dtype: float64, shape: [N, M, 3]}\n  - {name: k, dtype: int32}\n"
        "outputs:\n  - {name: r, dtype: float32, shape: [K, N]}\n"
    )
    assert [p.name for p in signature.inputs] == ["x", "k"]
    assert signature.inputs[0].element_shape == (3,)
    assert signature.inputs[0].wildcard_dims == ("N", "M")
    assert signature.input_wildcards == ("N", "M")
    assert signature.output_wildcards == ("K",)
    assert signature.wildcard_names == ("N", "M", "K")


def test_a_struct_is_parsed_with_its_inner_structs() -> None:
    inner = {"fields": [{"name": "x", "dtype": "int8", "shape": [2]}]}
    assert parse_dtype({"fields": [{"name": "i", "dtype": inner}]}) == StructDType(
        (StructField("i", StructDType((StructField("x", ScalarDType("int8"), (2,)),))),)
    )


def test_a_schema_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("inputs:\n- {name: a, dtype: int8}\n")
    assert load_signature(tmp_path / "s.yaml").inputs == (Parameter("a", ScalarDType("int8")),)


def test_an_empty_mapping_has_no_parameters() -> None:
    assert Signature.from_dict({}) == Signature()


def test_a_function_name_is_ignored_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="function_name"):
        assert Signature.from_dict({"function_name": "transform"}) == Signature()


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ([], "Signature document must be a mapping"),
        ({"input": []}, r"Unknown signature keys: \['input'\]"),
        ({"inputs": {}}, "'inputs' must be a list"),
        ({"outputs": None}, "'outputs' must be a list"),
        ({"inputs": [3]}, "Parameter entry must be a mapping"),
        ({"inputs": [{"dtype": "int8"}]}, "Parameter is missing required key 'name'"),
        ({"inputs": [{"name": "a"}]}, "Parameter 'a' is missing required key 'dtype'"),
        (one(name="1a"), "Parameter name must be a valid C identifier: '1a'"),
        (one(name="a\n"), "Parameter name must be a valid C identifier"),
        (one(name="é"), "Parameter name must be a valid C identifier"),
        (one(dtype="int"), "Unknown scalar dtype: 'int'"),
        (one(dtype=7), "Dtype must be a scalar dtype name or a mapping with 'fields'"),
        (one(dtype={}), "Dtype mapping must contain a 'fields' list"),
        (one(dtype={"fields": 3}), "Dtype mapping must contain a 'fields' list"),
        (one(dtype={"fields": [], "x": 1}), r"Unknown structured dtype keys: \['x'\]"),
        (one(dtype={"fields": []}), "Structured dtype requires a non-empty 'fields' list"),
        (one(dtype={"fields": [3]}), "Struct field entry must be a mapping"),
        (one(dtype={"fields": [{"dtype": "int8"}]}), "Struct field is missing required key 'name'"),
        (one(dtype={"fields": [{"name": "x"}]}), "Struct field 'x' is missing required key 'dtype'"),
        (
            one(dtype={"fields": [{"name": "x", "dtype": "int8", "shape": ["N"]}]}),
            "Struct field 'x' shape entries must be positive integers",
        ),
        (one(dtype={"fields": [{"name": "x", "dtype": "int8"}] * 2}), "Struct field 'x' is there twice"),
        (one(shape=3), "Parameter 'a' shape must be a list"),
        (one(shape=[]), "Parameter 'a' shape must not be empty"),
        (
            one(shape=[0]),
            "Parameter 'a' shape entries must be positive integers or valid wildcard dimension names",
        ),
        (one(shape=[True]), "shape entries must be positive integers"),
        (one(shape=[2, "N"]), "Parameter 'a' has fixed dimensions before wildcard dimensions"),
        (one(unit="m"), "Parameter 'a' has an unexpected keyword 'unit'"),
    ],
)
def test_a_mistake_is_a_type_error_that_says_what_is_wrong(document: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        Signature.from_dict(document)


A, B = {"name": "a", "dtype": "int8"}, {"name": "b", "dtype": "int8", "shape": ["N"]}


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"inputs": [A], "outputs": [A]}, "Parameter 'a' has the name of another parameter"),
        (one(name="int"), "keyword or type of C: 'int'"),
        (one(name="int32_t"), "keyword or type of C"),
        (one(name="lambda"), "keyword of Python: 'lambda'"),
        (one(shape=["while"]), "keyword or type of C as wildcard dimension: 'while'"),
        ({"inputs": [{**B, "name": "N"}]}, "Parameter 'N' has the name of the wildcard 'N'"),
        ({"inputs": [{**A, "name": "maxN"}], "outputs": [B]}, "has the name of the maximum of wildcard 'N'"),
        ({"inputs": [{**A, "shape": ["maxN"]}], "outputs": [B]}, "The maximum of wildcard 'N' is called like"),
        (
            {
                "inputs": [
                    {"name": "a_b", "dtype": {"fields": [A]}},
                    {"name": "a", "dtype": {"fields": [{"name": "b", "dtype": {"fields": [A]}}]}},
                ]
            },
            "'a_b' and 'a.b' give two structs of one name: 'ABStruct'",
        ),
        ({"inputs": [{**A, "shape": [3]}, {**A, "name": "int8_3"}]}, "has the name of the type 'int8_3'"),
    ],
)
def test_names_that_c_cannot_tell_apart_are_refused(document: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        Signature.from_dict(document)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("inputs:\n  - name: a\n    dtype: int33\n", "s.yaml:3: Unknown scalar dtype"),
        ("inputs:\n  - name: a\n    dtype: int32\n    shape: []\n", "s.yaml:4: Parameter 'a' shape"),
        ("inputs: []\noutput: []\n", "s.yaml:2: Unknown signature keys"),
        ("inputs:\n  - name: a\n    name: b\n    dtype: int8\n", "s.yaml:3: this is not YAML: the key 'name'"),
        ("inputs: [\n", "s.yaml:2: this is not YAML"),
        ("inputs:\n- {name: a, dtype: int8}\n- {name: a, dtype: int8}\n", "s.yaml:3: Parameter 'a' has the name"),
        ("inputs:\n- name: no\n  dtype: int8\n", "s.yaml:2: .*quote it"),
        ("inputs: !!python/object:os.system {}\n", "s.yaml:1: this is not YAML"),
        ('inputs: !!int ""\n', "s.yaml: this is not YAML: a value does not fit its tag"),
        ("? [a]\n: b\n", "s.yaml: this is not YAML: .*no key"),
        ("[" * 100_000, "s.yaml: this is not YAML: it is nested too deeply"),
    ],
)
def test_a_mistake_in_a_text_has_file_and_line(text: str, place: str) -> None:
    with pytest.raises(TypeError, match=place):
        parse_schema(text, "s.yaml")


def test_anchors_and_merge_keys_work() -> None:
    text = "inputs:\n- &p {name: a, dtype: int8}\n- {<<: *p, name: b}\n"
    assert [p.name for p in parse_schema(text).inputs] == ["a", "b"]


def test_a_scalar_has_no_shape() -> None:
    (scalar, array) = Signature.from_dict(
        {"inputs": [{"name": "a", "dtype": "int32"}, {"name": "b", "dtype": "int32", "shape": ["N", 3]}], "outputs": []}
    ).inputs
    assert (scalar.shape, scalar.dims, scalar.wildcard_dims, scalar.element_shape) == (None, (), (), ())
    assert (array.shape, array.dims, array.wildcard_dims, array.element_shape) == (("N", 3), ("N", 3), ("N",), (3,))
