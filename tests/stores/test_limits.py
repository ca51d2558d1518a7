"""Directories that may not be written, and file systems that are full."""

from __future__ import annotations

import errno
import fcntl  # noqa: F401 - an unprivileged process may not be able to import it
import json  # noqa: F401
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from seamless.checksum import Checksum
from seamless.errors import StoreError, StoreFullError, StoreReadOnlyError
from seamless.stores import copying, facts, memory  # noqa: F401 - as above
from seamless.stores.database import ResultDatabase
from seamless.stores.directory import BufferDirectory
from seamless.stores.embedded import open_embedded
from seamless.stores.errors import store_error
from tests.helpers import disk

TF, RESULT = Checksum.of(b"tf"), Checksum.of(b"result")


@pytest.fixture
def readable_store(public_dir: Path) -> Iterator[Path]:
    """Return a store with one result that everybody may read and nobody but its owner may write."""
    store = open_embedded(public_dir / "store")
    store.buffers.put([(RESULT, b"result")])
    store.results.set_result(TF, RESULT)
    store.results.close()
    for directory, _, files in os.walk(public_dir / "store"):
        os.chmod(directory, 0o555)
        for name in files:
            os.chmod(os.path.join(directory, name), 0o444)
    yield public_dir / "store"


def everything(path: Path) -> list[str]:
    return sorted(str(p) for p in path.rglob("*"))


def test_the_store_of_another_user_can_be_read_and_is_never_written(readable_store, unprivileged):
    before = everything(readable_store)

    def action() -> None:
        store = open_embedded(readable_store)
        assert not store.buffers.writable and not store.results.writable
        assert store.results.get_result(TF) == RESULT
        assert store.results.get_transformations(RESULT) == [TF]
        assert store.buffers.get(RESULT) == b"result"
        with store.results.claim(TF):
            assert store.results.running(TF) is None
        for write in (lambda: store.buffers.put([]), lambda: store.results.set_result(TF, TF)):
            with pytest.raises(StoreReadOnlyError):
                write()
        with pytest.raises(StoreReadOnlyError):
            open_embedded(readable_store, writable=True)

    unprivileged(action)
    assert everything(readable_store) == before


def test_a_result_database_that_is_being_written_can_be_read_by_others(readable_store, unprivileged):
    os.chmod(readable_store, 0o755)
    os.chmod(readable_store / "seamless.db", 0o644)
    writer = ResultDatabase(readable_store / "seamless.db")
    later = Checksum.of(b"later")
    writer.set_result(later, RESULT)  # in the -wal file only

    def action() -> None:
        reader = ResultDatabase(readable_store / "seamless.db")
        assert not reader.writable
        assert reader.get_result(later) == RESULT

    unprivileged(action)
    writer.close()


def test_a_read_only_directory_without_database_is_a_store_without_results(readable_store, unprivileged):
    os.chmod(readable_store, 0o755)
    (readable_store / "seamless.db").unlink()
    os.chmod(readable_store, 0o555)

    def action() -> None:
        store = open_embedded(readable_store)
        assert store.results.get_result(TF) is None
        assert store.buffers.get(RESULT) == b"result"

    unprivileged(action)


def test_a_directory_that_cannot_be_created_is_one_clear_error(public_dir, unprivileged):
    os.chmod(public_dir, 0o555)

    def action() -> None:
        with pytest.raises(StoreError, match="make it writable, or use another cache directory"):
            open_embedded(public_dir / "sub" / "store")

    unprivileged(action)


def test_a_subdirectory_that_may_not_be_written_is_named(public_dir, unprivileged):
    BufferDirectory(public_dir)
    directory = public_dir / RESULT.hex()[:2]
    directory.mkdir()
    os.chmod(directory, 0o555)
    os.chmod(public_dir, 0o777)

    def action() -> None:
        with pytest.raises(StoreReadOnlyError, match=str(directory)):
            BufferDirectory(public_dir).put([(RESULT, b"result")])

    unprivileged(action)


