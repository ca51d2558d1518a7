"""Execution: what real compilers make of inputs and outputs, and what is said when it goes wrong."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seamless import Checksum
from seamless.errors import TransformationError
from seamless.transformer import CompiledObject, direct
from seamless.transformer.languages import define_compiled_language

Step = Callable[..., Any]

ADD = "inputs: [{name: a, dtype: int32}, {name: b, dtype: int32}]\noutputs: [{name: result, dtype: int32}]\n"
ADDERS = {
    "c": '#include "transformer.h"\nint transform(int32_t a, int32_t b, int32_t *r) { *r = a + b; return 0; }\n',
    "cpp": '#include <cstdint>\nextern "C" int transform(int32_t a, int32_t b, int32_t *r) { *r = a + b; return 0; }\n',
    "fortran": """\
integer(c_int) function transform(a, b, r) bind(C, name='transform')
  use iso_c_binding
  implicit none
  integer(c_int32_t), value :: a, b
  integer(c_int32_t) :: r
  r = a + b
  transform = 0
end function
""",
    "rust": """\
#[no_mangle]
pub unsafe extern "C" fn transform(a: i32, b: i32, r: *mut i32) -> i32 { *r = a.wrapping_add(b); 0 }
""",
    "go": """\
package main

// #include <stdint.h>
import "C"

//export transform
func transform(a C.int32_t, b C.int32_t, r *C.int32_t) C.int { *r = a + b; return 0 }

func main() {}
""",
}


def failure(handle: Any) -> str:
    assert handle.compute() is None
    text: str = handle.exception
    return text


def run_anew(handle: Any) -> Any:
    """Execute a step, whether or not its result is known."""
    from seamless.transformer import runner

    runner.forget(handle.construct())
    return handle.run()


@pytest.mark.parametrize("language", sorted(ADDERS))
def test_every_language_adds(language: str, step: Step) -> None:
    assert step(language, ADD, ADDERS[language])(2, 3).run() == 5


@pytest.mark.parametrize(
    ("dtype", "c_type", "value"),
    [
        *((f"{s}int{b}", f"{s}int{b}_t", 2 ** (b - 1) - 1) for s in ("", "u") for b in (8, 16, 32, 64)),
        ("uint64", "uint64_t", 2**64 - 1),
        ("float32", "float", 0.5),
        ("float64", "double", 0.1),
        ("bool", "_Bool", True),
        ("char", "char", b"x"),
    ],
)
def test_a_scalar_of_every_dtype_goes_in_and_comes_out(dtype: str, c_type: str, value: Any, step: Step) -> None:
    schema = f"inputs: [{{name: a, dtype: {dtype}}}]\noutputs: [{{name: r, dtype: {dtype}}}]"
    code = f"#include <stdint.h>\nint transform({c_type} a, {c_type} *r) {{ *r = a; return 0; }}"
    result = step("c", schema, code)(value).run()
    assert bytes(result) == value if dtype == "char" else (result, type(result)) == (value, type(value))


def test_a_float32_is_widened(step: Step) -> None:
    schema = "inputs: [{name: a, dtype: float32}]\noutputs: [{name: r, dtype: float32}]"
    assert step("c", schema, "int transform(float a, float *r) { *r = a; return 0; }")(0.1).run() == 0.10000000149011612


ECHO = "inputs: [{name: x, dtype: %s, shape: [N, 2]}]\noutputs: [{name: r, dtype: %s, shape: [N, 2]}]"
ECHO_CODE = '#include "transformer.h"\n#include <string.h>\n' + (
    "int transform(unsigned int N, const %s *x, %s *r) { memcpy(r, x, N * sizeof *x); return 0; }"
)


@pytest.mark.parametrize("make", [np.asarray, np.asfortranarray, lambda a: np.repeat(a, 2, axis=0)[::2]])
def test_any_memory_order_arrives_in_that_of_c(make: Callable[[Any], Any], step: Step) -> None:
    x = np.arange(6.0).reshape(3, 2)
    made = step("c", ECHO % ("float64", "float64"), ECHO_CODE % ("float64_2", "float64_2"))
    np.testing.assert_array_equal(made(make(x)).run(), x)


def test_an_array_without_elements_is_an_array(step: Step) -> None:
    made = step("c", ECHO % ("int8", "int8"), ECHO_CODE % ("int8_2", "int8_2"))
    assert made(np.zeros((0, 2), "i1")).run().shape == (0, 2)


def test_characters_are_given_as_bytes_or_as_an_array(step: Step) -> None:
    schema = "inputs: [{name: s, dtype: char, shape: [N]}]\noutputs: [{name: r, dtype: char, shape: [N]}]"
    code = (
        "int transform(unsigned N, const char *s, char *r) { for (int i = 0; i < N; i++) r[i] = s[N-1-i]; return 0; }"
    )
    made = step("c", schema, code)
    assert made(b"abc").run().tobytes() == b"cba"
    assert made(np.array([b"a", b"b"])).run().tolist() == [b"b", b"a"]


def test_complex_numbers_are_stored_by_parts(step: Step) -> None:
    schema = """\
