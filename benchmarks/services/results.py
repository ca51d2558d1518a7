"""The database server: lookups and sets with many in flight, against raw sqlite3 and the reference; memory."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.services.client import request, requests_per_second
from benchmarks.services.report import Line, medians
from benchmarks.services.servers import OURS, Rivals, Server, seamless_server

IN_FLIGHT = 30
ROUNDS = 3
RESULT = hashlib.sha256(b"result").hexdigest()
_TABLES = """
CREATE TABLE transformation (checksum CHAR(64) NOT NULL PRIMARY KEY, result CHAR(64) NOT NULL);
CREATE INDEX transformation_result ON transformation (result);
CREATE TABLE rev_transformation (id INTEGER PRIMARY KEY, result CHAR(64) NOT NULL, checksum CHAR(64) NOT NULL);
CREATE INDEX rev_transformation_result ON rev_transformation (result);
"""


class Raw:
    """The same rows without any server: one transaction for each set, as durable as ours by default."""

    def __init__(self, path: Path):
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _TABLES)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def sets(self, names: list[str]) -> float:
        """Return the sets per second."""
        execute = self._connection.execute
        start = time.perf_counter()
        for name in names:
            execute("BEGIN IMMEDIATE")
            execute("INSERT INTO transformation VALUES (?, ?)", (name, RESULT))
            execute("INSERT INTO rev_transformation (result, checksum) VALUES (?, ?)", (RESULT, name))
            execute("COMMIT")
        return len(names) / (time.perf_counter() - start)

    def lookups(self, names: list[str]) -> float:
        """Return the lookups per second."""
        execute = self._connection.execute
        start = time.perf_counter()
        for name in names:
            if execute("SELECT result FROM transformation WHERE checksum = ?", (name,)).fetchone() is None:
                raise KeyError(name)
        return len(names) / (time.perf_counter() - start)


def run(place: Path, quick: bool, rivals: Rivals) -> list[Line]:
    """Measure in `place`, a directory that is empty."""
    counts = {"ours": 60, "reference": 40} if quick else {"ours": 5000, "reference": 400}
    repeats = 1 if quick else 2
    with contextlib.ExitStack() as stack:
        servers = {"ours": stack.enter_context(_served(OURS, place / "ours.db", place))}
        if rivals.reference is not None:
            servers["reference"] = stack.enter_context(_served(rivals.reference, place / "reference.db", place))
        raw = stack.enter_context(contextlib.closing(Raw(place / "raw.db")))
        numbers = itertools.count()
        known: dict[str, list[str]] = {"raw sqlite3": [], **{kind: [] for kind in servers}}

        def new(kind: str) -> list[str]:
            count = counts.get(kind, counts["ours"])
            known[kind] = [hashlib.sha256(b"%d" % n).hexdigest() for n in itertools.islice(numbers, count)]
            return known[kind]

        sets = medians(
            {**{kind: _sets(server, kind, new) for kind, server in servers.items()},
             "raw sqlite3": lambda: raw.sets(new("raw sqlite3"))}, ROUNDS,
        )  # fmt: skip
        lookups = medians(
            {**{kind: _lookups(server, known[kind] * repeats) for kind, server in servers.items()},
             "raw sqlite3": lambda: raw.lookups(known["raw sqlite3"] * repeats)}, ROUNDS,
        )  # fmt: skip
        ours = servers["ours"]
        return [
            *_compared(f"lookup, {IN_FLIGHT} in flight", lookups, goal=15_000),
            *_compared(f"set, {IN_FLIGHT} in flight", sets, goal=8_000),
            Line("seamless-database, resident", ours.resident(), "MB", goal=100),
            Line("seamless-database, resident at most", ours.resident(peak=True), "MB"),
        ]


@contextlib.contextmanager
def _served(commands: Path, path: Path, place: Path) -> Iterator[Server]:
    # The reference does not start without --writable.
    with seamless_server(commands, "seamless-database", str(path), "--writable", place=place) as server:
        yield server


def _sets(server: Server, kind: str, new: Callable[[str], list[str]]) -> Callable[[], float]:
    def measure() -> float:
        requests = [
            request("PUT", "/", json.dumps({"type": "transformation", "checksum": name, "value": RESULT}).encode())
            for name in new(kind)
        ]
        return requests_per_second(server.port, requests, IN_FLIGHT)

    return measure


def _lookups(server: Server, names: list[str]) -> Callable[[], float]:
    requests = [
        request("GET", "/", json.dumps({"type": "transformation", "checksum": name}).encode()) for name in names
    ]
    return lambda: requests_per_second(server.port, requests, IN_FLIGHT)


def _compared(subject: str, values: dict[str, float], goal: float) -> list[Line]:
    ours = values.pop("ours")
    goals = {"reference": 10.0}
    lines = [Line(subject, ours, "requests/s", name, value, goals.get(name)) for name, value in values.items()]
    lines[-1].goal = goal
    return lines
