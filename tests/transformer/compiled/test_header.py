"""The generated header: its exact bytes."""

from __future__ import annotations

from seamless.transformer.compiled.header import generate_header
from seamless.transformer.compiled.schema import Signature

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