inputs: [{name: x, dtype: complex128, shape: [N]}, {name: f, dtype: complex64}]
outputs: [{name: r, dtype: complex128, shape: [N]}, {name: s, dtype: complex64}]
"""
    code = """\
#include <complex.h>
int transform(unsigned N, const double complex *x, float complex f, double complex *r, float complex *s) {
    for (int i = 0; i < N; i++) r[i] = x[i] * f;
    *s = conjf(f);
    return 0;
}
"""
    result = step("c", schema, code)(np.array([1 + 2j, 3j]), 2j).run()
    assert result["r"].view(complex).ravel().tolist() == [-4 + 2j, -6]
    assert result["s"].tolist() == [0, -2]


POINT = np.dtype([("k", "i1"), ("p", [("x", "f4"), ("y", "f8", (2,))])], align=True)
POINT = np.dtype([("k", "i1"), ("p", np.dtype([("x", "f4"), ("y", "f8", (2,))], align=True))], align=True)
POINT_SCHEMA = """\
inputs:
  - &point
    name: one
    dtype:
      fields:
        - {name: k, dtype: int8}
        - name: p
          dtype: {fields: [{name: x, dtype: float32}, {name: y, dtype: float64, shape: [2]}]}
  - {<<: *point, name: many, shape: [N]}
outputs:
  - {<<: *point, name: first}
  - {<<: *point, name: all, shape: [N]}
