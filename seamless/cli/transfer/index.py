"""The index of a directory as it comes from a store or a sidecar: it may be anybody's, and is checked before use."""

from __future__ import annotations

import json
from typing import Any

from seamless.checksum import Checksum
from seamless.errors import SeamlessError, UsageError
from seamless.util.safe_paths import check_keys


def parse_index(data: bytes, what: str) -> dict[str, str]:
    """Return key -> checksum (hex) of an index. `what` names it in messages.

    Raises SeamlessError unless it is a JSON object of checksums whose keys stay below their directory.
    """
    try:
        index = json.loads(data)
    except (ValueError, RecursionError):
        index = None
    if not isinstance(index, dict):
        raise SeamlessError(f"{what} is not an index: expected a JSON object of paths and checksums")
    try:
        check_keys(index)
    except UsageError as exc:
        raise SeamlessError(f"{what} is refused: {exc}") from exc
    return {key: _checksum(value, key, what) for key, value in index.items()}


def _checksum(value: Any, key: str, what: str) -> str:
    try:
        if isinstance(value, str):
            return Checksum(value).hex()
    except ValueError:
        pass
    raise SeamlessError(f"{what} is not an index: {key[:80]!r} has {str(value)[:80]!r} where a checksum was expected")
