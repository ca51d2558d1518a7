"""Errors: their data and text survive the way to another process."""

from __future__ import annotations

import copy
import pickle

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
