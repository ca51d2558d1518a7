"""From a small value to its checksum, against hashing the bytes alone, and an array against hashing its memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, in_turns

TITLE = "small value"
MICROSECONDS = 1e-6


def run(place: Path, quick: bool) -> list[Row]:
    import numpy as np

    from seamless import Buffer

    calls = 500 if quick else 5000
    values: list[tuple[str, str, Any]] = [
        ("int as mixed", "mixed", 12345),
        ("str as mixed", "mixed", "a short text"),
        ("dict of 3 as mixed", "mixed", {"a": 1, "b": 2.5, "c": "text"}),
        ("dict of 3 as plain", "plain", {"a": 1, "b": 2.5, "c": "text"}),
        ("10 numbers as binary", "binary", np.arange(10.0)),
    ]

    def checksums(value: Any, celltype: str) -> Callable[[], None]:
        def work() -> None:
            for _ in range(calls):
                Buffer(value, celltype).get_checksum()

        return work

    def hashes(content: bytes) -> Callable[[], None]:
        def work() -> None:
            for _ in range(calls):
                hashlib.sha256(content).digest()

        return work

    rows = []
    for name, celltype, value in values:
        content = Buffer(value, celltype).content
        times = in_turns({"ours": checksums(value, celltype), "hash": hashes(content)}, runs=5)
        limit = None if celltype == "binary" else 4 * MICROSECONDS
        rows.append(Row(name, times["ours"] / calls, "hashlib.sha256", times["hash"] / calls, limit=limit))
    array = np.random.default_rng(0).random((2 if quick else 12) * 1_000_000)
    times = in_turns(
        {"ours": lambda: Buffer(array, "binary").get_checksum(), "hash": lambda: hashlib.sha256(array).digest()}, runs=5
    )
    label = f"array of {array.nbytes / 1e6:.0f} MB as binary"
    return [*rows, Row(label, times["ours"], "hashlib.sha256", times["hash"], goal=1.5)]
