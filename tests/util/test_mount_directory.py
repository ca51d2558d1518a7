"""A dict of path -> value becomes a tree of files, and nothing else."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from seamless.buffer import Buffer
from seamless.checksum import Checksum
from seamless.compression_utils import decompress_bytes
from seamless.errors import CacheMissError, UsageError
from seamless.util.mount_directory import write_to_directory


def write(directory: Path, data: dict[str, Any], **options: Any) -> None:
    defaults: dict[str, Any] = {"cleanup": False, "deep": False, "text_only": False}
    write_to_directory(directory, data, **{**defaults, **options})


def tree(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}


def test_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    data = {"a": b"1", "sub/deep/b.bin": b"\xff\0", "c": bytearray(b"3"), "d": memoryview(b"4")}
    write(tmp_path / "d", data)
    assert tree(tmp_path / "d") == {"a": b"1", "c": b"3", "d": b"4", "sub/deep/b.bin": b"\xff\0"}


def test_a_buffer_gives_its_content(tmp_path: Path) -> None:
    write(tmp_path, {"a": Buffer(b"raw")})
    assert tree(tmp_path) == {"a": b"raw"}


def test_text_ends_in_one_newline_and_other_values_are_mixed_bytes(tmp_path: Path) -> None:
    write(tmp_path, {"text": "line\n\n", "value": {"k": [1]}})
    assert tree(tmp_path) == {"text": b"line\n", "value": b'{\n  "k": [\n    1\n  ]\n}\n'}


def test_the_values_of_a_deep_dict_are_resolved(tmp_path: Path) -> None:
    known = {Checksum.of(b"one"): b"one", Checksum.of(b"two"): Buffer(b"two")}
    write(tmp_path, {"a": Checksum.of(b"one"), "b": Checksum.of(b"two").hex()}, deep=True, resolve=known.get)
    assert tree(tmp_path) == {"a": b"one", "b": b"two"}


def test_an_unknown_checksum_is_a_cache_miss_and_nothing_is_cleaned_up(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    with pytest.raises(CacheMissError) as caught:
        write(tmp_path, {"a": Checksum.of(b"one")}, deep=True, cleanup=True, resolve=lambda checksum: None)
    assert caught.value.checksum == Checksum.of(b"one")
    assert tree(tmp_path) == {"old": b"old"}


def test_text_only_leaves_binary_files_out_and_drops_final_newlines(tmp_path: Path) -> None:
    write(tmp_path, {"t": b"text\n\n", "b": b"\xff\xfe", "cr": b"a\r\n"}, text_only=True)
    assert tree(tmp_path) == {"t": b"text", "cr": b"a\r"}


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_files_are_compressed_and_named_so(tmp_path: Path, suffix: str) -> None:
    write(tmp_path, {"sub/a": b"x" * 1000}, compression_suffix=suffix)
    [(name, content)] = tree(tmp_path).items()
    assert name == "sub/a" + suffix
    assert decompress_bytes(content, suffix) == b"x" * 1000
    if suffix == ".gz":
        assert gzip.decompress(content) == b"x" * 1000


def test_an_unknown_compression_suffix_is_a_value_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.bz2"):
        write(tmp_path, {"a": b""}, compression_suffix=".bz2")


@pytest.mark.parametrize("key", ["../escape.txt", "/escape.txt", "a/../../escape.txt", "a//b", "", "a\0"])
def test_an_unsafe_path_is_refused_before_anything_is_written(tmp_path: Path, key: str) -> None:
    target = tmp_path / "target"
    with pytest.raises(UsageError, match="unsafe path"):
        write(target, {"fine": b"x", key: b"evil"})
    assert list(tmp_path.iterdir()) == []


def test_an_absolute_path_does_not_overwrite_the_file_there(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    with pytest.raises(UsageError, match="absolute"):
        write(tmp_path / "target", {str(victim): b"evil"})
    assert victim.read_bytes() == b"precious"


def test_nothing_is_written_through_a_link_to_a_directory(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "sub").symlink_to(tmp_path / "outside")
    with pytest.raises(UsageError, match="symbolic link"):
        write(tmp_path / "target", {"sub/x": b"evil"})
    assert tree(tmp_path / "outside") == {}


def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "x").symlink_to(victim)
    write(tmp_path / "target", {"x": b"new"})
    assert victim.read_bytes() == b"precious"
    assert (tmp_path / "target" / "x").read_bytes() == b"new"


def test_cleanup_keeps_listed_files_at_any_depth_and_deletes_the_rest(tmp_path: Path) -> None:
    for name in ("a/b/c/d.txt", "a/b/old", "old/deep/er/x", "top"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"old")
    write(tmp_path, {"a/b/c/d.txt": b"new", "e": b"e"}, cleanup=True)
    assert tree(tmp_path) == {"a/b/c/d.txt": b"new", "e": b"e"}
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_dir()) == ["a", "a/b", "a/b/c"]


def test_without_cleanup_other_files_stay(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    write(tmp_path, {"a": b"a"})
    assert tree(tmp_path) == {"a": b"a", "old": b"old"}


def test_cleanup_removes_links_but_not_what_they_point_to(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_bytes(b"precious")
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "link").symlink_to(tmp_path / "outside")
    write(tmp_path / "target", {"a": b"a"}, cleanup=True)
    assert tree(tmp_path / "target") == {"a": b"a"}
    assert tree(tmp_path / "outside") == {"x": b"precious"}


def test_cleanup_knows_compressed_names(tmp_path: Path) -> None:
    write(tmp_path, {"a": b"a"})
    write(tmp_path, {"a": b"a"}, compression_suffix=".gz", cleanup=True)
    assert list(tree(tmp_path)) == ["a.gz"]


def test_cleanup_replaces_a_file_by_a_directory_and_the_reverse(tmp_path: Path) -> None:
    write(tmp_path, {"a": b"file", "b/c": b"in directory"})
    with pytest.raises(NotADirectoryError):
        write(tmp_path, {"a/x": b"1"})
    write(tmp_path, {"a/x": b"1", "b": b"2"}, cleanup=True)
    assert tree(tmp_path) == {"a/x": b"1", "b": b"2"}
