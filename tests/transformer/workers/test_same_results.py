"""A thousand steps: the same results, whether here or in a worker, and the same failures."""

import math

import numpy as np

from seamless.transformer import delayed, parallel, runner, spawn, worker

COUNT = 1000


def mixture(i, kind):
    import math

    if kind == "fails":
        return 1 // (i - i)
    if kind == "number":
        return math.sin(i) * i
    if kind == "text":
        return "é" * (i % 300)
    if kind == "structure":
        return {"i": i, "list": list(range(i % 10)), "deep": {"none": None, "flag": bool(i % 2)}}
    import numpy as np

    return np.arange(i * 20, dtype=np.float32).reshape(-1, 2)


def everything(make):
    kinds = ("number", "text", "structure", "array", "fails")
    handles = parallel(make(i, kinds[i % len(kinds)]) for i in range(COUNT))
    return [(h.result_checksum.hex() if h.exception is None else h.exception.split("\n(")[0]) for h in handles]


def test_a_thousand_steps_give_the_same_here_and_in_workers():
    here = everything(delayed(mixture))
    runner.memory.clear()
    spawn(2)
    try:
        there = everything(delayed(mixture))
    finally:
        worker.shutdown_workers()
    assert there == here
    assert len(set(here)) > COUNT // 2
    assert sum("ZeroDivisionError" in text for text in here) == COUNT // 5


def test_the_values_are_those_of_plain_calls(workers):
    step = delayed(mixture)
    for i in range(8):
        assert step(i, "number").run() == math.sin(i) * i
        assert step(i, "structure").run() == mixture(i, "structure")
        assert np.array_equal(step(i, "array").run(), mixture(i, "array"))
