"""Building and calling from many threads and processes at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seamless.errors import UsageError
from seamless.transformer.compiled.cache import build_directory

Step = Callable[..., Any]

SCHEMA = "inputs: [{name: a, dtype: int32}]\noutputs: [{name: r, dtype: int32}]"


def code(n: int) -> str:
    return f"int transform(int a, int *r) {{ *r = a + {n}; return 0; }}"


def modules() -> list[Path]:
    return list(Path(build_directory()).glob("*/*/module.so"))


def forget_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process know no module, as one that has just begun."""
    from seamless.transformer.compiled import cache, run

    monkeypatch.setattr(cache, "_known", {})
    monkeypatch.setattr(run, "_recent", {})


def leftovers() -> list[str]:
    return [name for name in os.listdir(build_directory()) if name.startswith(".building-")]


@pytest.mark.parametrize("different", [True, False])
def test_sixteen_threads_build_at_once(different: bool, step: Step) -> None:
    before = os.getcwd()
    steps = [step("c", SCHEMA, code(i if different else 0)) for i in range(16)]
    results: list[Any] = [None] * 16
    barrier = threading.Barrier(16)

    def run(i: int) -> None:
        barrier.wait()
        results[i] = steps[i](1000 * i).run()

    threads = [threading.Thread(target=run, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [1000 * i + (i if different else 0) for i in range(16)]
    assert len(modules()) == (16 if different else 1)
    assert leftovers() == []
    assert os.getcwd() == before


PROGRAM = """\
import sys, threading
from seamless.transformer import DirectCompiledTransformer

def step(n):
    made = DirectCompiledTransformer("c")
    made.schema = SCHEMA
    made.code = "int transform(int a, int *r) { *r = a + %d; return 0; }" % n
    return made

number = int(sys.argv[1])
found = {}

def work(i):
    begun.wait()
    for k in range(8):  # each thread in an order of its own: the same modules and different ones at once
        n = (i + 3 * number + k) % 8
        found[i, n] = step(n)(100 * number + 10 * i)

begun = threading.Barrier(5)
threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
for thread in threads:
    thread.start()
print("ready", flush=True)
sys.stdin.readline()
begun.wait()
for thread in threads:
    thread.join()
print([found[i, n] - 100 * number - 10 * i - n for i in range(4) for n in range(8)])
"""


def test_sixteen_threads_of_four_processes_build_each_module_once(tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("c")
    log = tmp_path / "log"
    (tmp_path / "gcc").write_text(
        f'#!/bin/sh\ncase "$*" in *main.o*-c*|*-c*main.o*) echo x >> {log};; esac\nexec /usr/bin/gcc "$@"\n'
    )
    (tmp_path / "gcc").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    program = PROGRAM.replace("SCHEMA", repr(SCHEMA))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(i)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )
        for i in range(4)
    ]  # fmt: skip
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("begin\n")
            process.stdin.flush()
        outputs = [process.communicate(timeout=140)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert outputs == [f"{[0] * 32}\n"] * 4
    assert log.read_text() == "x\n" * 8
    assert len(modules()) == 8
    assert leftovers() == []


def test_a_second_process_builds_nothing(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    from seamless.transformer.compiled import cache

    made = step("c", SCHEMA, code(1))
    assert made(1).run() == 2
    forget_modules(monkeypatch)
    monkeypatch.setattr(cache, "build", None)
    assert made(2).run() == 3


@pytest.mark.parametrize("damage", [b"", b"damaged"])
def test_a_damaged_module_is_built_again(damage: bytes, step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    from seamless.transformer.compiled.forkserver import fork_server

    made = step("c", SCHEMA, code(2))
    assert made(1).run() == 3
    fork_server.close()  # a child that waits has the file mapped
    (module,) = modules()
    module.chmod(0o644)
    module.write_bytes(damage)
    forget_modules(monkeypatch)
    assert made(2).run() == 4


def test_other_options_make_another_module(step: Step) -> None:
    made = step("c", SCHEMA, code(3))
    made.build()
    made.compilation.options = ["-O1", "-fPIC"]
    made.build()
    assert len(modules()) == 2


def test_another_version_of_the_compiler_makes_another_module(step: Step, tmp_path: Path) -> None:
    compiler = tmp_path / "gcc-of-mine"
    made = step("c", SCHEMA, code(4))
    made.compilation.compiler = str(compiler)
    for version in ("1", "2.0"):
        compiler.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo {version} && exit\nexec gcc "$@"\n')
        compiler.chmod(0o755)
        made.build()
    assert len(modules()) == 2


def test_the_directory_of_modules_is_private(step: Step) -> None:
    step("c", SCHEMA, code(5)).build()
    assert os.stat(build_directory()).st_mode & 0o077 == 0


def test_a_directory_that_others_can_write_is_not_used(
    step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o777)
    monkeypatch.setenv("SEAMLESS_BUILD_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match="must be yours, and writable for you alone"):
        step("c", SCHEMA, code(6)).build()


def test_a_failed_build_leaves_nothing(step: Step) -> None:
    made = step("c", SCHEMA, "int transform(")
    assert made(1).compute() is None
    assert (modules(), leftovers()) == ([], [])


def test_old_rests_are_swept(step: Step) -> None:
    directory = Path(build_directory())
    old = directory / ".building-dead"
    old.mkdir(parents=True)
    directory.chmod(0o700)
    os.utime(old, (0, 0))
    step("c", SCHEMA, code(7)).build()
    assert not old.exists()
