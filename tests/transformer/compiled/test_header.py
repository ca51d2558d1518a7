"""The generated header: its exact bytes, and that what it declares is what numpy makes."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seamless.transformer.compiled.header import generate_header, struct_name, struct_paths
from seamless.transformer.compiled.schema import SCALARS, Signature
from seamless.transformer.compiled.values import numpy_dtype, stored_dtype

HEADER = """#include <stdint.h>
#include <stdbool.h>

typedef struct {
    float x[2][3];
} PAInNerStruct;

typedef struct {
    PAInNerStruct in_ner[2];
    char k;
} PAStruct;

typedef PAStruct PAStruct_3[3];

typedef _Complex double complex128_2[2];

typedef double float64_3x4[3][4];

int transform(
    unsigned int N,
    unsigned int maxK,
    const PAStruct_3 *p_a,
    const complex128_2 *c,
    uint8_t u,
    unsigned int *K,
    float64_3x4 *r,
    bool *s
);
"""


def test_a_header_has_every_type_once_and_in_the_order_of_need() -> None:
    inner = {"fields": [{"name": "x", "dtype": "float32", "shape": [2, 3]}]}
    outer = {"fields": [{"name": "in_ner", "dtype": inner, "shape": [2]}, {"name": "k", "dtype": "char"}]}
    signature = Signature.from_dict(
        {
            "inputs": [
                {"name": "p_a", "dtype": outer, "shape": ["N", 3]},
                {"name": "c", "dtype": "complex128", "shape": [2]},
                {"name": "u", "dtype": "uint8"},
            ],
            "outputs": [
                {"name": "r", "dtype": "float64", "shape": ["K", "N", 3, 4]},
                {"name": "s", "dtype": "bool"},
            ],
        }
    )
    assert generate_header(signature) == HEADER


def test_the_header_of_no_parameters_declares_the_function() -> None:
    expected = "#include <stdint.h>\n#include <stdbool.h>\n\nint transform(\n);\n"
    assert generate_header(Signature()) == expected


def test_the_case_of_field_names_is_folded_in_the_name_of_a_struct() -> None:
    fields = {"fields": [{"name": "x", "dtype": "int8"}]}
    assert "} AxbStruct;" in generate_header(Signature.from_dict({"inputs": [{"name": "aXB", "dtype": fields}]}))


def test_an_element_type_is_defined_once() -> None:
    both = [{"name": name, "dtype": "float64", "shape": ["N", 3]} for name in "ab"]
    assert generate_header(Signature.from_dict({"inputs": both})).count("typedef double float64_3[3];") == 1


def random_struct(source: random.Random, depth: int = 0) -> dict[str, Any]:
    fields = []
    for i in range(source.randint(1, 4)):
        kind = random_struct(source, depth + 1) if depth < 2 and source.random() < 0.3 else source.choice(list(SCALARS))
        shape = [source.randint(1, 4) for _ in range(source.choice([0, 0, 1, 2]))]
        fields.append({"name": f"f{i}", "dtype": kind} | ({"shape": shape} if shape else {}))
    return {"fields": fields}


def test_numpy_lays_out_every_struct_as_c_does(tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("c")
    source = random.Random(3)
    parameters = [{"name": f"p{i}", "dtype": random_struct(source)} for i in range(60)]
    signature = Signature.from_dict({"inputs": parameters})
    lines = ["#include <stddef.h>", generate_header(signature)]
    for path, struct in struct_paths(signature):
        name = struct_name(path)
        for layout in (numpy_dtype(struct), stored_dtype(struct)):
            lines.append(f'_Static_assert(sizeof({name}) == {layout.itemsize}, "{name}");')
            for item in struct.fields:
                offset = layout.fields[item.name][1]
                lines.append(f'_Static_assert(offsetof({name}, {item.name}) == {offset}, "{name}.{item.name}");')
    (tmp_path / "layout.c").write_text("\n".join(lines))
    command = ["gcc", "-fsyntax-only", "layout.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
