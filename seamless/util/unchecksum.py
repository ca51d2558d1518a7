"""Checksums as hex within dicts, lists and tuples."""

from __future__ import annotations

from typing import Any

from seamless.checksum import Checksum


def unchecksum(value: Any) -> Any:
    """Return `value` with each Checksum replaced by its hex, recursively; tuples become lists."""
    if isinstance(value, Checksum):
        return value.hex()
    if isinstance(value, dict):
        return {unchecksum(key): unchecksum(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [unchecksum(item) for item in value]
    return value
