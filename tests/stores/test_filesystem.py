from __future__ import annotations

import os

import pytest

from seamless.stores import filesystem
from seamless.stores.filesystem import copy_content, file_system_type, on_network, write_all

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /net rw,relatime - nfs4 server:/net rw
31 30 8:2 / /net/fast rw - xfs /dev/sdb rw
32 22 0:41 / /work\\040space rw - lustre mds:/work rw
33 22 0:42 / /over rw - ext4 /dev/sdc rw
34 22 0:43 / /over rw - fuse.sshfs host: rw
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "ext4"),
        ("/nets/x", "ext4"),
        ("/net", "nfs4"),
        ("/net/me/cache", "nfs4"),
        ("/net/fast/x", "xfs"),
        ("/work space/db", "lustre"),
        ("/over/x", "fuse.sshfs"),
    ],
)
def test_the_innermost_mount_decides_the_type(tmp_path, path, expected):
    (tmp_path / "mountinfo").write_text(MOUNTS)
    assert file_system_type(path, str(tmp_path / "mountinfo")) == expected


@pytest.mark.parametrize("content", [None, "", "not what was expected\n"])
def test_an_unknown_file_system_counts_as_local(tmp_path, content):
    if content is not None:
        (tmp_path / "mountinfo").write_text(content)
    assert file_system_type("/x", str(tmp_path / "mountinfo")) == ""


@pytest.mark.parametrize(("kind", "expected"), [("nfs", True), ("gpfs", True), ("ext4", False), ("overlay", False)])
def test_shared_file_systems_are_known(monkeypatch, kind, expected):
    monkeypatch.setattr(filesystem, "file_system_type", lambda path: kind)
    assert on_network("/x") is expected


@pytest.mark.parametrize("kernel", [True, False])
def test_all_of_a_file_is_copied_with_or_without_the_kernel(tmp_path, monkeypatch, kernel):
    if not kernel:

        def refuse(*args: object) -> int:
            raise OSError(18, "Invalid cross-device link")

        monkeypatch.setattr(os, "copy_file_range", refuse)
    data = os.urandom(3_000_001)
    (tmp_path / "a").write_bytes(data)
    with open(tmp_path / "a", "rb") as source, open(tmp_path / "b", "wb") as target:
        copy_content(source.fileno(), target.fileno())
    assert (tmp_path / "b").read_bytes() == data


def test_a_write_that_stops_early_is_continued(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
    with open(tmp_path / "f", "wb") as f:
        write_all(f.fileno(), b"0123456789" * 10)
    assert (tmp_path / "f").read_bytes() == b"0123456789" * 10
