"""Skeletons: each compiles as it is, and is called with the right arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from seamless.transformer.compiled.schema import SCALARS, parse_schema
from seamless.transformer.compiled.stub import stub_text

SCHEMA = """\
inputs:
  - {name: x, dtype: float64, shape: [N, 3]}
  - {name: count, dtype: int32}
  - name: body
    dtype: {fields: [{name: flag, dtype: int8}, {name: at, dtype: float64, shape: [2]}]}
outputs:
  - {name: r, dtype: float32, shape: [K, 2]}
  - {name: s, dtype: complex128}
"""
BODY = np.zeros((), np.dtype([("flag", "i1"), ("at", "f8", (2,))], align=True))[()]


LANGUAGES = ["c", "cpp", "fortran", "rust", "go"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_skeleton_compiles_and_returns_nothing(language: str, step: Callable[..., Any]) -> None:
    made = step(language, SCHEMA, stub_text(parse_schema(SCHEMA), language))
    made.metavars.maxK = 5
    result = made(np.zeros((2, 3)), 3, BODY).run()
    assert result["r"].shape == (0, 2)


# How a value is copied from argument `a_...` to argument `r_...`, and where that belongs.
COPY = {
    "c": ("    *r_{0} = a_{0};\n", "    return 0;"),
    "cpp": ("    *r_{0} = a_{0};\n", "    return 0;"),
    "fortran": ("  r_{0} = a_{0}\n", "  transform = 0"),
    "rust": ("    *r_{0} = a_{0};\n", "    0\n}"),
    "go": ("\t*r_{0} = a_{0}\n", "\treturn 0"),
}
VALUES: dict[str, Any] = {"float32": 0.5, "float64": 0.1, "bool": True, "char": b"x"}
VALUES |= {"complex64": 1.5 - 2j, "complex128": -0.1 + 3j}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_skeleton_gets_and_returns_scalars_of_every_dtype(language: str, step: Callable[..., Any]) -> None:
    def parameters(prefix: str) -> str:
        return "".join(f"  - {{name: {prefix}_{name}, dtype: {name}}}\n" for name in SCALARS)

    schema = f"inputs:\n{parameters('a')}outputs:\n{parameters('r')}"
    copy, end = COPY[language]
    code = stub_text(parse_schema(schema), language)
    assert code.count(end) == 1
    code = code.replace(end, "".join(copy.format(name) for name in SCALARS) + end)
    values = {name: VALUES.get(name, i + 1) for i, name in enumerate(SCALARS)}
    result = step(language, schema, code)(*values.values()).run()
    for name, value in values.items():
        found = result[f"r_{name}"]
        if name.startswith("complex"):
            found = complex(*found)
        assert (bytes(found) if name == "char" else found) == value, name


def test_the_arguments_of_rust_follow_the_header() -> None:
    text = stub_text(parse_schema(SCHEMA), "rust")
    assert "    N: u32,\n    maxK: u32,\n    x: *const [f64; 3],\n    count: i32,\n    body: BodyStruct,\n" in text


def test_the_dimensions_of_fortran_are_reversed() -> None:
    assert "intent(in) :: x(3, N)" in stub_text(parse_schema(SCHEMA), "fortran")


def test_names_that_fortran_cannot_tell_apart_are_refused() -> None:
    schema = "inputs: [{name: x, dtype: int8, shape: [K]}, {name: k, dtype: int8}]"
    with pytest.raises(ValueError, match="Fortran does not tell 'K' from 'k'"):
        stub_text(parse_schema(schema), "fortran")


@pytest.mark.parametrize(
    ("language", "name", "text"),
    [
        ("cpp", "new", "'new' is a keyword of language 'cpp'"),
        ("rust", "type", "'type' is a keyword of language 'rust'"),
        ("go", "range", "'range' is a keyword of language 'go'"),
        ("fortran", "_x", "'_x' is no name in Fortran"),
        ("fortran", "Transform", "'Transform' is the name of the function"),
    ],
)
def test_a_name_that_the_language_does_not_allow_is_refused(language: str, name: str, text: str) -> None:
    schema = f"inputs: [{{name: a, dtype: {{fields: [{{name: {name}, dtype: int8}}]}}}}]"
    if name == "Transform":
        schema = f"inputs: [{{name: {name}, dtype: int8}}]"
    with pytest.raises(ValueError, match=text):
        stub_text(parse_schema(schema), language)


def test_the_lines_of_fortran_are_not_too_long(step: Callable[..., Any]) -> None:
    names = [f"{'long_name_' * 5}{i:02}" for i in range(40)]
    schema = "inputs:\n" + "".join(f"  - {{name: {name}, dtype: complex128, shape: [Many, 3]}}\n" for name in names)
    code = stub_text(parse_schema(schema), "fortran")
    assert max(map(len, code.splitlines())) <= 132
    assert "error" not in step("fortran", schema, code).build()


def test_a_language_without_a_skeleton_is_refused() -> None:
    with pytest.raises(ValueError, match="no skeleton for language 'zig'"):
        stub_text(parse_schema(SCHEMA), "zig")
