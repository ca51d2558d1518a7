"""A store of many transformations, made quickly: real definitions and results, large results as sparse files.

Sparse files have a length and no bytes, so that they are not what their names say: nothing reads them here.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from pathlib import Path

from seamless.stores import schema
from seamless.stores.embedded import DATABASE
from seamless.stores.layout import MARKER
from seamless.transformer.identity import transformation_buffer

CODES = 50  # different functions
LARGE = 10  # every so many results are large
USED = time.time() - 7 * 86400  # when everything was used last


def build(directory: Path, steps: int, size: int) -> str:
    """Make a store of `steps` transformations with `size` bytes of results; return one transformation (hex)."""
    directory.mkdir(parents=True)
    (directory / MARKER).write_text("1\n")
    for number in range(256):
        (directory / f"{number:02x}").mkdir()
    codes = [_put(directory, f"def step(a, b, c):\n    return a * {i} + b - c\n".encode()) for i in range(CODES)]
    small = [_put(directory, b"%d\n" % i) for i in range(1000)]
    length = size // max(1, steps // LARGE)
    pairs: list[tuple[str, str]] = []
    last = ""
    for i in range(steps):
        before = pairs[i - 1][1] if i % 4 == 3 else small[i // 1000 % 1000]
        definition = {
            "__language__": "python",
            "__output__": ["result", "mixed", None],
            "code": ["python", "transformer", codes[i % CODES]],
            "a": ["int", None, small[i % 1000]],
            "b": ["int", None, small[i * 7 % 1000]],
            "c": ["mixed", None, before],
        }
        last = _put(directory, transformation_buffer(definition))
        if i % LARGE:
            result = _put(directory, b"result %d\n" % i)
        else:
            result = hashlib.sha256(b"large %d" % i).hexdigest()
            _file(f"{directory}/{result[:2]}/{result}", b"", length)
        pairs.append((last, result))
    _write_database(directory, pairs)
    return last


def _put(directory: Path, data: bytes) -> str:
    name = hashlib.sha256(data).hexdigest()
    _file(f"{directory}/{name[:2]}/{name}", data, len(data))
    return name


def _file(path: str, data: bytes, length: int) -> None:
    """Make a file that has not been used for long; beyond the data it is sparse."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o444)
    try:
        os.write(fd, data)
        if length > len(data):
            os.ftruncate(fd, length)
        os.utime(fd, (USED, USED))
    finally:
        os.close(fd)


def _write_database(directory: Path, pairs: list[tuple[str, str]]) -> None:
    connection = sqlite3.connect(directory / DATABASE)
    with connection:
        for statement in schema.statements():
            connection.execute(statement)
        connection.executemany("INSERT INTO transformation (checksum, result) VALUES (?, ?)", pairs)
        connection.executemany("INSERT INTO rev_transformation (checksum, result) VALUES (?, ?)", pairs)
        records = [
            (step, result, json.dumps({"schema_version": 1, "tf_checksum": step, "result_checksum": result}))
            for step, result in pairs
        ]
        connection.executemany("INSERT INTO meta_data (checksum, result, metadata) VALUES (?, ?, ?)", records)
    connection.close()
