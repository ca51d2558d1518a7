"""JSON text as Seamless writes it, by the names that other code uses."""

from __future__ import annotations

from typing import Any

from seamless.celltypes import canonical_json


def json_encode(value: Any) -> str:
    """Return JSON as celltype `mixed` writes it, without a final newline. Raises TypeError for arrays and bytes."""
    from seamless.celltypes.json_writer import Unwritable
    from seamless.celltypes.mixed_json import FoundBinaryError, mixed_json

    try:
        return mixed_json(value).decode()[:-1]
    except FoundBinaryError:
        raise TypeError("arrays and bytes have no JSON form: use celltype 'mixed'") from None
    except Unwritable as error:
        raise error.as_error() from None


def json_dumps_bytes(value: Any) -> bytes:
    """Return canonical JSON, as celltype `plain` writes it, without a final newline."""
    return canonical_json(value)[:-1]


def json_dumps(value: Any) -> str:
    """Return what `json_dumps_bytes` returns, as a str."""
    return json_dumps_bytes(value).decode()
