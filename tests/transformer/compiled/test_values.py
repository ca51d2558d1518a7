"""Values that go in and come out in a form of their own: complex numbers in structs, truth values, dimensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from seamless import Checksum
from seamless.transformer.compiled.schema import StructDType, parse_dtype
from seamless.transformer.compiled.values import numpy_dtype, stored_dtype

Step = Callable[..., Any]

WAVE = {
    "fields": [
        {"name": "k", "dtype": "int8"},
        {"name": "z", "dtype": "complex64"},
        {"name": "in", "dtype": {"fields": [{"name": "w", "dtype": "complex128", "shape": [2]}]}, "shape": [3]},
    ]
}
WAVES = np.dtype([("k", "i1"), ("z", "c8"), ("in", np.dtype([("w", "c16", (2,))], align=True), (3,))], align=True)
PAIRS = np.dtype(
    [("k", "i1"), ("z", "f4", (2,)), ("in", np.dtype([("w", "f8", (2, 2))], align=True), (3,))], align=True
)


def test_a_struct_with_complex_numbers_is_stored_in_the_same_memory_by_parts() -> None:
    dtype = parse_dtype(WAVE)
    assert isinstance(dtype, StructDType)
    assert numpy_dtype(dtype) == WAVES
    stored = stored_dtype(dtype)
    assert stored == PAIRS
    assert stored.itemsize == WAVES.itemsize
    assert {name: stored.fields[name][1] for name in stored.names} == {n: WAVES.fields[n][1] for n in WAVES.names}


STRUCTS = """\
inputs:
  - &wave
    name: one
    dtype:
      fields:
        - {name: k, dtype: int8}
        - {name: z, dtype: complex64}
        - {name: in, dtype: {fields: [{name: w, dtype: complex128, shape: [2]}]}, shape: [3]}
  - {<<: *wave, name: many, shape: [N]}
outputs:
  - {<<: *wave, name: first}
  - {<<: *wave, name: all, shape: [N]}
""".replace("name: in", "name: inner")
CODE = """\
#include "transformer.h"
int transform(unsigned N, OneStruct one, const ManyStruct *many, FirstStruct *first, AllStruct *all) {
    first->k = one.k;
    first->z = one.z * one.z;
    for (unsigned i = 0; i < N; i++) all[i].inner[2].w[1] = -many[i].inner[2].w[1];
    return 0;
}
"""


@pytest.mark.parametrize("given_by_parts", [False, True])
def test_structs_with_complex_numbers_go_in_and_come_out(given_by_parts: bool, step: Step) -> None:
    inner = np.dtype([("w", "c16", (2,))], align=True)
    whole = np.dtype([("k", "i1"), ("z", "c8"), ("inner", inner, (3,))], align=True)
    one, many = np.zeros((), whole), np.zeros(2, whole)
    one["k"], one["z"] = 7, 1 + 2j
    many["inner"]["w"][:, 2, 1] = [3j, 4]
    made = step("c", STRUCTS, CODE)
    if given_by_parts:
        parts = stored_dtype(made._signature_.inputs[0].dtype)
        result = made(one.view(parts)[()], many.view(parts)).run()
    else:
        result = made(one[()], many).run()
    assert result["first"]["k"] == 7
    assert result["first"]["z"].tolist() == [-3, 4]
    assert result["all"].view(whole)["inner"]["w"][:, 2, 1].tolist() == [-3j, -4]


def test_both_ways_to_give_complex_numbers_are_one_step(step: Step) -> None:
    made = step("c", "inputs: [{name: z, dtype: {fields: [{name: x, dtype: complex64}]}, shape: [N]}]", "")
    whole = np.array([(1 + 2j,)], np.dtype([("x", "c8")], align=True))
    parts = np.array([([1, 2],)], np.dtype([("x", "f4", (2,))], align=True))
    assert made(whole).construct() == made(parts).construct()


def test_a_struct_that_is_aligned_by_chance_is_accepted(step: Step) -> None:
    schema = "inputs: [{name: p, dtype: {fields: [{name: x, dtype: int32}, {name: y, dtype: int32}]}}]\n" + (
        "outputs: [{name: r, dtype: int32}]"
    )
    code = '#include "transformer.h"\nint transform(PStruct p, int *r) { *r = p.x - p.y; return 0; }'
    made = step("c", schema, code)
    packed = np.array((5, 2), [("x", "i4"), ("y", "i4")])
    assert made(packed[()]).run() == 3
    assert made(packed[()]).construct() == made(packed.astype(np.dtype(packed.dtype, align=True))[()]).construct()


def test_a_packed_struct_with_another_layout_is_refused(step: Step) -> None:
    made = step("c", "inputs: [{name: p, dtype: {fields: [{name: k, dtype: int8}, {name: x, dtype: int32}]}}]", "")
    with pytest.raises(TypeError, match="Input 'p' dtype is"):
        made(np.array((5, 2), [("k", "i1"), ("x", "i4")])[()])


def test_a_truth_value_is_stored_as_zero_or_one_whatever_byte_was_written(step: Step) -> None:
    schema = "inputs: [{name: byte, dtype: uint8}]\noutputs:\n  - {name: r, dtype: bool, shape: [2]}\n" + (
        "  - {name: s, dtype: {fields: [{name: t, dtype: bool}]}}\n  - {name: u, dtype: bool}\n"
    )
    code = "int transform(unsigned char b, unsigned char *r, unsigned char *s, unsigned char *u) " + (
        "{ r[1] = *s = *u = b; return 0; }"
    )
    made = step("c", schema, code)
    ours, theirs = (made(byte).compute() for byte in (2, 1))
    assert ours == theirs
    assert made(2).run()["r"].tolist() == [False, True]


def test_dimensions_of_inputs_and_of_outputs_only_meet_in_one_output(step: Step) -> None:
    schema = """\
