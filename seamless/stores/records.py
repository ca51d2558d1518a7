"""Execution records: what a record must contain, and how it is written as text."""

from __future__ import annotations

from seamless.stores.errors import MalformedValueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EXISTS = "Execution record already exists with different metadata"
IRREPRODUCIBLE = "Transformation already has irreproducible records"
OTHER_RESULT = "Transformation result does not match execution record result"
OTHER_RECORD_RESULT = "Execution record result does not match stored metadata result"
NOT_CONTESTED_RESULT = "Transformation does not have the irreproducible result"
NOT_CONTESTED_RECORD = "Stored metadata result does not match irreproducible result"


def check_record(record: Any, transformation: str, result: str) -> None:
    """Raise MalformedValueError unless `record` is a record of this transformation and result."""
    if not isinstance(record, dict):
        raise MalformedValueError(f"a record is a dict, not {type(record).__name__}")
    version = record.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise MalformedValueError(f"record: schema_version is {version!r}, expected an integer")
    for key, expected in (("tf_checksum", transformation), ("result_checksum", result)):
        if record.get(key) != expected:
            raise MalformedValueError(f"record: {key} is {record.get(key)!r}, expected {expected!r}")
    fields = record.get("checksum_fields", [])
    if not isinstance(fields, list) or not all(isinstance(f, str) and f for f in fields):
        raise MalformedValueError(f"record: checksum_fields is {fields!r}, expected a list of names")


def record_text(record: dict[str, Any]) -> str:
    """Return the compact JSON of a record, its keys in their order. Raises MalformedValueError if it has none."""
    import json

    try:
        return json.dumps(record, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as exc:
        raise MalformedValueError(f"record: not JSON: {exc}") from exc


def record_value(text: str) -> Any:
    """Return the record, or "" for the text that stands for none."""
    import json

    return json.loads(text) if text else ""
