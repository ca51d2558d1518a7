"""Errors: their data and text survive the way to another process."""

from __future__ import annotations

import builtins
import copy
import importlib
import pickle
import re

import pytest

from seamless import CacheMissError, Checksum, errors


@pytest.mark.parametrize(
    "error",
    [
        CacheMissError(Checksum.of(b""), asked=("memory", "a store")),
        errors.BufferCorruptionError("ab" * 32, where="/store", found="cd" * 32, quarantined="/store/x.CORRUPT"),
        errors.StoreFullError("full"),
        errors.SeamlessConversionError("cannot"),
        errors.MissingDependencyError("numpy", extra="arrays", purpose="arrays"),
        errors.UsageError("a mistake"),
        errors.TransformationError("failed", original_type="KeyError", exit_status=3),
        errors.WorkerLostError("gone"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_pickling_with_its_data(error: errors.SeamlessError) -> None:
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(other) is type(error)
        assert str(other) == str(error)
        assert other.args == error.args
        assert vars(other) == vars(error)


def test_the_first_argument_of_a_cache_miss_is_the_checksum() -> None:
    error = CacheMissError(Checksum.of(b"x"))
    assert error.args == (Checksum.of(b"x"),)


def drawn() -> list[tuple[int, str, str, str | None]]:
    """Return (depth, class, further base classes, module) of each line of the tree."""
    found = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ( *)(\w+Error)\b +(?:\(([\w, ]+)\))?(?:.*\((seamless\.[\w.]+)\))?", line + "  ")
        if match:
            found.append((len(match[1]) // 2, match[2], match[3] or "", match[4]))
    return found


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    above: list[type] = []
    for depth, name, bases, module in drawn():
        found = getattr(importlib.import_module(module or "seamless.errors"), name)
        assert depth == 0 or issubclass(found, above[depth - 1]), name
        for base in filter(None, bases.split(", ")):
            assert issubclass(found, getattr(builtins, base)), name
        above[depth:] = [found]


def test_every_error_of_the_core_is_drawn() -> None:
    defined = {
        name for name, value in vars(errors).items() if isinstance(value, type) and value.__module__ == errors.__name__
    }
    assert defined == {name for _, name, _, module in drawn() if module is None}
