"""A module is built again when a file that it was built from has changed, also one that is no source of the step."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seamless.transformer.compiled.definition import Source
from seamless.transformer.compiled.headers import files_of_rules
from seamless.transformer.compiled.included import files_of_options, files_of_source
from seamless.transformer.languages import get_language

Step = Callable[..., Any]
SCHEMA = "inputs:\n  - {name: a, dtype: int32}\noutputs:\n  - {name: r, dtype: int32}\n"
C = "int transform(int32_t a, int32_t *r) { *r = a + ADDED; return 0; }\n"
RUST = """
include!("PATH");
#[no_mangle]
pub extern "C" fn transform(a: i32, r: *mut i32) -> i32 { unsafe { *r = a + ADDED; } 0 }
"""
FORTRAN = """
function transform(a, r) result(status) bind(C)
  use iso_c_binding
  include 'PATH'
  integer(c_int32_t), value :: a
  integer(c_int32_t) :: r
  integer(c_int) :: status
  r = a + ADDED
  status = 0
end function
"""
ISO = "  use iso_c_binding"
GO = """
package main

// #include <stdint.h>
// #include "PATH"
// static int32_t added(int32_t a) { return a + ADDED; }
import "C"

//export transform
func transform(a C.int32_t, r *C.int32_t) C.int { *r = C.added(a); return 0 }

