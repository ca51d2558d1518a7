"""Files are written whole or not at all, whatever they are called and whatever is in their place."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from seamless import Buffer, Checksum
from seamless.util.files import write_atomically


@pytest.mark.parametrize("name", ["a" * 255, "é" * 127, "日" * 85])
def test_a_name_of_the_greatest_length_can_be_written(tmp_path: Path, name: str) -> None:
    write_atomically(tmp_path / name, b"data")
    assert (tmp_path / name).read_bytes() == b"data"
    assert os.listdir(tmp_path) == [name]


def test_a_failed_write_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "no bytes")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f"]


def test_a_link_is_replaced_unless_it_is_to_be_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to("target")
    write_atomically(link, b"through", follow=True)
    assert link.is_symlink()
    assert target.read_bytes() == b"through"
    write_atomically(link, b"instead")
    assert not link.is_symlink()
    assert target.read_bytes() == b"through"


def test_a_pipe_is_written_into_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    Buffer(b"x" * 100_000).save(pipe)
    reader.join(10)
    assert received == [b"x" * 100_000]
    assert pipe.is_fifo()


def test_buffers_and_checksums_are_saved_through_links(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    for name in ("data", "data.CHECKSUM"):
        (tmp_path / name).symlink_to(tmp_path / "elsewhere" / name)
    buffer = Buffer(b"linked")
    buffer.save(tmp_path / "data")
    buffer.get_checksum().save(tmp_path / "data")
    assert (tmp_path / "elsewhere" / "data").read_bytes() == b"linked"
    assert Checksum.load(tmp_path / "elsewhere" / "data") == buffer.checksum


def test_the_umask_decides_the_mode_unless_it_is_given(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_atomically(tmp_path / "default", b"")
        write_atomically(tmp_path / "given", b"", mode=0o600)
    finally:
        os.umask(old)
    assert (tmp_path / "default").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "given").stat().st_mode & 0o777 == 0o600
