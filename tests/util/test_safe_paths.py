"""Paths that come from data stay below their root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from seamless.errors import UsageError
from seamless.util.safe_paths import SafeRoot, check_keys, key_parts, remove


@pytest.mark.parametrize("key", ["a", "a/b.txt", ".hidden", "a/..b", "...", "a\\b", "..\\x", "with blank/ü", "a:b"])
def test_an_ordinary_relative_path_is_split_into_its_components(key: str) -> None:
    assert "/".join(key_parts(key)) == key


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "empty"),
        ("/etc/passwd", "absolute"),
        ("../x", "'..'"),
        ("a/../../x", "'..'"),
        ("a/..", "'..'"),
        ("./a", "'.'"),
        ("a/./b", "'.'"),
        ("a//b", "empty component"),
        ("a/", "empty component"),
        ("a\0b", "NUL"),
        ("\ud800", "UTF-8"),
    ],
)
def test_an_unsafe_path_is_refused_with_the_reason(key: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        key_parts(key)


@pytest.mark.parametrize("key", [b"a", 1, None])
def test_a_key_that_is_not_a_string_is_refused(key: object) -> None:
    with pytest.raises(UsageError, match="must be a string"):
        key_parts(key)


def test_a_path_cannot_be_a_file_and_a_directory_at_once() -> None:
    with pytest.raises(UsageError, match="'a/b'.*'a/b/c'"):
        check_keys(["a/b/c", "a/b"])


def test_parent_directories_are_created(tmp_path: Path) -> None:
    path = SafeRoot(tmp_path / "new").place("a/b/c.txt")
    assert path == str(tmp_path / "new" / "a" / "b" / "c.txt")
    assert (tmp_path / "new" / "a" / "b").is_dir()


def test_a_link_among_the_parents_is_refused_even_when_replacing(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "outside")
    for replace in (False, True):
        with pytest.raises(UsageError, match="'link' there is a symbolic link"):
            SafeRoot(tmp_path / "root").place("link/sub/x", replace=replace)
    assert os.listdir(tmp_path / "outside") == []


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert SafeRoot(tmp_path / "link").place("x") == str(tmp_path / "real" / "x")


def test_an_obstacle_is_an_error_unless_it_may_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "dir" / "sub").mkdir(parents=True)
    root = SafeRoot(tmp_path)
    with pytest.raises(NotADirectoryError):
        root.place("file/x")
    with pytest.raises(IsADirectoryError):
        root.place("dir")
    root.place("file/x", replace=True)
    root.place("dir", replace=True)
    assert (tmp_path / "file").is_dir()
    assert not (tmp_path / "dir").exists()


def test_removing_a_link_spares_its_target(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "x").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    remove(str(tmp_path / "link"))
    remove(str(tmp_path / "nothing"))
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "target" / "x").exists()
