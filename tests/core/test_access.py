"""Inputs of an execution as files: from whichever store has them whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from seamless import Buffer, Checksum
from seamless.cache.access import Buffers
from seamless.errors import BufferCorruptionError, CacheMissError
from seamless.session import session
from seamless.stores.directory import BufferDirectory

DATA = b"an input\n"
CHECKSUM = Checksum.of(DATA)


def store(path: Path, content: bytes) -> BufferDirectory:
    """Return a store with a file for the buffer, which may be a wrong one."""
    directory = BufferDirectory(path)
    file = path / CHECKSUM.hex()[:2] / CHECKSUM.hex()
    file.parent.mkdir()
    file.write_bytes(content)
    return directory


def test_a_damaged_input_is_copied_from_the_store_that_has_it_whole(tmp_path: Path) -> None:
    session.activate([store(tmp_path / "damaged", b"damaged!\n"), store(tmp_path / "whole", DATA)])
    Buffers().copy_to(CHECKSUM, str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == DATA


def test_a_damaged_input_is_copied_from_memory(tmp_path: Path) -> None:
    buffer = Buffer(DATA)
    buffer.get_checksum()
    session.activate([store(tmp_path / "damaged", b"damaged!\n")])
    Buffers().copy_to(CHECKSUM, str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == DATA


def test_an_input_that_is_damaged_everywhere_is_said_to_be(tmp_path: Path) -> None:
    session.activate([store(tmp_path / "1", b"damaged!\n"), store(tmp_path / "2", b"damaged!\n")])
    with pytest.raises(BufferCorruptionError, match=str(tmp_path / "1")):
        Buffers().copy_to(CHECKSUM, str(tmp_path / "copy"))
    assert not (tmp_path / "copy").exists()


def test_an_absent_input_is_a_miss(tmp_path: Path) -> None:
    session.activate([BufferDirectory(tmp_path / "empty")])
    with pytest.raises(CacheMissError):
        Buffers().copy_to(CHECKSUM, str(tmp_path / "copy"))
    assert not (tmp_path / "copy").exists()
