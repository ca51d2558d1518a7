from __future__ import annotations

import hashlib
import io
import os
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seamless.checksum import Checksum
from seamless.errors import BufferCorruptionError, StoreReadOnlyError
from seamless.session import BufferStore
from seamless.stores import verify
from seamless.stores.directory import BufferDirectory
from seamless.stores.incoming import pump

LARGE = (b"0123456789abcde\n" * 65536) * 5 + b"end"  # over the size up to which files are read whole


def names(buffers: BufferDirectory) -> list[str]:
    return sorted(p.name for p in Path(buffers.name).rglob("*") if p.is_file() and p.name != ".HASHSERVER_PREFIX")


def damage(path: str | None) -> None:
    assert path is not None
    data = bytearray(Path(path).read_bytes())
    data[len(data) // 2] ^= 1
    os.chmod(path, 0o644)
    Path(path).write_bytes(data)


def test_a_buffer_directory_is_a_buffer_store(buffers):
    assert isinstance(buffers, BufferStore)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=200), max_size=20))
def test_what_is_put_can_be_got_in_every_way(buffers, contents):
    checksums = [Checksum.of(data) for data in contents]
    buffers.put(zip(checksums, contents, strict=True))
    assert buffers.has(checksums) == [True] * len(contents)
    for checksum, data in zip(checksums, contents, strict=True):
        assert buffers.get(checksum) == data
        assert buffers.length(checksum) == len(data)
        with buffers.open(checksum) as f:
            assert f.read() == data


def test_an_absent_buffer_is_none_everywhere(buffers, tmp_path):
    absent = Checksum.of(b"absent")
    assert buffers.get(absent) is None
    assert buffers.open(absent) is None
    assert buffers.length(absent) is None
    assert buffers.path_of(absent) is None
    assert buffers.has([absent]) == [False]
    assert buffers.copy_to(absent, tmp_path / "copy") is False
    assert buffers.remove(absent) is False
    assert not (tmp_path / "copy").exists()


def test_a_large_batch_is_asked_for_like_a_small_one(buffers):
    data = [str(i).encode() for i in range(2000)]
    present = [Checksum.of(d) for d in data if Checksum.of(d).hex().startswith("0")]
    buffers.put((Checksum.of(d), d) for d in data if Checksum.of(d) in set(present))
    absent = [Checksum("00" + f"{i:062x}") for i in range(100)]
    assert buffers.has(present + absent) == [True] * len(present) + [False] * len(absent)


@pytest.mark.parametrize("data", [memoryview(b"abcd"), bytearray(b"abcd"), memoryview(b"a.b.c.d.")[::2]])
def test_any_bytes_like_object_can_be_put(buffers, data):
    buffers.put([(Checksum.of(b"abcd"), data)])
    assert buffers.get(Checksum.of(b"abcd")) == b"abcd"


def test_bytes_with_another_checksum_are_refused_and_leave_nothing(buffers):
    for data in (b"other", LARGE):
        with pytest.raises(BufferCorruptionError) as caught:
            buffers.put([(Checksum.of(b"x"), data)])
        assert caught.value.found == Checksum.of(data).hex()
    assert names(buffers) == []


def test_an_error_of_the_generator_passes_through_and_leaves_nothing_half_written(buffers, pair):
    def items():
        yield pair()
        raise FileNotFoundError("source")

    with pytest.raises(FileNotFoundError, match="source"):
        buffers.put(items())
    assert names(buffers) == []


def test_a_batch_larger_than_one_group_is_stored_completely(buffers):
    data = [str(i).encode() for i in range(600)]
    buffers.put((Checksum.of(d), d) for d in data)
    assert buffers.stats()["buffers"] == 600


def test_a_present_buffer_is_not_written_again(buffers, pair):
    buffers.put([pair(), pair()])
    before = os.stat(buffers.path_of(pair()[0]))
    buffers.put([pair()])
    BufferDirectory(buffers.name).put([pair()])
    assert os.stat(buffers.path_of(pair()[0])).st_ino == before.st_ino


@pytest.mark.parametrize("content", [b"", b"some dada\n", b"some data\n and more"])
def test_a_bad_file_is_replaced_by_the_next_put(tmp_path, pair, content):
    checksum, data = pair()
    path = tmp_path / checksum.hex()[:2] / checksum.hex()
    path.parent.mkdir()
    path.write_bytes(content)
    buffers = BufferDirectory(tmp_path)
    buffers.put([(checksum, data)])
    assert path.read_bytes() == data


