"""A program of the tests: an operation on a store, with a fault at every call of the file system in turn.

sweep.py SHIM OPERATION ERRNO WORKDIR; ERRNO 0: the process is killed. Prints one JSON object.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import sqlite3
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seamless.celltypes import serialize
from seamless.checksum import Checksum
from seamless.cli.storage import take_in
from seamless.errors import SeamlessError
from seamless.insight.archive import read_archive, write_archive
from seamless.insight.closure import closure
from seamless.insight.collection import Criteria, plan, remove
from seamless.insight.place import checked_place
from seamless.insight.sidecar import Sidecar
from seamless.stores.embedded import EmbeddedStore, open_embedded
from seamless.transformer.identity import transformation_buffer

OLD = [b"an old buffer", bytes(range(256)) * 100]
NEW = [b"a new buffer", b"another one", bytes(range(256)) * 400]
MOST = 400  # calls of one operation


def put(store: EmbeddedStore, *data: bytes) -> list[str]:
    store.buffers.put((Checksum.of(d), d) for d in data)
    return [Checksum.of(d).hex() for d in data]


def step(store: EmbeddedStore, name: str, result: bytes) -> str:
    """Store a step whose result can be computed again."""
    (code, value) = put(store, f"def {name}(): pass\n".encode(), result)
    definition: dict[str, Any] = {
        "__language__": "python",
        "__output__": ["result", "bytes", None],
        "code": ["python", "transformer", code],
    }
    (checksum,) = put(store, transformation_buffer(definition))
    store.results.set_result(Checksum(checksum), Checksum(value))
    return checksum


def operation_put(store: EmbeddedStore, work: Path) -> None:
    put(store, *NEW)


def operation_ingest(store: EmbeddedStore, work: Path) -> None:
    store.buffers.ingest(work / "file")


def operation_result(store: EmbeddedStore, work: Path) -> None:
    step(store, "new", NEW[0])


def operation_gc(store: EmbeddedStore, work: Path) -> None:
    with Sidecar(checked_place(store.directory)) as sidecar:
        sidecar.update()
        done = remove(sidecar, plan(sidecar, Criteria(max_size=0, grace=0.0)))
    if done.problems:
        raise SeamlessError(done.problems[0])


def operation_import(store: EmbeddedStore, work: Path) -> None:
    read_archive(str(work / "archive.tar"), store.buffers, store.results, take_in)


OPERATIONS: dict[str, Callable[[EmbeddedStore, Path], None]] = {
    name.removeprefix("operation_"): function
    for name, function in list(globals().items())
    if name.startswith("operation_")
}


def prepare(work: Path) -> tuple[str, str]:
    """Make the store that operations begin with, and what they take in; return the old step and its result."""
    (work / "file").write_bytes(NEW[2])
    other = open_embedded(work / "other")
    root = step(other, "imported", NEW[1])
    found = closure([Checksum(root)], other.buffers, other.results)
    write_archive(found, other.buffers, str(work / "archive.tar"))
    store = open_embedded(work / "template")
    put(store, *OLD)
    old = step(store, "old", b"an old result")
    store.results.close()
    return old, Checksum.of(b"an old result").hex()


def effect(name: str, store: EmbeddedStore) -> list[str]:
    """Return what an acknowledged operation lacks."""
    wanted = {"put": NEW, "ingest": NEW[2:], "result": NEW[:1], "import": NEW[1:2], "gc": []}[name]
    missing = [f"{d[:12]!r} is missing" for d in wanted if store.buffers.get(Checksum.of(d)) != d]
    if name in ("result", "import"):
        missing += [] if store.results.get_transformations(Checksum.of(wanted[0])) else ["the result is not known"]
    if name == "gc" and store.buffers.has([Checksum.of(b"an old result")])[0]:
        missing.append("the derivable buffer is still there")
    return missing


def wrong(name: str, directory: Path, old: tuple[str, str]) -> list[str]:
    """Return what is wrong with a store after a fault."""
    store = open_embedded(directory)
    found = []
    for checksum in list(store.buffers.iter_checksums()):
        try:
            data = store.buffers.get(checksum)
        except SeamlessError as exc:
            found.append(f"torn: {exc}")
            continue
        if data is None or Checksum.of(data) != checksum:
            found.append(f"{checksum} was served with other bytes")
    found += [f"lost: {d[:12]!r}" for d in OLD if store.buffers.get(Checksum.of(d)) != d]
    result = store.results.get_result(Checksum(old[0]))
    if result is None or result.hex() != old[1]:
        found.append("the earlier result is not known any more")
    store.results.close()
    with contextlib.closing(sqlite3.connect(directory / "seamless.db")) as connection:
        if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            found.append("the database is damaged")
        for (value,) in connection.execute("SELECT result FROM transformation").fetchall():
            if name != "gc" and not store.buffers.has([Checksum(value)])[0]:
                found.append(f"the result {value} is visible without its buffer")
    return found


def after(name: str, directory: Path, work: Path, old: tuple[str, str], acknowledged: bool) -> list[str]:
    """Return what is wrong after a fault, after the repetition of the operation, and after a sweep."""
    found = wrong(name, directory, old)
    store = open_embedded(directory)
    if acknowledged:
        found += [f"acknowledged, but {text}" for text in effect(name, store)]
    OPERATIONS[name](store, work)
    found += [f"repeated, but {text}" for text in effect(name, store)]
    store.buffers.sweep(older_than=0)
    store.results.close()
    found += wrong(name, directory, old)
    stats = store.buffers.stats()
    if stats["temporary"] or stats["corrupt"]:
        found.append(f"left: {stats}")
    return found


def attempt(shim: Any, name: str, directory: Path, work: Path, call: int, error: int) -> tuple[int, str]:
    """Do the operation in a process of its own; return its status and its message, or (without a fault) its calls."""
    end, begin = os.pipe()
    pid = os.fork()
    if pid == 0:
        status, text = 0, ""
        shim.faults_arm(os.fsencode(directory), call, error)
        try:
            store = open_embedded(directory)
            OPERATIONS[name](store, work)
            store.results.close()
            text = str(shim.faults_count())
        except (SeamlessError, OSError) as exc:
            status, text = 1, f"{type(exc).__name__}: {exc}"
        except BaseException:  # noqa: BLE001 - the child of a fork must end here; the parent reports it
            status, text = 2, traceback.format_exc()
        shim.faults_disarm()
        os.write(begin, text.encode()[:60_000])
        os._exit(status)
    os.close(begin)
    with open(end, "rb") as pipe:
        message = pipe.read().decode()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), message


def main() -> None:
    shim = ctypes.CDLL(sys.argv[1])
    shim.faults_arm.argtypes = (ctypes.c_char_p, ctypes.c_long, ctypes.c_int)
    shim.faults_count.restype = ctypes.c_long
    name, error, work = sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
    old = prepare(work)
    problems: list[str] = []
    faults = acknowledged = 0
    calls = 0
    for call in range(MOST):
        directory = work / f"case{call}"
        shutil.copytree(work / "template", directory)
        status, message = attempt(shim, name, directory, work, call, error)
        if call == 0:
            calls = int(message)
        else:
            faults += 1
            acknowledged += status == 0
            if status not in ((137,) if error == 0 else (0, 1)):
                problems.append(f"call {call}: ended with {status}: {message[-1500:]}")
            elif status == 1 and (not message.strip() or "\n" in message):
                problems.append(f"call {call}: not one clear message: {message!r}")
        try:
            problems += [f"call {call}: {text}" for text in after(name, directory, work, old, status == 0)]
        except (SeamlessError, OSError, sqlite3.Error) as exc:
            problems.append(f"call {call}: the store is not usable any more: {type(exc).__name__}: {exc}")
        shutil.rmtree(directory)
        if call >= calls:
            break
    print(json.dumps({"operation": name, "calls": calls, "faults": faults, "acknowledged": acknowledged,
                      "problems": problems}))  # fmt: skip


if __name__ == "__main__":
    # Makes serialisation part of what is loaded before the first fork.
    serialize(0, "plain")
    main()
