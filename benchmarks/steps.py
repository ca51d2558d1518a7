"""The trivial step that all call benchmarks share: too small to cost anything itself."""

from __future__ import annotations


def add(a: int, b: int) -> int:
    return a + b
