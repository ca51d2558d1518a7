"""Why a step runs or does not: what identifies it, what is known of its results, and its nearest relatives."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from seamless.checksum import Checksum
from seamless.insight.definition import Definition
from seamless.insight.differences import Read
from seamless.insight.place import Place, connect, rows
from seamless.insight.relatives import LONGEST, Relative, nearest, read_limited
from seamless.insight.sidecar import Sidecar
from seamless.stores.values import sound_json

_SHORT_VALUE = 60  # bytes of a value that is shown


@dataclass
class Explanation:
    """Everything that is known of a step. `reasons`: why it was, or will be, computed again; the oldest first."""

    checksum: str
    definition: Definition
    result: str | None
    stored: bool  # the content of the result is there
    record: dict[str, Any] | None
    values: dict[str, str]  # of pins that are short, as text
    reasons: list[str] = field(default_factory=list)
    relatives: list[Relative] = field(default_factory=list)

    @property
    def state(self) -> str:
        """`cached`, `known` (but its content is to be computed again) or `unknown`."""
        return "unknown" if self.result is None else "cached" if self.stored else "known"

    def as_dict(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        pins = {name: {"celltype": p.celltype, "checksum": p.checksum} for name, p in self.definition.pins.items()}
        for name, text in self.values.items():
            pins[name]["value"] = text
        return {
            "tf_checksum": self.checksum,
            "state": self.state,
            "result_checksum": self.result,
            "language": self.definition.language,
            "result_celltype": self.definition.output,
            "pins": pins,
            "keys": {name: json.loads(text) for name, text in self.definition.keys.items()},
            "record": self.record,
            "reasons": self.reasons,
            "relatives": [
                {
                    "tf_checksum": relative.checksum,
                    "result_checksum": relative.result,
                    "differences": [one.as_dict() for one in relative.differences],
                }
                for relative in self.relatives
            ],
        }


def explain(
    sidecar: Sidecar,
    checksum: str,
    definition: Definition,
    *,
    journal: Iterable[Mapping[str, Any]] = (),
    at_hand: Read = lambda hexsum: None,
    limit: int = 1,
) -> Explanation:
    """Explain a transformation. `journal`: entries about its executions, the latest first. `at_hand`: gives
    buffers that need not be stored. The index must be up to date. Raises StoreError.
    """
    place = sidecar.place
    buffers = place.open_buffers()
    known = _known(place, checksum)
    stored = known.result is not None and buffers.has([Checksum(known.result)])[0]

    def read(hexsum: str) -> bytes | None:
        data = at_hand(hexsum)
        return data if data is not None else read_limited(buffers, hexsum, LONGEST)

    values = _values(definition, read)
    found = Explanation(checksum, definition, known.result, stored, known.record, values)
    events = [*known.reasons, *_journal_reasons(journal)]
    if known.result is not None and not stored:
        events.append(_why_gone(sidecar, known.result))
    found.reasons = _history(events)
    if limit:
        found.relatives = nearest(sidecar, checksum, definition, read, limit)
    return found


@dataclass
class _Known:
    result: str | None
    record: dict[str, Any] | None
    reasons: list[_Event]


_Event = tuple[float, str]  # when, in seconds since the epoch (0: not known), and what


def _known(place: Place, checksum: str) -> _Known:
    known = _Known(None, None, [])
    key = (checksum,)
    with connect(place) as database:
        query = "SELECT result FROM transformation WHERE checksum = ?"
        for (result,) in rows(database, query, key, checksums=slice(1)):
            known.result = result
        for (text,) in rows(database, "SELECT metadata FROM meta_data WHERE checksum = ?", key):
            known.record = sound_json(text, dict, "meta_data.metadata") or None
        query = "SELECT result, deleted_at, client FROM transformation_deletion WHERE checksum = ? ORDER BY id"
        for result, when, client in rows(database, query, key):
            known.reasons.append((_epoch(when), f"the result {_short(result)} was forgotten by {client}"))
        query = "SELECT result FROM irreproducible_transformation WHERE checksum = ? ORDER BY id"
        for (result,) in rows(database, query, key):
            known.reasons.append((0.0, f"the result {_short(result)} did not come again; it is registered as such"))
        query = "SELECT result, seen_at, client FROM transformation_conflict WHERE checksum = ? ORDER BY seen_at"
        for result, when, client in rows(database, query, key):
            known.reasons.append((_epoch(when), f"another result, {_short(result)}, from {client} was not taken"))
    return known


def _journal_reasons(journal: Iterable[Mapping[str, Any]]) -> list[_Event]:
    found = []
    for entry in journal:
        where = f"on {entry.get('host')} in {entry.get('cwd')}"
        if entry.get("exit_status"):
            text = f"failed with exit status {entry['exit_status']} {where}; failures are not kept"
        else:
            text = f"computed {where}, result {_short(entry.get('result_checksum'))}"
        found.append((float(entry.get("time", 0)), text))
    return found


def _why_gone(sidecar: Sidecar, result: str) -> _Event:
    at = sidecar.removed_at(bytes.fromhex(result))
    if at is None:
        text = "its content is not stored: it was scratch, or its file was lost or deleted; it is computed again"
        return float("inf"), text
    return at, "its content was removed by seamless-gc; it is computed again when it is needed"


def _history(events: Iterable[_Event]) -> list[str]:
    """Return what happened, the oldest first, in local time."""
    lines = []
    for when, text in sorted(events):
        known = 0 < when < float("inf")
        lines.append(f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(when))}: {text}" if known else text)
    return lines


def _epoch(text: str) -> float:
    """Return the seconds of a time in UTC as the database has it; 0 for any other text."""
    from calendar import timegm

    try:
        return float(timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))
    except (ValueError, TypeError):
        return 0.0


def _values(definition: Definition, read: Read) -> dict[str, str]:
    """Return the code and the short values of pins as text."""
    found = {}
    for name, pin in definition.pins.items():
        if pin.checksum is not None and name not in definition.deep:
            text = _text(read(pin.checksum), name == "code")
            if text is not None:
                found[name] = text
    return found


def _text(data: bytes | None, whole: bool) -> str | None:
    try:
        text = data.decode().rstrip("\n") if data is not None else None
    except UnicodeDecodeError:
        return None
    if text is None or (not whole and (len(text) > _SHORT_VALUE or not text.isprintable())):
        return None
    return text


def _short(checksum: str | None) -> str:
    return f"{str(checksum or '?')[:12]}.."
