"""Values of seamless.db as others may have left them: one that cannot be counts as absent, and that is logged."""

from __future__ import annotations

from seamless.checksum import Checksum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


def sound_checksum(value: Any, where: str) -> Checksum | None:
    """Return the checksum that a value is, or None if it is none. `where`: table and column, for the log."""
    if isinstance(value, str) and len(value) == 64:
        try:
            return Checksum(value)
        except ValueError:
            pass  # told below
    _tell(value, where, "a checksum")
    return None


def sound_checksums(rows: Iterable[tuple[Any, ...]], where: str) -> list[Checksum]:
    """Return the checksums in rows of one column; those that are none are left out."""
    found = (sound_checksum(value, where) for (value,) in rows)
    return [checksum for checksum in found if checksum is not None]


def sound_json(text: Any, kind: type, where: str) -> Any:
    """Return the JSON value in a text, or None if it is no JSON or of another kind."""
    import json

    try:
        value = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, kind):
        return value
    _tell(text, where, f"JSON of a {kind.__name__}")
    return None


def _tell(value: Any, where: str, expected: str) -> None:
    import logging

    shown = repr(value[:80] if isinstance(value, (str, bytes)) else value)
    logging.getLogger(__name__).warning(
        "the database has %s in %s, expected %s; it counts as absent (seamless-database-check finds all of these)",
        shown, where, expected,
    )  # fmt: skip
