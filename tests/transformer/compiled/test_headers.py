"""A module is built again when a file that it was built from has changed, also one that is no source of the step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seamless.transformer.compiled.headers import files_of_code, files_of_rules

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


@pytest.mark.parametrize(
    ("language", "code", "line"),
    [
        ("c", '#include <stdint.h>\n#include "PATH"\n' + C, "#define ADDED {}\n"),
        ("cpp", '#include <cstdint>\n#include "PATH"\nextern "C" ' + C, "#define ADDED {}\n"),
        ("rust", RUST, "const ADDED: i32 = {};\n"),
        ("fortran", FORTRAN, "integer(c_int32_t), parameter :: ADDED = {}\n"),
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


def test_only_files_that_exist_are_found_in_a_source(tmp_path: Path) -> None:
    (tmp_path / "a.inc").write_text("")
    texts = [f"  INCLUDE '{tmp_path}/a.inc'\n", f'include_str!("{tmp_path}/none.txt")', 'path = "relative.rs"']
    assert files_of_code(texts) == {str(tmp_path / "a.inc")}