def test_a_directory_on_a_read_only_file_system_can_be_read(tmp_path, require):
    require(os.geteuid() == 0, "mounting needs root")
    store = open_embedded(tmp_path / "store")
    store.buffers.put([(RESULT, b"result")])
    store.results.set_result(TF, RESULT)
    store.results.close()
    (tmp_path / "mount").mkdir()
    bind = ["mount", "--bind", str(tmp_path / "store"), str(tmp_path / "mount")]
    require(subprocess.run(bind, check=False, capture_output=True).returncode == 0, "bind mounts are not permitted")
    try:
        remount = ["mount", "-o", "remount,bind,ro", str(tmp_path / "mount")]
        subprocess.run(remount, check=True, capture_output=True)
        reader = open_embedded(tmp_path / "mount")
        assert not reader.buffers.writable and not reader.results.writable
        assert reader.results.get_result(TF) == RESULT
        assert reader.buffers.get(RESULT) == b"result"
        reader.results.close()
    finally:
        subprocess.run(["umount", str(tmp_path / "mount")], check=True)


@pytest.fixture
def small_disk(tmp_path: Path, require) -> Iterator[Path]:
    """Return a file system of 4 MiB."""
    with disk.small_disk(tmp_path, require, 4) as place:
        yield place


def test_a_full_disk_is_named_with_the_bytes_needed_and_nothing_is_left(small_disk, tmp_path):
    buffers = BufferDirectory(small_disk / "b")
    large = os.urandom(5 << 20)
    (tmp_path / "large").write_bytes(large)
    free = os.statvfs(small_disk).f_bavail
    with pytest.raises(StoreFullError, match=rf"{small_disk}.*{len(large)} bytes needed"):
        buffers.put([(Checksum.of(large), large)])
    for write in (
        lambda: buffers.ingest(tmp_path / "large"),
        lambda: buffers.put_file(Checksum.of(large), tmp_path / "large"),
        lambda: buffers.put((Checksum.of(d), d) for d in (os.urandom(1 << 16) for _ in range(100))),
    ):
        with pytest.raises(StoreFullError):
            write()
    assert buffers.stats()["temporary"] == 0
    assert [p.name for p in (small_disk / "b").iterdir() if p.is_file()] == [".HASHSERVER_PREFIX"]
    assert free - os.statvfs(small_disk).f_bavail < 300  # pages, for subdirectories
    buffers.put([(RESULT, b"result")])
    assert buffers.get(RESULT) == b"result"


def test_a_full_disk_leaves_the_database_whole(small_disk):
    database = ResultDatabase(small_disk / "seamless.db")
    database.set_result(TF, RESULT)
    (small_disk / "filler").write_bytes(b"")
    with open(small_disk / "filler", "wb", buffering=0) as f, pytest.raises(OSError, match="No space left"):
        while True:
            f.write(bytes(4096))
    stored = []
    with pytest.raises(StoreFullError, match=str(small_disk)):
        for i in range(10_000):
            database.set_results((Checksum.of(b"%d %d" % (i, j)), RESULT) for j in range(100))
            stored.append(Checksum.of(b"%d 0" % i))
    assert database.get_result(TF) == RESULT
    (small_disk / "filler").unlink()
    database.set_result(Checksum.of(b"after"), RESULT)
    assert database.get_results([*stored, Checksum.of(b"after")]) == [RESULT] * (len(stored) + 1)
    database.close()


@pytest.mark.parametrize(
    ("number", "kind", "text"),
    [
        (errno.ENOSPC, StoreFullError, "the file system is full"),
        (errno.EDQUOT, StoreFullError, "the quota is exhausted"),
        (errno.EROFS, StoreReadOnlyError, "Read-only file system"),
        (errno.EACCES, StoreReadOnlyError, "Permission denied"),
        (errno.EIO, StoreError, "Input/output error"),
    ],
)
def test_each_refusal_of_the_system_has_its_error(tmp_path, number, kind, text):
    error = store_error(OSError(number, os.strerror(number)), str(tmp_path), needed=5)
    assert type(error) is kind
    assert text in str(error) and str(tmp_path) in str(error)
