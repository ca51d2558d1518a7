"""The index of a directory, and the checksum of a file of any size."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamless.celltypes import canonical_json
from seamless.errors import UsageError
from seamless.util.directory_index import (
    hash_file,
    hash_stream,
    index_bytes,
    index_members,
    list_directory,
)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def index_directory(directory: Path, **options: Any) -> dict[str, str]:
    """Return the index of a directory, as the commands make it."""
    return index_members(list_directory(directory), **options)


# --- files ---


def test_a_pipe_in_non_blocking_mode_is_read_to_its_end() -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    pieces = [b"one", b"two" * 10_000, b"three"]
    empty = threading.Event()

    class Pipe(io.FileIO):
        """Tells when there was nothing to read."""

        def readinto(self, buffer: Any) -> Any:
            n = super().readinto(buffer)
            if n is None:
                empty.set()
            return n

    def write() -> None:
        for piece in pieces:
            assert empty.wait(60)
            empty.clear()
            os.write(writer, piece)
        os.close(writer)

    thread = threading.Thread(target=write)
    thread.start()
    with Pipe(reader) as file:
        assert hash_stream(file) == sha256(b"".join(pieces))  # type: ignore[arg-type]
    thread.join()


@pytest.mark.parametrize("size", [0, 1, 16384, 16385, 600_000, 4 << 20, (4 << 20) + 1, 9_000_001])
def test_a_file_of_any_size_has_the_sha256_of_its_bytes(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "f").write_bytes(data)
    assert hash_file(tmp_path / "f") == sha256(data)


def test_a_compressed_file_has_the_checksum_of_its_decompressed_bytes(tmp_path: Path) -> None:
    data = bytes(20_000_000)
    (tmp_path / "f.gz").write_bytes(gzip.compress(data))
    assert hash_file(tmp_path / "f.gz") == sha256(data)


@pytest.mark.parametrize("name", ["f", "f.gz"])
def test_progress_counts_the_bytes_of_the_file_on_disk(tmp_path: Path, name: str) -> None:
    data = os.urandom(6_000_000)
    (tmp_path / name).write_bytes(gzip.compress(data, 1) if name == "f.gz" else data)
    seen: list[int] = []
    assert hash_file(tmp_path / name, progress=seen.append) == sha256(data)
    assert sum(seen) == (tmp_path / name).stat().st_size


def test_the_error_about_a_corrupt_file_names_it_whatever_the_type_of_the_path(tmp_path: Path) -> None:
    (tmp_path / "bad.gz").write_bytes(b"corrupt")
    for path in (tmp_path / "bad.gz", str(tmp_path / "bad.gz")):
        for progress in (None, [].append):
            with pytest.raises(ValueError, match=r"bad\.gz' is corrupt gzip data"):
                hash_file(path, progress=progress)


def test_a_read_error_in_the_middle_of_a_long_file_is_raised() -> None:
    class Failing(io.RawIOBase):
        done = 0

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            self.done += len(buffer)
            if self.done > 10_000_000:
                raise OSError(5, "Input/output error")
            return len(buffer)

    with pytest.raises(OSError, match="Input/output error"):
        hash_stream(Failing())  # type: ignore[arg-type]
    assert not [t for t in threading.enumerate() if t.name == "seamless-read-ahead"]


@pytest.mark.parametrize("name", ["sparse", "bomb.gz"])
def test_memory_stays_constant_for_a_large_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "sparse":
        with open(path, "wb") as f:
            f.truncate(100_000_000)
    else:
        path.write_bytes(gzip.compress(bytes(100_000_000), 1))
    code = (
        "import sys; from seamless.util.directory_index import hash_file\n"
        "peak = lambda: int(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])\n"
        "hash_file(sys.argv[1]); before = peak(); print(hash_file(sys.argv[2])); print(peak() - before)"
    )
    small = tmp_path / ("small" + path.suffix)
    small.write_bytes(gzip.compress(b"") if path.suffix else b"")
    command = [sys.executable, "-c", code, str(small), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    checksum, kilobytes = done.stdout.split()
    assert checksum == sha256(bytes(100_000_000))
    assert int(kilobytes) < 20_000


# --- directories ---


def make(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def test_the_index_has_relative_paths_and_all_files_also_hidden_ones_and_sidecars(tmp_path: Path) -> None:
    files = {"b": b"1", "sub/deep/x.txt": b"2", ".hidden": b"3", ".git/y": b"4", "b.CHECKSUM": b"5", "d.INDEX": b"6"}
    make(tmp_path, files)
    (tmp_path / "empty").mkdir()
    index = index_directory(tmp_path)
    assert index == {name: sha256(data) for name, data in files.items()}
    assert list(index) == sorted(index)


def test_compression_suffixes_are_left_out_of_the_keys(tmp_path: Path) -> None:
    make(tmp_path, {"a.txt.gz": gzip.compress(b"text"), "sub.gz/b": b"plain"})
    assert index_directory(tmp_path) == {"a.txt": sha256(b"text"), "sub.gz/b": sha256(b"plain")}


def test_links_to_files_are_followed_and_links_to_directories_left_out(tmp_path: Path) -> None:
    make(tmp_path, {"outside/x": b"x", "dir/a": b"a"})
    (tmp_path / "dir" / "file-link").symlink_to(tmp_path / "outside" / "x")
    (tmp_path / "dir" / "dir-link").symlink_to(tmp_path / "outside")
    (tmp_path / "dir" / "loop").symlink_to(tmp_path / "dir")
    assert index_directory(tmp_path / "dir") == {"a": sha256(b"a"), "file-link": sha256(b"x")}


def test_the_name_of_a_link_decides_about_decompression_not_that_of_its_target(tmp_path: Path) -> None:
    data = gzip.compress(b"text")
    make(tmp_path, {"outside.gz": data, "dir/a": b"a"})
    (tmp_path / "dir" / "link").symlink_to(tmp_path / "outside.gz")
    assert index_directory(tmp_path / "dir")["link"] == sha256(data)


def test_a_dangling_link_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "broken").symlink_to("gone")
    with pytest.raises(FileNotFoundError, match=r"dangling link \(to 'gone'.*broken"):
        list_directory(tmp_path)


def test_a_link_to_itself_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "self").symlink_to("self")
    with pytest.raises(OSError, match="self"):
        list_directory(tmp_path)


@pytest.mark.parametrize("same", [True, False])
def test_two_files_with_one_key_are_refused_by_name(tmp_path: Path, same: bool) -> None:
    make(tmp_path, {"sub/f": b"one", "sub/f.gz": gzip.compress(b"one" if same else b"two")})
    with pytest.raises(UsageError, match=r"sub/f' and '.*sub/f\.gz'"):
        index_directory(tmp_path)


def test_two_compressions_of_one_name_are_refused(tmp_path: Path) -> None:
    make(tmp_path, {"f.zst": b"", "f.gz": b""})
    with pytest.raises(UsageError, match=r"f\.gz' and '.*f\.zst'"):
        list_directory(tmp_path)


def test_a_file_that_is_only_a_suffix_is_refused(tmp_path: Path) -> None:
    make(tmp_path, {".gz": gzip.compress(b"")})
    with pytest.raises(UsageError, match="no name before its compression suffix"):
        list_directory(tmp_path)


def test_what_is_neither_file_nor_directory_is_refused_without_reading_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="pipe' is neither a file nor a directory"):
        list_directory(tmp_path)
    (tmp_path / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as s:
        monkeypatch.chdir(tmp_path)  # the name of a socket must be short
        s.bind("socket")
    with pytest.raises(UsageError, match="socket' is neither"):
        list_directory(tmp_path)


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    try:
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))).write_bytes(b"")
    except OSError:
        pytest.skip("the file system accepts UTF-8 names only")
    with pytest.raises(UsageError, match="not UTF-8"):
        list_directory(tmp_path)


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    make(tmp_path, {"f": b""})
    with pytest.raises(NotADirectoryError, match="f"):
        list_directory(tmp_path / "f")
    with pytest.raises(FileNotFoundError):
        list_directory(tmp_path / "nothing")


def test_large_and_small_files_together_are_all_hashed(tmp_path: Path) -> None:
    files = {f"{i:02d}": os.urandom(300_000 if i % 3 == 0 else 10) for i in range(30)}
    seen: list[int] = []
    index = index_directory(make(tmp_path, files), progress=seen.append)
    assert index == {name: sha256(data) for name, data in files.items()}
    assert sum(seen) == sum(map(len, files.values()))


@pytest.mark.parametrize("size", [10, 300_000])
def test_the_error_of_one_file_ends_the_work(tmp_path: Path, size: int) -> None:
    make(tmp_path, {f"{i}": bytes(size) for i in range(10)} | {"bad.gz": b"corrupt".ljust(size)})
    with pytest.raises(ValueError, match=r"bad\.gz' is corrupt"):
        index_directory(tmp_path)


def test_the_checksum_may_come_from_another_function(tmp_path: Path) -> None:
    make(tmp_path, {"a": b"", "b": bytes(200_000), "c": bytes(200_000)})
    assert index_directory(tmp_path, hash_file=os.path.basename) == {"a": "a", "b": "b", "c": "c"}


KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10)


@given(st.dictionaries(KEYS, st.binary(max_size=3).map(sha256), max_size=6))
def test_the_bytes_of_an_index_are_canonical_json(index: dict[str, str]) -> None:
    assert index_bytes(index) == canonical_json(index)
