"""Every kind of step, computed wherever the configuration says; prints what came of each as JSON. Run as a program.

The arguments are the names of the steps; without any, all. Nothing in a step may depend on where it runs, apart
from `stamp`, which shows by its result whether it was executed again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import seamless
import seamless.config
from seamless.transformer import CompiledTransformer, Transformation, delayed, direct, parallel
from seamless.transformer.languages import define_compiled_language

VALUES = 20_000_000  # of 8 bytes


@delayed
def python(a, b):
    print("on its way")
    return {"sum": a + b, "text": "é\n"}


@direct
def leaf(i, j):
    return i * 10 + j


@delayed
def fan_out(i):
    return [leaf(i, j) for j in range(6)]


@delayed
def failing(x):
    print("before the failure")
    raise ValueError("no such luck", x)


@delayed
def crashing(x):
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)


@delayed
def scratch(n):
    return "x" * n


@delayed
def length(text):
    return len(text)


@delayed
def total(array):
    return float(array.sum())


@delayed
def doubled(array):
    return array * 2


@delayed
def stamp():
    import os
    import time

    return f"{os.getpid()} {time.time_ns()}"


fan_out.globals.leaf = leaf
fan_out.driver = True
scratch.scratch = True
length.allow_input_fingertip = True
total.celltypes.array = doubled.celltypes.array = doubled.celltypes.result = "binary"


def bash(code: str, celltypes: dict[str, str], **values: Any) -> Transformation:
    """Return a step in bash."""
    step = delayed(code, "bash")
    for name, celltype in celltypes.items():
        setattr(step.celltypes, name, celltype)
    return step(**values)


def compiled(statement: str) -> Transformation:
    """Return a step in a language that is defined here alone; what it is called elsewhere is C."""
    options = {"options": ["-O2", "-fPIC"], "compile_flag": "-c", "language_flag": "-x c"}
    define_compiled_language("house-c", {"compiler": "gcc", "mode": "object", **options})
    step = CompiledTransformer("house-c")
    step.schema = "inputs: [{name: x, dtype: int32, shape: [N]}]\noutputs: [{name: y, dtype: int32, shape: [K]}]\n"
    step.code = f"""#include "transformer.h"
#include <stdlib.h>
int transform(unsigned N, unsigned maxK, const int32_t *x, unsigned *K, int32_t *y) {{ {statement} return 0; }}
"""
    step.metavars.maxK = 3
    return step([1, 2, 3])


def array() -> np.ndarray:
    """Return an array of 160 MB."""
    return np.arange(VALUES, dtype=np.float64)


def directory() -> Transformation:
    """Return a step whose result is a directory."""
    code = "mkdir -p RESULT/sub; printf '%s' $n >RESULT/a; printf '\\0\\377' >RESULT/sub/b"
    return bash(code, {"n": "int", "result": "folder"}, n=7)


STEPS: dict[str, Callable[[], Transformation]] = {
    "python": lambda: python(2, 40),
    "bash": lambda: bash("tac text >RESULT; echo noise >&2", {"text": "text", "result": "text"}, text="b\na\n"),
    "compiled": lambda: compiled("*K = 2; y[1] = x[N - 1] + maxK;"),
    "fan out": lambda: fan_out(4),
    "scratch": lambda: length(scratch(100_000)),
    "large input": lambda: total(array()),
    "large result": lambda: doubled(array()),
    "directory": lambda: bash(
        "(cd tree; find . -type f | sort | xargs wc -c) >RESULT", {"tree": "folder", "result": "text"}, tree=directory()
    ),
    "stamp": lambda: stamp(),
    "failing": lambda: failing(1),
    "failing bash": lambda: bash("echo out; echo err >&2; exit 7", {"result": "text"}),
    "failing compiled": lambda: compiled("return 5;"),
    "crashing compiled": lambda: compiled("abort();"),
    "crashing": lambda: crashing(1),
    "crashing bash": lambda: bash("kill -9 $$", {"result": "text"}),
}


def told(step: Transformation) -> dict[str, Any]:
    """Return what came of a step."""
    result = None if step.exception is not None else step.result_checksum.hex()
    return {
        "tf": step.transformation_checksum.hex(),
        "result": result,
        "error": step.exception,
        "cached": bool(step._outcome is not None and step._outcome.cached),
        "value": repr(step.run())[:100] if result is not None and step.celltype != "binary" else None,
    }


if __name__ == "__main__":
    seamless.config.init()
    names = sys.argv[1:] or list(STEPS)
    done = parallel([STEPS[name]() for name in names])
    print(json.dumps({name: told(step) for name, step in zip(names, done, strict=True)}))
    seamless.close()
