"""The steps that are executed by the pools of both sides; a pool of the standard library imports them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy


def add(a: int, b: int) -> int:
    return a + b


def first(array: numpy.ndarray[Any, Any]) -> float:
    return float(array[0])


def make(n: int, value: float) -> numpy.ndarray[Any, Any]:
    import numpy

    return numpy.full(n, value)