def test_damage_after_verification_is_noticed(buffers, pair, tmp_path):
    checksum, data = pair(LARGE)
    buffers.put([(checksum, data)])
    with buffers.open(checksum) as f:
        assert f.read(4) == LARGE[:4]
    damage(buffers.path_of(checksum))
    with pytest.raises(BufferCorruptionError):
        buffers.open(checksum)
    buffers.put([(checksum, data)])
    assert buffers.copy_to(checksum, tmp_path / "copy")
    damage(buffers.path_of(checksum))
    (tmp_path / "copy").unlink()
    with pytest.raises(BufferCorruptionError):
        buffers.copy_to(checksum, tmp_path / "copy")
    assert os.listdir(tmp_path) == ["buffers"]


def test_damage_that_leaves_no_trace_in_the_status_is_noticed_by_get(buffers, pair):
    checksum, data = pair()
    buffers.put([(checksum, data)])
    path = buffers.path_of(checksum)
    status = os.stat(path)
    damage(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(BufferCorruptionError):
        buffers.get(checksum)


def test_a_corrupt_file_is_moved_aside_and_the_error_names_both(buffers, pair):
    checksum, data = pair()
    for suffix in (".CORRUPT", ".CORRUPT-2"):
        buffers.put([(checksum, data)])
        path = buffers.path_of(checksum)
        damage(path)
        with pytest.raises(BufferCorruptionError) as caught:
            buffers.get(checksum)
        assert caught.value.quarantined == path + suffix
        assert caught.value.found == Checksum.of(Path(path + suffix).read_bytes()).hex()
        assert path in str(caught.value) and caught.value.quarantined in str(caught.value)
        assert buffers.get(checksum) is None
        assert buffers.has([checksum]) == [False]
    assert buffers.stats()["corrupt"] == 2


@pytest.mark.parametrize("taken_again", [False, True])
def test_a_file_that_was_replaced_in_the_meantime_is_not_moved_aside(tmp_path, monkeypatch, taken_again):
    path = tmp_path / "f"
    path.write_bytes(b"bad")
    bad = verify.Bad(str(path), verify.state_of(path.stat()), None)
    (tmp_path / "new").write_bytes(b"good")
    os.replace(tmp_path / "new", path)
    rename = os.rename

    def rename_and_be_overtaken(source: str, target: str) -> None:
        rename(source, target)
        if taken_again:
            path.write_bytes(b"good too")

    monkeypatch.setattr(os, "rename", rename_and_be_overtaken)
    assert verify.move_aside(bad) is None
    assert [p.name for p in tmp_path.iterdir()] == ["f"]
    assert path.read_bytes() == (b"good too" if taken_again else b"good")


def test_an_emptied_file_is_neither_there_nor_of_length_zero(buffers, pair):
    buffers.put([pair()])
    path = buffers.path_of(pair()[0])
    os.truncate(path, 0)
    assert buffers.has([pair()[0]]) == [False]
    assert buffers.length(pair()[0]) is None


def test_the_empty_buffer_is_a_buffer(buffers, pair):
    buffers.put([pair(b"")])
    assert buffers.has([pair(b"")[0]]) == [True]
    assert buffers.length(pair(b"")[0]) == 0
    assert buffers.get(pair(b"")[0]) == b""


def test_a_store_that_may_only_be_read_refuses_every_write(buffers, pair, tmp_path):
    buffers.put([pair()])
    reader = BufferDirectory(buffers.name, writable=False)
    (tmp_path / "f").touch()
    for write in (
        lambda: reader.put([pair()]),
        lambda: reader.ingest(tmp_path / "f"),
        lambda: reader.put_file(Checksum.of(b""), tmp_path / "f"),
        lambda: reader.remove(pair()[0]),
        reader.sweep,
    ):
        with pytest.raises(StoreReadOnlyError):
            write()
    assert reader.get(pair()[0]) == pair()[1]


def test_a_store_that_may_only_be_read_leaves_a_corrupt_file_where_it_is(buffers, pair):
    buffers.put([pair()])
    path = buffers.path_of(pair()[0])
    damage(path)
    with pytest.raises(BufferCorruptionError) as caught:
        BufferDirectory(buffers.name, writable=False).get(pair()[0])
    assert caught.value.quarantined is None
    assert os.path.exists(path)


# --- locks of other writers ------------------------------------------------------------------


def fake_sleep(monkeypatch: pytest.MonkeyPatch, action) -> list[float]:
    """Have `action` happen instead of the first wait."""
    from seamless.stores import directory

    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        assert len(waits) < 1000
        if len(waits) == 1:
            action()

    monkeypatch.setattr(directory.time, "sleep", sleep)
    return waits


@pytest.mark.parametrize("lock", ["{hex}.LOCK", ".LOCK"])
@pytest.mark.parametrize("before", [None, b"some d"])
def test_a_reader_waits_for_the_lock_of_a_writer(buffers, pair, monkeypatch, lock, before):
    checksum, data = pair()
    path = Path(buffers.name, checksum.hex()[:2], checksum.hex())
    path.parent.mkdir()
    lock_path = path.parent / lock.format(hex=checksum.hex())
    lock_path.touch()
    if before is not None:
        path.write_bytes(before)

    def finish():
        path.write_bytes(data)
        lock_path.unlink()

    waits = fake_sleep(monkeypatch, finish)
    assert buffers.get(checksum) == data
    assert len(waits) == 1


def test_a_lock_is_not_looked_at_when_the_buffer_is_good(buffers, pair, monkeypatch):
    buffers.put([pair()])
    Path(buffers.path_of(pair()[0]) + ".LOCK").touch()
    waits = fake_sleep(monkeypatch, lambda: None)
    assert buffers.get(pair()[0]) == pair()[1]
    assert waits == []


def test_a_lock_older_than_the_limit_is_ignored(buffers, pair, monkeypatch):
    directory = Path(buffers.name, pair()[0].hex()[:2])
    directory.mkdir()
    lock = directory / (pair()[0].hex() + ".LOCK")
    lock.touch()
    waits = fake_sleep(monkeypatch, lambda: os.utime(lock, (0, 0)))
    assert buffers.get(pair()[0]) is None
    assert len(waits) == 1
    assert buffers.lock_timeout == 120


# --- whole files -----------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"small", LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("how", ["path", "raw", "buffered", "read-only object"])
def test_a_file_is_ingested_with_its_checksum_and_length(buffers, tmp_path, data, how):
    class OnlyRead:
        def __init__(self, raw):
            self.read = raw.read

    (tmp_path / "f").write_bytes(data)
    with open(tmp_path / "f", "rb", buffering=0) as raw:
        source = {
            "path": tmp_path / "f",
            "raw": raw,
            "buffered": io.BytesIO(data),
            "read-only object": OnlyRead(io.BytesIO(data)),
        }[how]
        assert buffers.ingest(source) == (Checksum.of(data), len(data))
    assert buffers.get(Checksum.of(data)) == data
    assert (tmp_path / "f").read_bytes() == data
    assert names(buffers) == [Checksum.of(data).hex()]


def test_only_the_rest_of_an_open_file_is_ingested(buffers, tmp_path):
    (tmp_path / "f").write_bytes(LARGE)
    with open(tmp_path / "f", "rb", buffering=0) as raw:
        raw.seek(100)
        assert buffers.ingest(raw) == (Checksum.of(LARGE[100:]), len(LARGE) - 100)


@pytest.mark.parametrize("data", [b"small", LARGE], ids=["small", "large"])
def test_a_private_file_may_be_taken_over_without_a_copy(buffers, tmp_path, data):
    (tmp_path / "f").write_bytes(data)
    inode = (tmp_path / "f").stat().st_ino
    checksum, _ = buffers.ingest(tmp_path / "f", move=True)
    assert os.stat(buffers.path_of(checksum)).st_ino == inode
    assert not (tmp_path / "f").exists()
    assert buffers.get(checksum) == data
    assert names(buffers) == [checksum.hex()]


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_a_file_with_another_name_is_copied_even_if_it_may_be_moved(buffers, tmp_path, link):
    (tmp_path / "f").write_bytes(b"data")
    link(tmp_path / "f", tmp_path / "g")
    checksum, _ = buffers.ingest(tmp_path / "g", move=True)
    (tmp_path / "f").write_bytes(b"changed")
    assert buffers.get(checksum) == b"data"


def test_a_file_that_is_not_there_is_the_error_of_that_file(buffers, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        buffers.ingest(tmp_path / "absent")
    assert caught.value.filename == str(tmp_path / "absent")
    with pytest.raises(IsADirectoryError):
        buffers.ingest(tmp_path)


@pytest.mark.parametrize("data", [b"small", LARGE], ids=["small", "large"])
def test_put_file_stores_what_has_the_checksum_and_refuses_the_rest(buffers, tmp_path, data):
    (tmp_path / "f").write_bytes(data)
    with pytest.raises(BufferCorruptionError) as caught:
        buffers.put_file(Checksum.of(b"x"), tmp_path / "f")
    assert str(tmp_path / "f") in str(caught.value)
    assert names(buffers) == []
    buffers.put_file(Checksum.of(data), tmp_path / "f")
    assert buffers.get(Checksum.of(data)) == data


@pytest.mark.parametrize("data", [b"", b"small", LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("verified", [True, False])
def test_a_copy_is_private_and_writable(buffers, tmp_path, data, verified):
    checksum = Checksum.of(data)
    buffers.put([(checksum, data)])
    store = buffers if verified else BufferDirectory(buffers.name)
    old = os.umask(0o027)
    try:
        assert store.copy_to(checksum, tmp_path / "copy") is True
    finally:
        os.umask(old)
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o640
    (tmp_path / "copy").write_bytes(b"changed")
    assert buffers.get(checksum) == data


def test_a_copy_replaces_an_existing_file_in_one_step(buffers, pair, tmp_path):
    buffers.put([pair()])
    (tmp_path / "copy").write_bytes(b"old")
    os.link(tmp_path / "copy", tmp_path / "other name")
    buffers.copy_to(pair()[0], tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == pair()[1]
    assert (tmp_path / "other name").read_bytes() == b"old"


def test_a_copy_to_a_place_that_is_not_there_is_the_error_of_that_place(buffers, pair, tmp_path):
    buffers.put([pair()])
    with pytest.raises(FileNotFoundError):
        buffers.copy_to(pair()[0], tmp_path / "no" / "copy")


def test_a_copy_to_a_pipe_is_written_into_it(buffers, pair, tmp_path):
    buffers.put([pair()])
    os.mkfifo(tmp_path / "pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    buffers.copy_to(pair()[0], tmp_path / "pipe")
    reader.join(30)
    assert got == [pair()[1]]


def test_threads_may_put_and_get_the_same_buffers_at_once(buffers):
    data = [str(i).encode() * 50 for i in range(60)]
    right: list[bytes] = []

    def work(shift: int) -> None:
        for d in data[shift:] + data[:shift]:
            buffers.put([(Checksum.of(d), d)])
            if buffers.get(Checksum.of(d)) == d:
                right.append(d)

    threads = [threading.Thread(target=work, args=(i * 10,)) for i in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert len(right) == 6 * 60
    assert buffers.stats() | {"bytes": 0} == {"buffers": 60, "files": 60, "bytes": 0, "temporary": 0, "corrupt": 0}


def test_a_buffer_that_is_known_to_be_there_is_not_opened_again(buffers, pair, monkeypatch):
    buffers.put([pair()])
    with monkeypatch.context() as patch:
        patch.setattr(verify, "open_regular", None)
        buffers.put([pair()])
    damage(buffers.path_of(pair()[0]))
    buffers.put([pair()])
    assert buffers.get(pair()[0]) == pair()[1]


@pytest.mark.parametrize("pieces", [[], [b"abc"], [b"a", b"b" * 65535], [b"x" * 65536], [b"x" * 70_000, b"y"] * 3])
def test_small_sources_are_hashed_whole_however_they_arrive(pieces):
    left, written = list(pieces), []

    def read_into(view):
        if not left:
            return 0
        piece = left.pop(0)
        n = min(len(piece), len(view))
        view[:n] = piece[:n]
        if piece[n:]:
            left.insert(0, piece[n:])
        return n

    data = b"".join(pieces)
    assert pump(read_into, lambda view: written.append(bytes(view)), small=True) == (
        hashlib.sha256(data).digest(),
        len(data),
    )
    assert b"".join(written) == data
