"""Run the benchmarks of compiled steps and print one table."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.__main__ import table
from benchmarks.compiled.kernels import ADD_CODE, ADD_SCHEMA, FORCES, FORCES_SCHEMA, forces
from benchmarks.measure import Row, in_turns, per_call, write_json


def made_step(schema: str, code: str, language: str = "c") -> Any:
    """Return a direct step."""
    from seamless.transformer import DirectCompiledTransformer

    made = DirectCompiledTransformer(language)
    made.schema, made.code = schema, code
    return made


def present_languages() -> list[str]:
    """Return the languages whose compilers there are; the others are left out."""
    import shutil

    from seamless.transformer.languages import get_language

    return [language for language in FORCES if shutil.which(get_language(language).compilation.compiler)]


def bare_call(step: Any) -> Callable[[int], object]:
    """Return a call of the same addition, in this process, through cffi."""
    import cffi  # type: ignore[import-untyped]

    from seamless.transformer.compiled.cache import build_directory

    step.build()
    (module,) = Path(build_directory()).glob("*/*/module.so")
    ffi = cffi.FFI()
    ffi.cdef("int seamless_call(void **);")
    library = ffi.dlopen(str(module))
    numbers = [ffi.new("int32_t *", 1) for _ in range(3)]
    arguments = ffi.new("void *[]", [ffi.cast("void *", number) for number in numbers])

    def call(i: int) -> object:
        numbers[0][0] = i
        return library.seamless_call(arguments)

    return call


def overhead(quick: bool) -> list[Row]:
    """Compare calls of a step that does nothing with a bare call."""
    step = made_step(ADD_SCHEMA, ADD_CODE)
    bare = bare_call(step)
    step(1, 1)
    calls, runs = (5, 3) if quick else (50, 9)

    def spaced(i: int) -> None:
        time.sleep(0.01)
        start = time.perf_counter()
        step(i, 2)
        apart.append(time.perf_counter() - start)

    apart: list[float] = []
    rivals = {
        "cached": per_call(lambda i: step(1, 1), calls),
        "uncached": per_call(lambda i: step(i, 1), calls),
        "bare": per_call(bare, calls),
    }
    found = in_turns(rivals, runs)
    for i in range(calls):
        spaced(i)
    middle = sorted(apart)[len(apart) // 2]
    bare_seconds = found["bare"] / calls
    return [
        Row("cached call", found["cached"] / calls, "bare cffi call", bare_seconds),
        Row("uncached call, own process", middle, "bare cffi call", bare_seconds),
        Row("uncached calls back to back", found["uncached"] / calls, "bare cffi call", bare_seconds),
    ]


def speed(quick: bool) -> list[Row]:
    """Compare a kernel in every language with numpy, from arrays to array, nothing cached."""
    import numpy as np

    kernels = {language: made_step(FORCES_SCHEMA, FORCES[language], language) for language in present_languages()}
    kernels["c, target fast"] = made_step(FORCES_SCHEMA, FORCES["c"])
    kernels["c, target fast"].compilation.target = "fast"
    n = 100 if quick else 1500
    random = np.random.default_rng(1)
    m = random.uniform(size=n)
    runs = 2 if quick else 5
    xs = iter([random.normal(size=(n, 3)) for _ in range((runs + 3) * len(kernels))])
    for step in kernels.values():
        x = next(xs)
        np.testing.assert_allclose(step(x, m), forces(x, m), rtol=1e-8, atol=1e-8)  # also builds it
    same = next(xs)

    def calling(step: Any) -> Callable[[], None]:
        return per_call(lambda i: step(next(xs), m), 1)

    rivals = {name: calling(step) for name, step in kernels.items()}
    rivals["numpy"] = per_call(lambda i: forces(same, m), 1)
    found = in_turns(rivals, runs)
    return [Row(f"forces of {n} bodies in {name}", found[name], "numpy", found["numpy"]) for name in kernels]


def building() -> list[Row]:
    """Compare the first call of a new module with the compiler alone."""
    import subprocess

    counter = iter(range(1000))

    def first_call() -> None:
        made_step(ADD_SCHEMA, ADD_CODE + f"// {next(counter)}\n")(1, 1)

    def compiler() -> None:
        program = ADD_CODE.encode()
        subprocess.run(["gcc", "-x", "c", "-O3", "-fPIC", "-shared", "-o", os.devnull, "-"], input=program, check=True)

    found = in_turns({"ours": first_call, "gcc": compiler}, 5)
    return [Row("first call of a new module", found["ours"], "gcc alone", found["gcc"])]


def main() -> int:
    """Return 0 if all has run, whatever was found."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compiled", description="Measure compiled steps beside numpy and a bare cffi call."
    )
    parser.add_argument("--quick", action="store_true", help="fewer runs and smaller inputs, to see that all works")
    parser.add_argument("--json", metavar="FILE", help="also write everything into FILE; - is standard output")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="seamless-compiled-benchmark-") as place:
        os.environ["SEAMLESS_BUILD_CACHE"] = place
        rows = [*overhead(options.quick), *speed(options.quick), *building()]
    if options.json != "-":
        print(table([("compiled", row) for row in rows]))
    write_json([dataclasses.asdict(row) for row in rows], options.json)
    import seamless

    seamless.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
