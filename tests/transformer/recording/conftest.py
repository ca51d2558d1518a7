"""A cache directory that is in force, record mode, and buckets that are up to date."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seamless.config import select_record
from seamless.config.embedded import activate_embedded
from seamless.transformer.buckets.probe import refresh


@pytest.fixture
def store(tmp_path: Path) -> Any:
    """Return the stores, which are active."""
    return activate_embedded(directory=str(tmp_path / "cache"))


@pytest.fixture
def probed(store: Any) -> Any:
    """Return the stores, with buckets, and have full records written."""
    refresh(store.buffers, store.results, None)
    select_record(True)
    return store


@pytest.fixture
def record_of(store: Any) -> Callable[[Any], dict[str, Any]]:
    """Return record_of(handle): execute it, and return its record."""

    def record(tf: Any) -> dict[str, Any]:
        assert tf.compute() is not None, tf.exception
        found: dict[str, Any] = store.results.get_record(tf.transformation_checksum)
        return found

    return record
