"""Compressed forms, as `zstd --rm` or `gzip` leave them in a buffer directory."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from seamless.checksum import Checksum
from seamless.compression_utils import compress_bytes
from seamless.errors import BufferCorruptionError
from seamless.stores.directory import BufferDirectory
from seamless.stores.served import ServedDirectory

DATA = b"compressible " * 1000
CHECKSUM = Checksum.of(DATA)
SUFFIXES = [".zst", ".gz"]


@pytest.fixture(params=SUFFIXES)
def compressed(request, buffers) -> tuple[BufferDirectory, Path]:
    path = Path(buffers.name, CHECKSUM.hex()[:2], CHECKSUM.hex() + request.param)
    path.parent.mkdir()
    path.write_bytes(compress_bytes(DATA, request.param))
    return buffers, path


def test_a_compressed_form_is_read_in_every_way(compressed, tmp_path):
    buffers, _ = compressed
    assert buffers.get(CHECKSUM) == DATA
    assert buffers.has([CHECKSUM]) == [True]
    assert buffers.length(CHECKSUM) == len(DATA)
    with buffers.open(CHECKSUM) as f:
        assert f.read() == DATA
    assert buffers.copy_to(CHECKSUM, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == DATA


def test_two_frames_or_members_are_one_buffer(compressed):
    buffers, path = compressed
    path.write_bytes(compress_bytes(DATA[:5000], path.suffix) + compress_bytes(DATA[5000:], path.suffix))
    assert buffers.get(CHECKSUM) == DATA


@pytest.mark.parametrize("text", ["13000", "13000\n"])
def test_the_length_is_taken_from_the_file_that_tells_it(compressed, text):
    buffers, path = compressed
    path.with_suffix(".BUFFERLENGTH").write_text(text)
    path.write_bytes(b"not looked at")
    assert buffers.length(CHECKSUM) == 13000


def test_a_length_that_is_no_number_is_ignored(compressed):
    buffers, path = compressed
    path.with_suffix(".BUFFERLENGTH").write_text("many")
    assert buffers.length(CHECKSUM) == len(DATA)


@pytest.mark.parametrize("kind", ["other content", "cut short", "garbage behind", "not compressed", "empty"])
def test_a_bad_compressed_form_is_moved_aside(compressed, tmp_path, kind):
    buffers, path = compressed
    good = path.read_bytes()
    bad = {
        "other content": compress_bytes(b"other", path.suffix),
        "cut short": good[:-3],
        "garbage behind": good + b"garbage",
        "not compressed": DATA,
        "empty": b"",
    }[kind]
    for use in (buffers.get, buffers.open, lambda c: buffers.copy_to(c, tmp_path / "copy")):
        path.write_bytes(bad)
        with pytest.raises(BufferCorruptionError) as caught:
            use(CHECKSUM)
        assert caught.value.where == str(path)
        assert not path.exists()
    assert not (tmp_path / "copy").exists()


def test_a_good_form_is_used_when_another_is_bad(compressed):
    buffers, path = compressed
    plain = path.with_suffix("")
    plain.write_bytes(b"bad")
    assert buffers.get(CHECKSUM) == DATA
    assert plain.with_name(plain.name + ".CORRUPT").read_bytes() == b"bad"


def test_a_buffer_that_has_a_compressed_form_is_not_stored_again(compressed):
    buffers, path = compressed
    buffers.put([(CHECKSUM, DATA)])
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_the_plain_form_is_stored_beside_a_bad_compressed_one(compressed):
    buffers, path = compressed
    path.write_bytes(b"bad")
    path.with_suffix(".BUFFERLENGTH").write_text("1")
    buffers.put([(CHECKSUM, DATA)])
    assert path.with_suffix("").read_bytes() == DATA
    assert not path.with_suffix(".BUFFERLENGTH").exists()


def test_all_forms_are_removed(compressed):
    buffers, path = compressed
    path.with_suffix("").write_bytes(DATA)
    path.with_suffix(".BUFFERLENGTH").write_text("13000")
    assert buffers.remove(CHECKSUM) is True
    assert list(path.parent.iterdir()) == []


def test_the_length_that_another_user_has_noted_beside_a_compressed_form_is_no_obstacle(tmp_path, monkeypatch):
    directory = ServedDirectory(tmp_path, writable=True)
    length = tmp_path / CHECKSUM.hex()[:2] / f"{CHECKSUM.hex()}.BUFFERLENGTH"
    unlink = os.unlink

    def unlink_own(path, **options):
        if path == str(length):
            raise PermissionError(errno.EPERM, "Operation not permitted", path)
        unlink(path, **options)

    monkeypatch.setattr(os, "unlink", unlink_own)
    for form, data in ((".gz", compress_bytes(DATA, ".gz")), ("", DATA)):
        upload = directory.upload(CHECKSUM, form)
        upload.write(data)
        assert upload.finish() == len(DATA)
        assert length.read_bytes() == b"%d" % len(DATA)
    assert directory.path_of(CHECKSUM) == str(length).removesuffix(".BUFFERLENGTH")
