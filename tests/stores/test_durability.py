"""How files become durable: by themselves, or all by one call."""

import errno
import os
import re

import pytest

from seamless.checksum import Checksum
from seamless.errors import StoreError
from seamless.stores import durability
from seamless.stores.directory import BufferDirectory
from seamless.stores.durability import Disk

SLOW_FILES = 10.0  # seconds for one of them: whatever is done for all at once is faster


@pytest.fixture
def calls(monkeypatch):
    """What was made durable: "all", or the number of single files."""
    made = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (made.append("one"), real(fd)))
    monkeypatch.setattr(durability, "_syncfs", lambda: lambda fd: (made.append("all"), 0)[1])
    monkeypatch.setattr(durability, "file_system_type", lambda path: "ext4")
    monkeypatch.setattr(durability, "pending_bytes", lambda: 0)
    return made


@pytest.fixture
def files(tmp_path):
    fds = [os.open(tmp_path / str(i), os.O_WRONLY | os.O_CREAT) for i in range(10)]
    yield fds
    for fd in fds:
        os.close(fd)


def known(tmp_path, seconds=SLOW_FILES):
    """Return a disk of which it is known how long one file takes."""
    disk = Disk(str(tmp_path))
    disk._seconds = seconds
    return disk


def test_many_files_are_made_durable_by_one_call(tmp_path, files, calls):
    known(tmp_path).sync_files(files)
    assert calls == ["all"]


def test_few_files_are_made_durable_one_by_one(tmp_path, files, calls):
    known(tmp_path).sync_files(files[:3])
    assert calls == ["one"] * 3


def test_many_directories_are_made_durable_by_one_call(tmp_path, calls):
    paths = [tmp_path / f"{i:02x}" for i in range(10)]
    for path in paths:
        path.mkdir()
    known(tmp_path).sync_directories([str(path) for path in paths])
    assert calls == ["all"]


def test_the_first_files_are_made_durable_one_by_one_to_see_how_long_that_takes(tmp_path, files, calls):
    disk = Disk(str(tmp_path))
    disk.sync_files(files)
    assert calls == ["one"] * 10
    assert disk._seconds > 0


def test_a_call_that_took_longer_than_the_files_is_not_repeated_soon(tmp_path, files, calls):
    disk = known(tmp_path, seconds=1e-12)
    disk.sync_files(files)
    assert calls == ["all"]
    disk._not_before += 60  # however slow this machine is
    disk.sync_files(files)
    assert calls == ["all"] + ["one"] * 10


def test_after_an_error_of_the_call_each_file_is_asked(tmp_path, files, calls, monkeypatch):
    monkeypatch.setattr(durability, "_syncfs", lambda: lambda fd: -1)
    known(tmp_path).sync_files(files)
    assert calls == ["one"] * 10


def test_nobody_waits_for_much_that_others_have_written(tmp_path, files, calls, monkeypatch):
    monkeypatch.setattr(durability, "pending_bytes", lambda: 1 << 30)
    known(tmp_path).sync_files(files)
    assert calls == ["one"] * 10


@pytest.mark.parametrize("kind", ["nfs4", "lustre", "overlay", "zfs", "btrfs", "tmpfs", ""])
def test_other_file_systems_get_a_call_for_each_file(tmp_path, files, calls, kind, monkeypatch):
    monkeypatch.setattr(durability, "file_system_type", lambda path: kind)
    known(tmp_path).sync_files(files)
    assert calls == ["one"] * 10


@pytest.mark.parametrize(
    ("release", "usable"), [("5.10.0-28-amd64", False), ("5.16.9", False), ("5.17.0", True), ("6.1.0-13-amd64", True)]
)
def test_a_system_that_keeps_errors_to_itself_is_not_relied_on(release, usable, monkeypatch):
    monkeypatch.setattr("platform.release", lambda: release)
    assert (durability._syncfs() is not None) == usable


def test_the_call_of_this_system_works(tmp_path):
    syncfs = durability._syncfs()
    assert syncfs is not None, "Linux from 5.17 on has it"
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        assert syncfs(fd) == 0
    finally:
        os.close(fd)
    assert syncfs(fd) != 0


def test_what_is_pending_is_what_the_system_says():
    with open("/proc/meminfo") as file:
        names = re.findall(r"^(Dirty|Writeback):", file.read(), re.MULTILINE)
    assert sorted(names) == ["Dirty", "Writeback"]
    assert durability.pending_bytes() >= 0


def test_a_group_of_buffers_is_durable_before_it_is_visible(tmp_path, calls, monkeypatch):
    directory = BufferDirectory(tmp_path / "store")
    durability.disk_of(directory._layout.root)._seconds = SLOW_FILES
    real = os.rename
    monkeypatch.setattr(os, "rename", lambda a, b: (calls.append("name"), real(a, b)))
    contents = [b"%d\n" % i for i in range(20)]
    directory.put([(Checksum.of(content), content) for content in contents])
    assert calls == ["all", *["name"] * 20, "all"]
    assert all(directory.get(Checksum.of(content)) == content for content in contents)


def test_files_on_two_disks_are_made_durable_one_by_one(tmp_path, files, calls):
    elsewhere = os.open("/dev/shm", os.O_RDONLY)
    try:
        assert os.fstat(elsewhere).st_dev != os.fstat(files[0]).st_dev
        known(tmp_path).sync_files([*files, elsewhere])
    finally:
        os.close(elsewhere)
    assert calls == ["one"] * 11


def test_a_directory_that_is_a_link_to_another_disk_is_made_durable_by_itself(tmp_path, calls):
    paths = [tmp_path / f"{i:02x}" for i in range(10)]
    for path in paths[1:]:
        path.mkdir()
    paths[0].symlink_to("/dev/shm", target_is_directory=True)
    known(tmp_path).sync_directories([str(path) for path in paths])
    assert calls == ["one"] * 10


def test_a_buffer_whose_name_is_not_on_disk_is_made_durable_by_the_next_writer(tmp_path, monkeypatch):
    directory = BufferDirectory(tmp_path / "store")
    content = b"kept\n"
    subdirectory = tmp_path / "store" / Checksum.of(content).hex()[:2]
    synced = []
    real = os.fsync

    def fsync(fd):
        path = os.readlink(f"/proc/self/fd/{fd}")
        synced.append(path)
        if path == str(subdirectory) and synced.count(path) == 1:
            raise OSError(errno.EIO, "Input/output error")
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StoreError, match="Input/output error"):
        directory.put([(Checksum.of(content), content)])
    directory.put([(Checksum.of(content), content)])
    assert synced.count(str(subdirectory)) == 2
    directory.put([(Checksum.of(content), content)])
    assert synced.count(str(subdirectory)) == 2
