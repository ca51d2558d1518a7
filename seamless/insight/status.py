"""What is in a store, what is being executed, and what has failed and was not computed since. Reads only."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from seamless.insight.dashboard.overview import View
from seamless.insight.inventory import Notify, take_inventory
from seamless.insight.place import Place, connect, irreproducible_steps, rows
from seamless.stores.failures import failures
from seamless.stores.values import sound_json

_WHERE = "(transformation "  # begins the line that says where a step was executed; after it comes what it has printed
_SIGNAL = re.compile(r"\(killed by [A-Z0-9]+\)").search


class Failed(NamedTuple):
    """A step that has failed: how often in the noted failures, the latest of them, and its result if it has one now."""

    checksum: str
    times: int
    title: str
    latest: dict[str, Any]
    result: str | None

    @property
    def reason(self) -> str:
        """One line that says why."""
        return reason_of(self.latest)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "tf_checksum": self.checksum,
            "result_checksum": self.result,
            "times": self.times,
            "title": self.title,
            "reason": self.reason,
            **{name: self.latest.get(name) for name in ("time", "host", "pid", "exit_status", "error", "stderr")},
        }


class Status(NamedTuple):
    """What `status` has found. Sizes in bytes."""

    place: Place
    results: int
    buffers: int
    size: int
    database: int
    free: int  # of the file system, for this user
    running: list[dict[str, Any]]
    failed: list[Failed]
    irreproducible: int

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "store": self.place.label,
            "directory": self.place.buffers,
            **{name: getattr(self, name) for name in ("results", "buffers", "size", "database", "free", "running")},
            "failed": [one.as_dict() for one in self.failed],
            "irreproducible": self.irreproducible,
        }


class Group(NamedTuple):
    """The steps with the same code: how many have results, and the wall times of their executions in seconds."""

    code: str  # checksum (hex); empty for steps whose definitions are not stored
    title: str
    results: int
    seconds: float
    longest: float

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"code_checksum": self.code, **{name: getattr(self, name) for name in self._fields[1:]}}


def status(place: Place) -> Status:
    """Look at a store; the names of all its buffers are read. Raises StoreError, OSError."""
    inventory = take_inventory(place)
    with connect(place) as database:
        results = next(rows(database, "SELECT COUNT(*) FROM transformation"), (0,))[0]
    disk = os.statvfs(place.buffers)
    return Status(
        place,
        results,
        len(inventory.items),
        inventory.size,
        sum(_size(place.database + ending) for ending in ("", "-wal")),
        disk.f_bavail * disk.f_frsize,
        View(place).running(),
        [one for one in failed_steps(place) if one.result is None],
        len(irreproducible_steps(place)),
    )


def failed_steps(place: Place, *, since: float = 0.0) -> list[Failed]:
    """Return each step of the noted failures since a time (seconds since the epoch), the latest failure first."""
    view = View(place)
    grouped: dict[str, list[dict[str, Any]]] = {}
    for entry in failures(place.results):
        if (_number(entry.get("time")) or 0.0) >= since:
            grouped.setdefault(entry["tf_checksum"], []).append(entry)
    known = _known(place, grouped)
    return [
        Failed(step, len(entries), view.failed_title(entries[0]), entries[0], known.get(step))
        for step, entries in grouped.items()
    ]


def by_code(place: Place, notify: Notify = lambda n: None) -> list[Group]:
    """Return the steps that have results, by their code, most of them first. The definition of each is read."""
    view = View(place)
    times: dict[str, list[float]] = {}
    query = (
        "SELECT t.checksum, m.metadata FROM transformation t LEFT JOIN meta_data m "
        "ON m.checksum = t.checksum AND m.result = t.result"
    )
    with connect(place) as database:
        for step, metadata in rows(database, query, checksums=slice(1)):
            definition = view.definition(step)
            pin = definition.pins.get("code") if definition is not None else None
            record = sound_json(metadata, dict, "meta_data.metadata") or {} if metadata else {}
            code = (pin.checksum if pin is not None else None) or ""
            times.setdefault(code, []).append(_number(record.get("wall_time_seconds")) or 0.0)
            notify(1)
    groups = [
        Group(code, view.code_title(code), len(found), round(sum(found), 3), round(max(found), 3))
        for code, found in times.items()
    ]
    return sorted(groups, key=lambda group: (-group.results, -group.seconds, group.title))


def known_result(place: Place, step: str) -> str | None:
    """Return the result (hex) of a transformation (hex), or None. Raises StoreError."""
    return _known(place, [step]).get(step)


def reason_of(entry: dict[str, Any]) -> str:
    """Return one line that says why a step has failed.

    >>> reason_of({"exit_status": 2, "stderr": "reading\\nno such key\\n"})
    'exit status 2: no such key'
    >>> reason_of({"exit_status": None, "error": "Traceback ...\\nValueError: 3\\n(transformation 0a, process 7)\\n"})
    'ValueError: 3'
    """
    error, code = str(entry.get("error") or ""), entry.get("exit_status")
    if code:
        found = _SIGNAL(error)
        said = _last(str(entry.get("stderr") or "").splitlines())
        return f"exit status {code}{' ' + found.group() if found else ''}{': ' + said if said else ''}"
    lines = error.splitlines()
    places = [number for number, line in enumerate(lines) if line.startswith(_WHERE)]
    return _last(lines[: places[0]] if places else lines) or "no reason was noted"


def _last(lines: list[str]) -> str:
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _known(place: Place, steps: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    with connect(place) as database:
        for step in steps:
            query = "SELECT checksum, result FROM transformation WHERE checksum = ?"
            found.update(rows(database, query, (step,), checksums=slice(2)))
    return found


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
