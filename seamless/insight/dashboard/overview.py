"""What the dashboard shows of a store: running, recent and failed transformations, and sizes. Bounded reads only."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from seamless.checksum import Checksum
from seamless.insight.dashboard.health import Databases
from seamless.insight.definition import Definition, definition_of, is_hex
from seamless.insight.inventory import take_inventory
from seamless.insight.place import Place, connect, rows
from seamless.insight.relatives import read_limited
from seamless.stores.claims import DIRECTORY, FileClaims
from seamless.stores.failures import NAME as FAILURES
from seamless.stores.failures import failures
from seamless.stores.layout import Layout
from seamless.stores.values import sound_json

RECENT = 50  # transformations that are listed
SHOWN = 50  # failures, and running transformations, that are listed
TITLE = 160  # characters of code
UNNAMED = "transformer"  # what a step is called that was executed by its checksum
LONGEST = 1 << 16  # bytes of a definition or of code that are read
_FRAME = ("#", "@", "mkdir -p RESULT")  # lines of code that do not tell one step from another
_STALE = 60.0  # seconds after which sizes are counted again


class View:
    """One store as the dashboard sees it. Thread-safe; sizes are counted in the background, once a minute at most."""

    def __init__(self, place: Place):
        self.place = place
        self._buffers = place.open_buffers()
        self._claims = FileClaims(place.results, writable=False)
        self._databases = Databases(place.database)
        self._sizes: dict[str, int] | None = None
        self._counted, self._counting = 0.0, threading.Lock()

    def overview(self) -> dict[str, Any]:
        """Return everything that the first page shows of the store. Raises StoreError."""
        failed = failures(self.place.results)
        return {
            "label": self.place.label,
            "directory": self.place.buffers,
            "sizes": self._sizes_known(),
            "transformations": self._count(),
            "running": self.running(),
            "recent": self.recent(),
            "failures": [{**entry, "title": self.failed_title(entry)} for entry in failed[:SHOWN]],
        }

    def signature(self) -> tuple[Any, ...]:
        """Return what changes when something begins, ends or fails. Cheap: asked every second. Blocks."""
        try:
            under_way = tuple(sorted(os.listdir(os.path.join(self.place.results, DIRECTORY))))
        except OSError:
            under_way = ()
        served = tuple(entry["tf_checksum"] for entry in self._databases.running())
        return (
            *under_way,
            *served,
            *(_state(self.place.file(name)) for name in (FAILURES, "seamless.db", "seamless.db-wal")),
        )

    def running(self) -> list[dict[str, Any]]:
        """Return the transformations that are executed now, by whom and since when; the longest running first.

        With this store as files, or through the database server of this machine that serves it. At most 50.
        """
        try:
            names = os.listdir(os.path.join(self.place.results, DIRECTORY))
        except OSError:
            names = []
        found = {entry["tf_checksum"]: entry for entry in self._databases.running()}
        for name in names:
            step = name.removesuffix(".lock")
            holder = self._claims.running(step) if is_hex(step) else None
            if holder is not None:  # without one its process has died
                found[step] = {"tf_checksum": step, **holder}
        listed = sorted(found.values(), key=lambda entry: entry.get("start") or 0)
        return [{**entry, "title": self.title(entry["tf_checksum"])} for entry in listed[:SHOWN]]

    def recent(self) -> list[dict[str, Any]]:
        """Return the transformations with the latest results, the latest first, with what their records say."""
        query = (
            "SELECT t.checksum, t.result, m.metadata FROM transformation t LEFT JOIN meta_data m "
            "ON m.checksum = t.checksum AND m.result = t.result ORDER BY t.rowid DESC LIMIT ?"
        )
        with connect(self.place) as database:
            listed = list(rows(database, query, (RECENT,), checksums=slice(2)))
        return [self._recent(*row) for row in listed]

    def definition(self, step: str) -> Definition | None:
        """Return what a stored transformation says, or None."""
        data = read_limited(self._buffers, step, LONGEST)
        return definition_of(data) if data is not None else None

    def title(self, step: str) -> str:
        """Return the first line of the code of a step that says something; empty if it is not stored."""
        definition = self.definition(step)
        pin = definition.pins.get("code") if definition is not None else None
        return self.code_title(pin.checksum) if pin is not None and pin.checksum else ""

    def code_title(self, code: str) -> str:
        """Return the first line of a piece of code (hex) that says something; empty if it is not stored."""
        data = read_limited(self._buffers, code, LONGEST) if code else None
        return title_of(data.decode(errors="replace")) if data is not None else ""

    def failed_title(self, entry: dict[str, Any]) -> str:
        """Return one line that tells which step an entry of the failures is about."""
        command = str(entry.get("command") or "")
        if command not in ("", UNNAMED) and entry.get("exit_status"):
            return title_of(command)
        return self.title(entry["tf_checksum"]) or command

    def _recent(self, step: str, result: str, metadata: str | None) -> dict[str, Any]:
        record = sound_json(metadata, dict, "meta_data.metadata") or {} if metadata else {}
        return {
            "tf_checksum": step,
            "result_checksum": result,
            "title": self.title(step),
            "stored": self._when(result),
            "seconds": record.get("wall_time_seconds"),
            "memory": record.get("memory_peak_bytes"),
            "host": record.get("hostname") or record.get("remote_target"),
            "mode": record.get("execution_mode"),
        }

    def _when(self, result: str) -> float | None:
        """Return when the buffer of a result was stored; None if it is not, or is compressed."""
        try:
            return os.stat(Layout(self.place.buffers, create=False).base(result)).st_mtime
        except OSError:
            return None

    def _count(self) -> int:
        with connect(self.place) as database:
            return next(rows(database, "SELECT COUNT(*) FROM transformation"), (0,))[0]  # type: ignore[no-any-return]

    def _sizes_known(self) -> dict[str, int] | None:
        """Return what was counted last; None if it is being counted for the first time."""
        if time.monotonic() - self._counted > _STALE and self._counting.acquire(blocking=False):
            threading.Thread(target=self._measure, name="seamless-dashboard-sizes", daemon=True).start()
        return self._sizes

    def _measure(self) -> None:
        try:
            found = take_inventory(self.place)
            size = found.size
            database = sum(_state(self.place.file(name))[1] for name in ("seamless.db", "seamless.db-wal"))
            self._sizes = {"buffers": len(found.items), "bytes": size, "database": database}
        finally:
            self._counted = time.monotonic()
            self._counting.release()

    def stored_length(self, checksum: str) -> int | None:
        """Return the bytes of a buffer, or None if it is not stored."""
        return self._buffers.length(Checksum(checksum))


def title_of(code: str) -> str:
    """Return one line for a piece of code.

    >>> title_of("# a comment\\ndef f(x):\\n  return x")
    'def f(x):'
    """
    lines = [line.strip() for line in code.splitlines()]
    said = [line for line in lines if line and line not in "(){}" and not line.startswith(_FRAME)]
    line = said[0] if said else ""
    return line if len(line) <= TITLE else line[: TITLE - 1] + "…"


def _state(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