"""
POINT_CODE = """\
#include "transformer.h"
int transform(unsigned N, OneStruct one, const ManyStruct *many, FirstStruct *first, AllStruct *all) {
    first->k = one.k + 1;
    first->p.x = one.p.x;
    first->p.y[1] = one.p.y[0];
    for (unsigned i = 0; i < N; i++) {
        all[i].k = many[i].k;
        all[i].p.y[0] = many[i].p.y[1] * 2;
    }
    return 0;
}
"""


def test_structs_go_in_by_value_and_by_pointer(step: Step) -> None:
    one, many = np.zeros((), POINT), np.zeros(3, POINT)
    one["k"], one["p"]["x"], one["p"]["y"] = 4, 0.5, (6, 7)
    many["k"], many["p"]["y"][:, 1] = [1, 2, 3], [10, 20, 30]
    result = step("c", POINT_SCHEMA, POINT_CODE)(one[()], many).run()
    assert (result["first"]["k"], result["first"]["p"]["x"], result["first"]["p"]["y"].tolist()) == (5, 0.5, [0, 6])
    assert result["all"]["k"].tolist() == [1, 2, 3]
    assert result["all"]["p"]["y"].tolist() == [[20, 0], [40, 0], [60, 0]]


UP_TO = "inputs: [{name: n, dtype: uint32}]\noutputs: [{name: r, dtype: int32, shape: [K, 2]}]\n"
UP_TO_CODE = """\
#include "transformer.h"
int transform(unsigned maxK, uint32_t n, unsigned *K, int32_2 *r) {
    *K = n;
    if (n > 1000) return 7;
    for (unsigned i = 0; i < n && i < maxK; i++) r[i][0] = r[i][1] = i;
    return 0;
}
"""


def test_an_output_is_cut_to_what_was_returned_whatever_the_maximum(step: Step) -> None:
    made = step("c", UP_TO, UP_TO_CODE)
    for made.metavars.maxK in (3, 1000000):
        assert run_anew(made(3)).tolist() == [[0, 0], [1, 1], [2, 2]]


def test_more_than_the_maximum_is_a_failure(step: Step) -> None:
    made = step("c", UP_TO, UP_TO_CODE)
    made.metavars.maxK = 2
    assert "RuntimeError: Wildcard 'K': the compiled code has returned 3, more than maxK=2" in failure(made(3))


def test_a_status_that_is_not_zero_is_a_failure(step: Step) -> None:
    made = step("c", UP_TO, UP_TO_CODE)
    made.metavars.maxK = 2
    handle = made(1001)
    assert "RuntimeError: Compiled transform returned non-zero status 7" in failure(handle)
    assert handle.original_type == "RuntimeError"
    with pytest.raises(TransformationError, match="non-zero status 7"):
        direct(made)(1001)


def test_writing_beyond_an_output_is_noticed(step: Step) -> None:
    code = "int transform(unsigned N, const double *x, double *r) { r[N] = 1; return 0; }"
    made = step(
        "c", "inputs: [{name: x, dtype: float64, shape: [N]}]\noutputs: [{name: r, dtype: float64, shape: [N]}]", code
    )
    assert "has written beyond the end of output 'r'" in failure(made(np.zeros(8)))


def test_what_the_code_does_not_write_is_zero(step: Step) -> None:
    made = step("c", "outputs: [{name: r, dtype: int64, shape: [1000]}]", "int transform(long *r) { return 0; }")
    assert not made().run().any()


def test_no_output_gives_an_empty_dict_and_several_a_dict(step: Step) -> None:
    assert step("c", "inputs: []", "int transform() { return 0; }")().run() == {}
    schema = "outputs: [{name: a, dtype: int8}, {name: b, dtype: int8}]"
    code = "int transform(signed char *a, signed char *b) { *a = 1; *b = 2; return 0; }"
    made = step("c", schema, code)
    assert made().run() == {"a": 1, "b": 2}
    made.celltypes.result = "deepcell"
    stored = made().run()
    assert {name: Checksum(item).resolve("mixed") for name, item in stored.items()} == {"a": 1, "b": 2}
    assert direct(made)() == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (("x", 1), "TypeError: Input 'a' is 'x' (str): an integer is required"),
        ((2.0, 1), "TypeError: Input 'a' is 2.0 (float): an integer is required"),
        ((2**31, 1), "OverflowError: Input 'a' is 2147483648, which does not fit int32"),
        ((None, 1), "TypeError: Input 'a' is None (NoneType): an integer is required"),
    ],
)
def test_a_scalar_that_does_not_fit_is_a_failure(values: tuple[Any, ...], text: str, step: Step) -> None:
    assert text in failure(step("c", ADD, ADDERS["c"])(*values))


@pytest.mark.parametrize(
    ("x", "y", "text"),
    [
        (np.zeros((2, 2)), np.zeros((2, 4)), "Input 'x' has rank 2, expected 1"),
        (np.zeros(2), np.zeros((2, 3)), "Input 'y' dimension 1 is 3, expected 4"),
        (np.zeros(3), np.zeros((4, 4)), "Wildcard 'N' has inconsistent sizes: 3 and 4"),
    ],
)
def test_a_shape_that_does_not_fit_is_a_failure(x: Any, y: Any, text: str, step: Step) -> None:
    schema = "inputs: [{name: x, dtype: float64, shape: [N]}, {name: y, dtype: float64, shape: [N, 4]}]"
    assert text in failure(step("c", schema, "int transform() { return 0; }")(x, y))


# --- objects and building -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("c", "int twice(int a) { return 2 * a; }"),
        ("cpp", '#include <vector>\nextern "C" int twice(int a) { std::vector<int> v(2, a); return v[0] + v.at(1); }'),
        (
            "fortran",
            "integer(c_int) function twice(a) bind(C)\n  use iso_c_binding\n  integer(c_int), value :: a\n"
            "  character(8) :: text\n  write(text, '(i8)') 2 * a\n  read(text, '(i8)') twice\nend function\n",
        ),
        ("rust", '#[no_mangle]\npub extern "C" fn twice(a: i32) -> i32 { vec![a, a].iter().sum() }\n'),
        (
            "go",
            'package main\nimport "C"\n//export twice\nfunc twice(a int32) int32 { return 2 * a }\nfunc main() {}\n',
        ),
    ],
)
@pytest.mark.parametrize("main", ["c", "cpp"])
def test_an_object_of_another_language_is_linked_in(
    main: str, language: str, code: str, step: Step, needs: Callable[..., None]
) -> None:
    needs(language)
    linkage = 'extern "C" ' if main == "cpp" else ""
    declare = f"{linkage}int twice(int);\n{linkage}int transform(int a, int *r) {{ *r = twice(a); return 0; }}\n"
    made = step(main, "inputs: [{name: a, dtype: int32}]\noutputs: [{name: r, dtype: int32}]", declare)
    item = CompiledObject(language=language)
    item.code = code
    made.objects.append(item)
    assert made(21).run() == 42


def test_two_sources_in_rust_share_its_library(step: Step) -> None:
    code = 'extern "C" { fn f(a: i32) -> i32; }\n' + ADDERS["rust"].replace("a.wrapping_add(b)", "f(a) + b")
    made = step("rust", ADD, code)
    made.objects.append(CompiledObject(language="rust"))
    made.objects[0].code = '#[no_mangle]\npub extern "C" fn f(a: i32) -> i32 { vec![a; 10].iter().sum() }\n'
    assert made(2, 3).run() == 23


def test_two_sources_in_go_are_refused(step: Step) -> None:
    made = step("go", ADD, ADDERS["go"])
    made.objects.append(CompiledObject(language="go"))
    made.objects[0].code = 'package main\nimport "C"\nfunc main() {}\n'
    assert "main, obj0 would each bring a runtime of its own" in failure(made(1, 2))


def test_objects_of_five_languages_work_together(step: Step, needs: Callable[..., None]) -> None:
    needs("cpp", "fortran", "rust", "go")
    made = step("c", ADD, "int f(int); int g(int); int h(int); int i(int);\nint transform(int a, int b, int *r) "
                          "{ *r = f(a) + g(b) + h(1) + i(1); return 0; }")  # fmt: skip
    for language, code in (
        ("cpp", '#include <string>\nextern "C" int f(int a) { return std::stoi(std::to_string(a)); }'),
        (
            "fortran",
            "integer(c_int) function g(a) bind(C)\n use iso_c_binding\n integer(c_int), value :: a\n g = 10*a\nend\n",
        ),
        ("rust", '#[no_mangle]\npub extern "C" fn h(a: i32) -> i32 { a * 100 }\n'),
        ("go", 'package main\nimport "C"\n//export i\nfunc i(a int32) int32 { return a * 1000 }\nfunc main() {}\n'),
    ):
        made.objects.append(CompiledObject(language=language))
        made.objects[-1].code = code
    assert made(2, 3).run() == 1132


def test_a_mistake_is_shown_with_the_users_file_and_line(step: Step, tmp_path: Path) -> None:
    kernel = tmp_path / "kernel.c"
    kernel.write_text("int transform(int a, int b, int *r) {\n    *r = a + c;\n    return 0;\n}\n")
    made = step("c", ADD, "")
    made.code = kernel
    text = failure(made(1, 2))
    assert text.startswith("RuntimeError: Compilation failed:\n")
    assert f"{kernel}:2:14: error" in text
    assert "gcc -x c -c -O3" in text
    assert "main.code" not in text


@pytest.mark.parametrize(
    ("language", "code", "place"),
    [
        (
            "cpp",
            'extern "C" int transform(int a, int b, int *r) {\n    *r = a + c;\n    return 0;\n}\n',
            ":2:14: error",
        ),
        ("fortran", "function transform(a) bind(C)\n  use iso_c_binding\n  a = = 1\nend function\n", ":3:"),
        ("rust", '#[no_mangle]\npub extern "C" fn transform() -> i32 { c }\n', ":2:"),
        (
            "go",
            'package main\nimport "C"\n//export transform\nfunc transform() int32 { return c }\nfunc main() {}\n',
            ":4:",
        ),
    ],
)
def test_a_mistake_in_any_language_is_shown_with_the_users_file_and_line(
    language: str, code: str, place: str, step: Step, tmp_path: Path
) -> None:
    kernel = tmp_path / "kernel.txt"
    kernel.write_text(code)
    made = step(language, ADD, "")
    made.code = kernel
    text = failure(made(1, 2))
    assert f"{kernel}{place}" in text, text
    assert "main.code" not in text and "main.go" not in text


def test_a_mistake_in_an_object_has_its_file_too(step: Step, tmp_path: Path) -> None:
    made = step("c", ADD, ADDERS["c"])
    item = CompiledObject(language="c")
    (tmp_path / "helper.c").write_text("int f() {\n return x; }\n")
    item.code = tmp_path / "helper.c"
    made.objects.append(item)
    assert f"{tmp_path / 'helper.c'}:2:9: error" in failure(made(1, 2))


@pytest.mark.parametrize(
    ("language", "code", "advice"),
    [
        ("c", "int trans_form() { return 0; }", "not static"),
        ("cpp", "int transform() { return 0; }", 'extern "C"'),
        ("rust", "pub fn transform() {}", "#[no_mangle]"),
        ("go", 'package main\nimport "C"\nfunc transform() int32 { return 0 }\nfunc main() {}\n', "//export transform"),
    ],
)
def test_a_function_that_cannot_be_called_from_c_is_explained(
    language: str, code: str, advice: str, step: Step
) -> None:
    text = failure(step(language, "inputs: []", code)())
    assert "does not export transform() with C linkage" in text
    assert advice in text


def test_another_undefined_function_is_not_explained_by_that(step: Step) -> None:
    text = failure(step("c", "inputs: []", "int other(); int transform() { return other(); }")())
    assert "undefined reference to `other'" in text
    assert "does not export transform()" not in text


def test_a_missing_compiler_is_named_with_the_place_where_it_was_looked_for(step: Step) -> None:
    made = step("c", ADD, ADDERS["c"])
    made.compilation.compiler = "no-such-compiler"
    text = failure(made(1, 2))
    assert "language 'c' ('main') needs the compiler 'no-such-compiler', which was not found" in text
    assert os.environ["PATH"] in text


def test_options_compiler_and_target_take_effect(step: Step) -> None:
    code = "int transform(int *r) { *r = FLAG; return 0; }"
    made = step("c", "outputs: [{name: r, dtype: int32}]", code)
    made.compilation.options += ["-DFLAG=1"]
    made.compilation.release_options = ["-UFLAG", "-DFLAG=2"]
    made.compilation.debug_options += ["-DFLAG=3"]
    found = {}
    for made.compilation.target in ("profile", "release", "debug", "fast"):
        found[made.compilation.target] = run_anew(made())
    assert found == {"profile": 1, "release": 2, "debug": 3, "fast": 1}


def test_link_options_take_effect(step: Step, tmp_path: Path) -> None:
    (tmp_path / "other.c").write_text("int other(int a) { return -a; }\n")
    library = tmp_path / "other.o"
    subprocess.run(["gcc", "-c", "-fPIC", "-o", library, tmp_path / "other.c"], check=True)
    code = "int other(int); int transform(int a, int b, int *r) { *r = other(a) + b; return 0; }"
    made = step("c", ADD, code)
    made.compilation.link_options = [str(library)]
    assert made(-4, 1).run() == 5


def test_a_language_defined_at_run_time_is_used(step: Step) -> None:
    define_compiled_language("test-c-as-c++", {
        "compiler": "gcc", "mode": "object", "options": ["-fPIC"], "compile_flag": "-c", "language_flag": "-x c",
        "extension": "txt",
    })  # fmt: skip
    assert step("test-c-as-c++", ADD, ADDERS["c"])(20, 22).run() == 42


def test_a_language_travels_with_the_step(step: Step) -> None:
    from seamless.transformer import transformation_from_dict
    from seamless.transformer.languages import registry

    define_compiled_language("test-traveller", {"compiler": "gcc", "mode": "object", "options": ["-fPIC"],
                                                "compile_flag": "-c", "language_flag": "-x c"})  # fmt: skip
    handle = step("test-traveller", ADD, ADDERS["c"])(20, 23)
    handle.construct()
    del registry._languages["test-traveller"]
    again = transformation_from_dict(handle._tf_dict)
    assert again.run() == 43


@pytest.mark.parametrize("package", ["cffi", "numpy"])
def test_a_missing_package_is_named_with_the_extra_that_has_it(
    package: str, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util
    import sys

    from seamless.transformer.compiled.forkserver import fork_server

    fork_server.close()
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == package else find(name, *more))
    monkeypatch.setitem(sys.modules, package, None)
    handle = step("c", ADD, ADDERS["c"])(2, 3)
    assert f"needs the package '{package}': pip install 'seamless[compiled]'" in failure(handle)
    assert isinstance(handle._outcome.original, ImportError)


def test_a_header_that_disagrees_is_refused(step: Step) -> None:
    from seamless import Buffer
    from seamless.transformer import transformation_from_dict

    handle = step("c", ADD, ADDERS["c"])(1, 1)
    handle.construct()
    other = Buffer("int transform();", "text")
    again = transformation_from_dict({**handle._tf_dict, "__header__": other.get_checksum().hex()})
    assert "ValueError: the supplied __header__ does not match the schema-generated header" in failure(again)
    again = transformation_from_dict({**handle._tf_dict, "__compiled__": False})
    assert "it must be True" in failure(again)


def test_compiled_code_without_a_schema_is_refused() -> None:
    from seamless.transformer import delayed

    assert "needs a schema: make it with CompiledTransformer" in failure(delayed("int f();", "c")())


def test_building_ahead_gives_the_warnings(step: Step) -> None:
    made = step("c", ADD, "int transform(int a, int b, int *r) {\n  int unused;\n  *r = a + b;\n  return 0;\n}\n")
    made.compilation.options.append("-Wall")
    assert "unused variable" in made.build()
    assert made(1, 2).run() == 3


def test_the_record_says_how_the_code_was_made(step: Step, tmp_path: Path) -> None:
    from seamless.config.embedded import activate_embedded
    from seamless.session import session

    activate_embedded(directory=tmp_path / "cache")
    handle = step("c", ADD, ADDERS["c"])(1, 2)
    assert handle.run() == 3
    (store,) = session.result_stores
    record = store.get_record(handle.transformation_checksum)
    assert record is not None
    compilation = record["compilation"]
    assert compilation["configuration"]["main"]["options"][:2] == ["-O3", "-ffp-contract=off"]
    assert compilation["compilers"]["gcc"].startswith("gcc ")
    assert "-ffp-contract=off" in compilation["commands"][0]
    assert compilation["target"] == "profile"


def test_the_buffers_of_a_step_are_kept_so_that_it_can_be_made_again(step: Step, tmp_path: Path) -> None:
    from seamless.config.embedded import activate_embedded

    activate_embedded(directory=tmp_path / "cache")
    handle = step("c", ADD, ADDERS["c"])(1, 2)
    handle.compute()
    for key in ("__schema__", "__header__", "__compilation__"):
        hexadecimal = handle._tf_dict[key]
        assert any(path.name == hexadecimal for path in (tmp_path / "cache").rglob(hexadecimal))


def test_a_lost_result_is_computed_again_with_the_options_and_maxima_of_before(step: Step, tmp_path: Path) -> None:
    from seamless.config.embedded import activate_embedded
    from seamless.session import session

    made = step("c", UP_TO, UP_TO_CODE.replace("= i;", "= i + SHIFT;"))
    made.compilation.options.append("-DSHIFT=5")
    made.metavars.maxK = 4
    activate_embedded(directory=tmp_path / "cache")
    result = made(2).compute()
    session.reset()
    (path,) = (tmp_path / "cache").rglob(result.hex())
    path.unlink()
    activate_embedded(directory=tmp_path / "cache")
    assert result.fingertip_sync().get_value("mixed").tolist() == [[5, 5], [6, 6]]


def test_what_the_code_prints_is_captured(step: Step) -> None:
    code = '#include <stdio.h>\nint transform(int *r) { printf("no newline"); fprintf(stderr, "!"); return *r = 0; }'
    handle = step("c", "outputs: [{name: r, dtype: int32}]", code)()
    handle.compute()
    assert handle.logs == "no newline!"


def test_what_fortran_prints_is_captured(step: Step) -> None:
    code = """\
integer(c_int) function transform() bind(C)
  use iso_c_binding
  print '(a)', 'from Fortran'
  transform = 0
end function
"""
    handle = step("fortran", "inputs: []", code)()
    handle.compute()
    assert handle.logs == "from Fortran\n"


def test_static_variables_of_one_call_are_not_seen_by_the_next(step: Step) -> None:
    code = "static int calls; int transform(int a, int *r) { *r = ++calls; return 0; }"
    made = step("c", "inputs: [{name: a, dtype: int32}]\noutputs: [{name: r, dtype: int32}]", code)
    assert [made(i).run() for i in range(4)] == [1, 1, 1, 1]


def test_a_step_runs_in_an_empty_directory_of_its_own(step: Step) -> None:
    code = """\
#include <stdio.h>
int transform(int a, int *r) {
    FILE *f = fopen("left.txt", "r");
    *r = f != NULL;
    f = fopen("left.txt", "w");
    return f == NULL;
}
"""
    made = step("c", "inputs: [{name: a, dtype: int32}]\noutputs: [{name: r, dtype: int32}]", code)
    before = os.getcwd()
    assert [made(i).run() for i in range(3)] == [0, 0, 0]
    assert os.getcwd() == before