func main() {}
"""


@pytest.mark.parametrize(
    ("language", "code", "line"),
    [
        ("c", '#include <stdint.h>\n#include "PATH"\n' + C, "#define ADDED {}\n"),
        ("cpp", '#include <cstdint>\n#include "PATH"\nextern "C" ' + C, "#define ADDED {}\n"),
        ("rust", RUST, "const ADDED: i32 = {};\n"),
        ("fortran", FORTRAN, "integer(c_int32_t), parameter :: ADDED = {}\n"),
        ("go", GO, "#define ADDED {}\n"),
    ],
)
def test_a_file_that_is_included_by_its_path_is_part_of_what_was_built(
    language: str, code: str, line: str, step: Step, tmp_path: Path
) -> None:
    included = tmp_path / "added file.inc"
    included.write_text(line.format(1))
    made = step(language, SCHEMA, code.replace("PATH", str(included)))
    assert made(1).run() == 2
    included.write_text(line.format(10))
    assert made(2).run() == 12
    included.write_text(line.format(1))
    assert made(3).run() == 4


def test_a_header_below_an_include_option_is_part_of_what_was_built(step: Step, tmp_path: Path) -> None:
    (tmp_path / "inner.h").write_text("#define ADDED 1\n")
    (tmp_path / "outer.h").write_text('#include "inner.h"\n')
    made = step("c", SCHEMA, '#include <stdint.h>\n#include "outer.h"\n' + C)
    made.compilation.options = [*made.compilation.options, f"-I{tmp_path}"]
    assert made(1).run() == 2
    (tmp_path / "inner.h").write_text("#define ADDED 10\n")
    assert made(2).run() == 12


def test_a_module_of_unchanged_headers_is_built_once(
    step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seamless.transformer.compiled import cache, run

    (tmp_path / "added.h").write_text("#define ADDED 1\n")
    made = step("c", SCHEMA, f'#include <stdint.h>\n#include "{tmp_path}/added.h"\n' + C)
    assert made(1).run() == 2
    monkeypatch.setattr(cache, "_known", {})
    monkeypatch.setattr(run, "_recent", {})
    monkeypatch.setattr(cache, "build", None)
    assert made(2).run() == 3


def test_rules_are_read_with_their_continuations_and_escapes(tmp_path: Path) -> None:
    (tmp_path / "0.d").write_text("main.o: main.code transformer.h \\\n /a/with\\ blank.h \\\n  /a/$$x\\#.h\n")
    assert files_of_rules(str(tmp_path)) == {"/a/with blank.h", "/a/$x#.h"}


def test_a_module_of_fortran_below_an_option_is_part_of_what_was_built(step: Step, tmp_path: Path) -> None:
    def write(added: int) -> None:
        text = f"module Numbers\n  integer, parameter :: ADDED = {added}\nend module\n"
        (tmp_path / "numbers.f90").write_text(text)
        subprocess.run(["gfortran", "-fsyntax-only", "numbers.f90"], cwd=tmp_path, check=True)

    made = step("fortran", SCHEMA, FORTRAN.replace("include 'PATH'", "").replace("iso_c_binding", "numbers\n" + ISO))
    made.compilation.options = [*made.compilation.options, "-I", str(tmp_path)]
    write(1)
    assert made(1).run() == 2
    write(10)
    assert made(2).run() == 12


def test_a_library_that_is_linked_in_is_part_of_what_was_built(step: Step, tmp_path: Path) -> None:
    def write(added: int) -> None:
        (tmp_path / "added.c").write_text(f"int added(int a) {{ return a + {added}; }}\n")
        subprocess.run(["gcc", "-c", "-fPIC", "added.c"], cwd=tmp_path, check=True)
        (tmp_path / "libadded.a").unlink(missing_ok=True)
        subprocess.run(["ar", "rcs", "libadded.a", "added.o"], cwd=tmp_path, check=True)

    code = "int added(int); int transform(int a, int *r) { *r = added(a); return 0; }"
    for options in ([f"-L{tmp_path}", "-ladded"], [str(tmp_path / "added.o")]):
        made = step("c", SCHEMA, code + f" // {len(options)}")
        made.compilation.link_options = options
        write(1)
        assert made(1).run() == 2
        write(10)
        assert made(2).run() == 12


def source(language: str, code: str, *options: str) -> Source:
    compilation = get_language(language).compilation.copy()
    compilation.options = [*compilation.options, *options]
    return Source("main", language, code, compilation)


def test_only_files_that_exist_are_found_in_a_source(tmp_path: Path) -> None:
    (tmp_path / "a.inc").write_text("")
    code = f"""  INCLUDE '{tmp_path}/a.inc'\n  include_str!("{tmp_path}/none.txt")\n  path = "relative.rs"\n"""
    assert files_of_source(source("fortran", code)) == {str(tmp_path / "a.inc")}


def test_what_an_included_file_includes_is_found_too(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    texts = {
        "first.rs": "mod second;\n",
        "second.rs": "pub(crate) mod deep;\n",
        "deep/mod.rs": 'const X: &str = include_str!("x.txt");\n',
        "deep/x.txt": "",
        "other.rs": "",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    found = files_of_source(source("rust", f'#[path = "{tmp_path}/first.rs"]\nmod first;\n'))
    assert found == {str(tmp_path / name) for name in texts if name != "other.rs"}


@pytest.mark.parametrize("flag", ["-I{}", "-J{}"])
@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("  use Numbers, only: x", "numbers.mod"),
        ("USE :: numbers", "numbers.mod"),
        ("use, non_intrinsic :: numbers", "numbers.mod"),
        ("submodule (Numbers) more", "numbers.smod"),
        ("submodule (numbers:more) most", "numbers@more.smod"),
        ("      include 'common.inc'", "common.inc"),
    ],
)
def test_the_words_of_fortran_for_other_files_are_known(flag: str, line: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"")
    assert files_of_source(source("fortran", line + "\n", flag.format(tmp_path))) == {str(tmp_path / name)}


def test_files_that_options_name_are_found(tmp_path: Path) -> None:
    for name in ("a.map", "libb.so", "libc.rlib", "d.o", "other.o"):
        (tmp_path / name).write_bytes(b"")
    words = [f"-Wl,--version-script={tmp_path}/a.map", "-lb", "-L", f"native={tmp_path}", f"{tmp_path}/d.o", "-lnone"]
    assert files_of_options(words) == {str(tmp_path / name) for name in ("a.map", "libb.so", "libc.rlib", "d.o")}
