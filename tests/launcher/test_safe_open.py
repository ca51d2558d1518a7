"""Directories that are opened without following a link, and are the ones that were judged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from seamless.launcher.errors import LauncherError
from seamless.launcher.safe_open import has_marker, open_directory, open_resolved, resolve


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to("a")
    return tmp_path.resolve()


def inode(fd: int) -> int:
    try:
        return os.fstat(fd).st_ino
    finally:
        os.close(fd)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_directory_is_opened(place: Path) -> None:
    assert inode(open_directory(f"{place}/a//b/")) == (place / "a" / "b").stat().st_ino


@pytest.mark.parametrize("path", ["link", "link/b", "a/absent", "a/file"])
def test_a_link_a_file_and_nothing_are_not_opened(place: Path, path: str) -> None:
    (place / "a" / "file").touch()
    before = descriptors()
    with pytest.raises(OSError):
        open_directory(f"{place}/{path}")
    assert descriptors() == before


@pytest.mark.parametrize("path", ["a", "", "/a/../b", ".."])
def test_a_path_is_absolute_and_goes_down_only(path: str) -> None:
    with pytest.raises(LauncherError, match="absolute"):
        open_directory(path)


def test_another_directory_than_the_expected_one_is_not_opened(place: Path) -> None:
    judged = resolve(f"{place}/a")
    (place / "a").rename(place / "old")
    (place / "a").mkdir()
    before = descriptors()
    with pytest.raises(LauncherError, match="was replaced"):
        open_resolved(judged)
    assert descriptors() == before


def test_links_are_followed_when_a_path_is_judged_and_never_later(place: Path) -> None:
    judged = resolve(f"{place}/link/b")
    assert judged.path == judged.anchor == f"{place}/a/b"
    assert inode(open_resolved(judged)) == (place / "a" / "b").stat().st_ino


def test_what_is_absent_is_known_by_the_directory_above_it(place: Path) -> None:
    judged = resolve(f"{place}/a/new/x")
    assert judged.anchor == f"{place}/a"
    with pytest.raises(LauncherError, match="cannot open"):
        open_resolved(judged)
    assert inode(open_resolved(judged, create=True)) == (place / "a" / "new" / "x").stat().st_ino


def test_a_link_that_appears_where_nothing_was_is_not_followed(place: Path) -> None:
    judged = resolve(f"{place}/a/new/x")
    (place / "a" / "new").symlink_to(place)
    with pytest.raises(LauncherError, match="without following links"):
        open_resolved(judged, create=True)
    assert not (place / "x").exists()


def test_the_directory_above_must_be_above(place: Path) -> None:
    judged = resolve(f"{place}/a")._replace(path=f"{place}/ab")
    with pytest.raises(LauncherError, match="is not above"):
        open_resolved(judged)


def test_links_in_a_circle_have_no_directory(place: Path) -> None:
    (place / "x").symlink_to("y")
    (place / "y").symlink_to("x")
    with pytest.raises(LauncherError, match="cannot use"):
        resolve(f"{place}/x/z")


def test_a_marker_is_a_regular_file_of_this_user(place: Path) -> None:
    fd = open_directory(str(place))
    try:
        (place / "file").touch()
        (place / "to_file").symlink_to("file")
        assert has_marker(fd, ["absent", "file"])
        assert not has_marker(fd, ["absent", "to_file", "a"])
    finally:
        os.close(fd)
