"""Skeletons: each compiles as it is, and is called with the right arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from seamless.transformer.compiled.schema import parse_schema
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


@pytest.mark.parametrize("language", ["c", "cpp", "fortran", "rust"])
def test_a_skeleton_compiles_and_returns_nothing(language: str, step: Callable[..., Any]) -> None:
    schema = SCHEMA if language != "cpp" else SCHEMA.replace("complex128", "float64")
    made = step(language, schema, stub_text(parse_schema(schema), language))
    made.metavars.maxK = 5
    result = made(np.zeros((2, 3)), 3, BODY).run()
    assert result["r"].shape == (0, 2)


def test_the_arguments_of_rust_follow_the_header() -> None:
    text = stub_text(parse_schema(SCHEMA), "rust")
    assert "    N: u32,\n    maxK: u32,\n    x: *const [f64; 3],\n    count: i32,\n    body: BodyStruct,\n" in text


def test_the_dimensions_of_fortran_are_reversed() -> None:
    assert "intent(in) :: x(3, N)" in stub_text(parse_schema(SCHEMA), "fortran")


def test_names_that_fortran_cannot_tell_apart_are_refused() -> None:
    schema = "inputs: [{name: x, dtype: int8, shape: [K]}, {name: k, dtype: int8}]"
    with pytest.raises(ValueError, match="Fortran does not tell 'K' from 'k'"):
        stub_text(parse_schema(schema), "fortran")


def test_a_language_without_a_skeleton_is_refused() -> None:
    with pytest.raises(ValueError, match="no skeleton for language 'go'"):
        stub_text(parse_schema(SCHEMA), "go")
