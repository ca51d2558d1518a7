from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from seamless.checksum import Checksum
from seamless.stores.directory import BufferDirectory
from seamless.stores.layout import buffer_of, is_temporary

HEX = "ab" * 32


def test_a_new_directory_gets_the_marker_of_the_prefix_layout(tmp_path):
    BufferDirectory(tmp_path / "new" / "buffers")
    assert (tmp_path / "new" / "buffers" / ".HASHSERVER_PREFIX").read_bytes() == b"1\n"


def test_a_buffer_lies_under_its_first_two_digits_with_mode_0444(buffers, pair):
    checksum, data = pair()
    buffers.put([(checksum, data)])
    path = Path(buffers.name, checksum.hex()[:2], checksum.hex())
    assert path.read_bytes() == data
    assert stat.S_IMODE(path.stat().st_mode) == 0o444


def test_subdirectories_have_mode_3775_under_any_umask(tmp_path, pair):
    old = os.umask(0o077)
    try:
        buffers = BufferDirectory(tmp_path / "b")
        buffers.put([pair()])
    finally:
        os.umask(old)
    assert stat.S_IMODE(Path(buffers.name, pair()[0].hex()[:2]).stat().st_mode) == 0o3775


def test_a_directory_with_buffers_and_no_marker_is_flat(tmp_path, pair):
    first, second = pair(b"1"), pair(b"2")
    (tmp_path / first[0].hex()).write_bytes(first[1])
    buffers = BufferDirectory(tmp_path)
    buffers.put([second])
    assert [buffers.get(c) for c, _ in (first, second)] == [b"1", b"2"]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([first[0].hex(), second[0].hex()])


def test_an_existing_empty_directory_gets_the_marker(tmp_path):
    BufferDirectory(tmp_path)
    assert (tmp_path / ".HASHSERVER_PREFIX").exists()


def test_other_files_do_not_make_a_directory_flat(tmp_path, pair):
    (tmp_path / "seamless.db").touch()
    (tmp_path / "README").touch()
    BufferDirectory(tmp_path).put([pair()])
    assert (tmp_path / pair()[0].hex()[:2]).is_dir()


def test_an_empty_directory_opened_for_reading_takes_the_layout_that_it_gets_later(tmp_path, pair):
    reader = BufferDirectory(tmp_path, writable=False)
    assert reader.get(pair()[0]) is None
    assert list(tmp_path.iterdir()) == []
    BufferDirectory(tmp_path).put([pair()])
    assert reader.get(pair()[0]) == pair()[1]


@pytest.mark.parametrize("name", [HEX, HEX + ".zst", HEX + ".gz"])
def test_names_of_buffers_are_recognised(name):
    assert buffer_of(name) == HEX


@pytest.mark.parametrize(
    "name", [HEX[:-1], HEX + "0", HEX.upper(), HEX + ".LOCK", HEX + ".zst.gz", HEX + "-12345678", ".LOCK", "g" * 64]
)
def test_other_names_are_no_buffers(name):
    assert buffer_of(name) is None


@pytest.mark.parametrize("name", [HEX + "-12345678", HEX + "-aB_x9Zq0", ".incoming-0a1b2c3d"])
def test_names_of_temporary_files_are_recognised(name):
    assert is_temporary(name)


@pytest.mark.parametrize("name", [HEX, HEX + "-1234567", HEX + "-123456789", "x-12345678", HEX + ".zst-12345678"])
def test_other_names_are_not_temporary(name):
    assert not is_temporary(name)


def test_iteration_gives_each_buffer_once_whatever_its_forms(buffers, pair):
    import gzip

    one, two = pair(b"one"), pair(b"two")
    buffers.put([one, two])
    Path(buffers.path_of(one[0]) + ".gz").write_bytes(gzip.compress(b"one"))
    Path(buffers.name, "ab", HEX + "-12345678").parent.mkdir(exist_ok=True)
    Path(buffers.name, "ab", HEX + "-12345678").touch()
    assert sorted(buffers.iter_checksums()) == sorted([one[0], two[0]])
    assert buffers.stats() | {"bytes": 0} == {"buffers": 2, "files": 3, "bytes": 0, "temporary": 1, "corrupt": 0}


def test_only_temporary_files_older_than_the_limit_are_swept(buffers, pair):
    buffers.put([pair()])
    directory = Path(buffers.path_of(pair()[0])).parent
    names = [directory / (HEX + "-aaaaaaaa"), Path(buffers.name, ".incoming-bbbbbbbb"), directory / (HEX + "-cccccccc")]
    for name in names:
        name.touch()
    for name in names[:2]:
        os.utime(name, (0, 0))
    assert buffers.sweep(older_than=24) == 2
    assert [n.exists() for n in names] == [False, False, True]
    assert buffers.get(pair()[0]) == pair()[1]


def test_a_file_in_place_of_the_directory_is_one_clear_error(tmp_path):
    from seamless.errors import StoreError

    (tmp_path / "f").touch()
    with pytest.raises(StoreError, match="not a directory"):
        BufferDirectory(tmp_path / "f")
    with pytest.raises(StoreError, match="there is no buffer directory"):
        BufferDirectory(tmp_path / "absent", create=False)


def test_a_directory_or_pipe_in_place_of_a_buffer_is_an_error_and_never_blocks(buffers):
    from seamless.errors import StoreError

    pipe, directory = Checksum.of(b"p"), Checksum.of(b"d")
    for checksum in (pipe, directory):
        Path(buffers.name, checksum.hex()[:2]).mkdir(exist_ok=True)
    os.mkfifo(Path(buffers.name, pipe.hex()[:2], pipe.hex()))
    Path(buffers.name, directory.hex()[:2], directory.hex()).mkdir()
    for checksum in (pipe, directory):
        with pytest.raises(StoreError, match="not a regular file"):
            buffers.get(checksum)
        assert buffers.has([checksum]) == [False]