inputs: [{name: x, dtype: int32, shape: [N]}, {name: y, dtype: int32, shape: [N, M]}]
outputs: [{name: r, dtype: int32, shape: [K, N, L, 2]}, {name: s, dtype: int32, shape: [L]}]
"""
    code = """\
#include "transformer.h"
int transform(unsigned N, unsigned M, unsigned maxK, unsigned maxL, const int32_t *x, const int32_t *y,
              unsigned *K, unsigned *L, int32_2 *r, int32_t *s) {
    *K = 2; *L = 3;
    for (unsigned k = 0; k < 2; k++)
        for (unsigned n = 0; n < N; n++)
            for (unsigned l = 0; l < 3; l++)
                r[(k * N + n) * maxL + l][1] = 100 * k + 10 * x[n] + l + y[n * M];
    s[2] = M;
    return 0;
}
"""
    made = step("c", schema, code)
    results = set()
    for made.metavars.maxK, made.metavars.maxL in ((2, 3), (5, 9)):
        result = made([1, 2], [[0, 7, 7, 7], [0, 7, 7, 7]]).run()
        assert result["r"].shape == (2, 2, 3, 2)
        assert result["r"][1, :, :, 1].tolist() == [[110, 111, 112], [120, 121, 122]]
        assert result["s"].tolist() == [0, 0, 4]
        results.add(made([1, 2], [[0, 7, 7, 7], [0, 7, 7, 7]]).compute().hex())
    assert len(results) == 1


def test_a_single_output_of_celltype_deepcell_is_stored_by_itself(step: Step) -> None:
    made = step("c", "outputs: [{name: r, dtype: int32}]", "int transform(int *r) { *r = 5; return 0; }")
    made.celltypes.result = "deepcell"
    assert Checksum(made().run()).resolve("mixed") == 5


def test_openmp_takes_as_many_threads_as_the_step_has_cores(step: Step) -> None:
    code = "#include <omp.h>\nint transform(int a, int *r) { *r = omp_get_max_threads(); return 0; }"
    made = step("c", "inputs: [{name: a, dtype: int32}]\noutputs: [{name: r, dtype: int32}]", code)
    for number, cores in enumerate((3, 1, 3)):
        made.resources = {"cores": cores}
        assert made(number).run() == cores
