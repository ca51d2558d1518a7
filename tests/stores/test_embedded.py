from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from seamless.checksum import Checksum
from seamless.errors import StoreError, UsageError
from seamless.stores.embedded import cache_subdirectory, default_cache_directory, open_embedded

HEX = "ab" * 32


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), "__TOPLEVEL__"),
        ((None, None, "s"), "__TOPLEVEL__/STAGE-s"),
        (("p",), "p"),
        (("p", "q"), "p/q"),
        (("p", "q/r", "s"), "p/q/r/STAGE-s"),
        (("p", None, "s"), "p/STAGE-s"),
        (("", "", ""), "__TOPLEVEL__"),
    ],
)
def test_each_project_and_stage_has_its_directory(names, expected):
    assert cache_subdirectory("/c", *names) == f"/c/{expected}"


@pytest.mark.parametrize(
    "names", [("..",), ("a/b",), ("a\0",), ("p", "../q"), ("p", "/q"), ("p", "a//b"), ("p", None, "x/y"), (None, "q")]
)
def test_no_name_leads_out_of_the_cache(names):
    with pytest.raises(UsageError):
        cache_subdirectory("/c", *names)


@pytest.mark.parametrize(("value", "expected"), [("/x", "/x/seamless"), ("", None), ("relative", None)])
def test_the_cache_of_a_user_follows_xdg(monkeypatch, value, expected):
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    monkeypatch.setenv("HOME", "/home/me")
    assert default_cache_directory() == (expected or "/home/me/.cache/seamless")


def test_a_store_is_created_on_demand_and_found_again(tmp_path):
    checksum = Checksum.of(b"data")
    store = open_embedded(tmp_path / "a" / "b")
    store.buffers.put([(checksum, b"data")])
    store.results.set_result(checksum, checksum)
    again = open_embedded(tmp_path / "a" / "b")
    assert again.directory == str(tmp_path / "a" / "b")
    assert again.results.get_result(checksum) == checksum
    assert again.buffers.get(checksum) == b"data"


def test_the_umask_decides_who_shares_a_new_store(tmp_path):
    old = os.umask(0o002)
    try:
        open_embedded(tmp_path / "s")
    finally:
        os.umask(old)
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o775


def test_a_file_in_place_of_the_directory_is_one_clear_error(tmp_path):
    (tmp_path / "f").touch()
    with pytest.raises(StoreError, match=f"{tmp_path}/f"):
        open_embedded(tmp_path / "f")
    with pytest.raises(StoreError, match=f"{tmp_path}/f/sub"):
        open_embedded(tmp_path / "f" / "sub")


def test_a_store_opened_for_reading_is_neither_created_nor_written(tmp_path):
    with pytest.raises(StoreError, match="there is no buffer directory"):
        open_embedded(tmp_path / "absent", writable=False)
    (tmp_path / "empty").mkdir()
    store = open_embedded(tmp_path / "empty", writable=False)
    assert store.results.get_result(Checksum(HEX)) is None
    assert not store.buffers.writable and not store.results.writable
    assert list((tmp_path / "empty").iterdir()) == []


def put_and_wait(path: Path, data: bytes) -> None:
    open_embedded(path).buffers.put([(Checksum.of(data), data)])
    for thread in threading.enumerate():
        if thread.name == "SeamlessStoreSweep":
            thread.join(30)


def test_old_temporary_files_are_swept_once_a_day_after_a_write(tmp_path):
    put_and_wait(tmp_path, b"1")
    stamp, orphan = tmp_path / ".swept", tmp_path / ".incoming-12345678"
    orphan.touch()
    os.utime(orphan, (0, 0))
    put_and_wait(tmp_path, b"2")
    assert orphan.exists()
    os.utime(stamp, (0, 0))
    put_and_wait(tmp_path, b"2")
    assert orphan.exists(), "nothing was written, so nothing is swept"
    put_and_wait(tmp_path, b"3")
    assert not orphan.exists()
    assert stamp.stat().st_mtime > 0


def test_what_is_stored_does_not_depend_on_room_for_the_time_of_the_last_sweep(tmp_path, monkeypatch):
    real = os.open

    def full(path, *args, **options):
        if str(path).endswith(".swept"):
            raise OSError(errno.ENOSPC, "No space left on device", path)
        return real(path, *args, **options)

    monkeypatch.setattr(os, "open", full)
    put_and_wait(tmp_path, b"1")
    assert not (tmp_path / ".swept").exists()
    assert open_embedded(tmp_path).buffers.get(Checksum.of(b"1")) == b"1"


def test_a_cache_hit_imports_nothing_heavy(tmp_path):
    checksum = Checksum.of(b"data")
    store = open_embedded(tmp_path)
    store.buffers.put([(checksum, b"data")])
    store.results.set_result(checksum, checksum)
    store.results.close()
    script = """
import sys
from seamless.checksum import Checksum
from seamless.stores.embedded import open_embedded
store = open_embedded(sys.argv[1])
assert store.buffers.get(store.results.get_result(Checksum(sys.argv[2]))) == b"data"
heavy = "numpy asyncio tempfile shutil subprocess inspect json logging datetime multiprocessing dataclasses queue"
print([name for name in heavy.split() if name in sys.modules])
"""
    run = subprocess.run(
        [sys.executable, "-I", "-c", script, str(tmp_path), checksum.hex()], capture_output=True, text=True, check=False
    )
    assert (run.stdout, run.stderr) == ("[]\n", "")


@pytest.mark.parametrize("where, why", [("file", "it is not a directory"), ("file/below", "Not a directory")])
def test_a_place_that_can_be_no_directory_is_one_error_that_names_the_variable(tmp_path, where, why):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=f"{why}; use another cache directory: set SEAMLESS_CACHE") as caught:
        open_embedded(tmp_path / where)
    assert "Errno" not in str(caught.value)
