"""Builds that do not end, are canceled, or are watched; and the command line of each language."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seamless.transformer.compiled.cache import build_directory
from seamless.transformer.compiled.definition import Source
from seamless.transformer.languages import get_language

Step = Callable[..., Any]

SCHEMA = "outputs: [{name: r, dtype: int32}]"
CODE = "int transform(int *r) { *r = 1; return 0; }"


def endless_compiler(directory: Path) -> tuple[Path, Path]:
    """Return a compiler that compiles for ever, and the file that it writes its process id to."""
    compiler, pid = directory / "endless-cc", directory / "pid"
    (directory / "never").mkdir()
    os.mkfifo(directory / "never" / "fifo")
    compiler.write_text(
        f'#!/bin/bash\n[ "$1" = --version ] && echo 1 && exit\necho $$ > {pid}.new; mv {pid}.new {pid}\n'
        f"read x < {directory}/never/fifo\n"
    )
    compiler.chmod(0o755)
    return compiler, pid


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def eventually(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def test_a_compiler_that_does_not_end_is_ended(step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seamless.transformer.compiled.build.COMPILE_SECONDS", 2.0)
    compiler, pid = endless_compiler(tmp_path)
    made = step("c", SCHEMA, CODE)
    made.compilation.compiler = str(compiler)
    handle = made()
    assert handle.compute() is None
    assert "The compiler was ended after 2 s" in handle.exception
    eventually(lambda: not pid.exists() or is_gone(int(pid.read_text())))


def test_a_build_can_be_canceled(step: Step, tmp_path: Path) -> None:
    compiler, pid = endless_compiler(tmp_path)
    made = step("c", SCHEMA, CODE)
    made.compilation.compiler = str(compiler)
    handle = made().start()
    eventually(pid.exists)
    assert handle.cancel()
    assert handle.exception == "Transformation was canceled"
    eventually(lambda: is_gone(int(pid.read_text())))
    eventually(lambda: not [name for name in os.listdir(build_directory()) if name.startswith(".building-")])
    made.compilation.compiler = "gcc"
    assert made().run() == 1


def test_output_is_shown_live_if_that_is_wanted(step: Step, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    code = """\
#include <stdio.h>
int transform(int *r) {
    puts("begun"); fflush(stdout);
    FILE *f = fopen("FIFO", "r");
    *r = fgetc(f);
    return 0;
}
""".replace("FIFO", str(fifo))
    made = step("c", SCHEMA, code)
    made.direct_print = True
    handle = made().start()
    shown = eventually(lambda: capfd.readouterr().out)
    fifo.write_text("A")  # it has been shown before the call could end
    assert handle.run() == ord("A")
    assert shown == "begun\n"


@pytest.mark.parametrize(
    ("language", "command"),
    [
        ("c", "gcc -x c -c -O3 -ffp-contract=off -fPIC -fopenmp -I . -o main.o main.code"),
        ("cpp", "g++ -x c++ -c -O3 -ffp-contract=off -fPIC -fopenmp -I . -o main.o main.code"),
        (
            "fortran",
            "gfortran -x f95 -c -O3 -ffp-contract=off -fno-automatic -fcray-pointer -fPIC -I . -o main.o main.code",
        ),
        ("rust", "rustc --crate-type=staticlib --edition=2021 -Copt-level=3 -o main.a main.code"),
        ("go", "go build -buildmode=c-archive -o main.a main.go"),
    ],
)
def test_the_command_of_a_language_is_made_in_the_agreed_order(language: str, command: str) -> None:
    compilation = get_language(language).compilation
    assert Source("main", language, "", compilation).command(compilation.compiler) == command.split()
