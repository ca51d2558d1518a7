"""Clearing and listing data directories."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seamless.launcher import LauncherError, run, stop
from seamless.launcher.clearing import clear_directory
from seamless.launcher.persistent import persistent_rows
from tests.launcher.support import KEY

if TYPE_CHECKING:
    from tests.launcher.conftest import LaunchDict


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    (path / "ab" / "cd").mkdir(parents=True)
    (path / "ab" / "cd" / "buffer").write_text("12345")
    (path / "seamless.db").write_text("123")
    (path / ".HASHSERVER_PREFIX").write_text("1")
    return path


def names(path: Path) -> set[str]:
    return {str(found.relative_to(path)) for found in path.rglob("*")}


def test_clear_removes_all_but_the_file_that_describes_the_directory(data: Path, base: Path) -> None:
    assert clear_directory(str(data)) == (2, [])
    assert names(data) == {".HASHSERVER_PREFIX"}


def test_clear_keeps_dot_directories_and_what_leads_to_them(data: Path, base: Path) -> None:
    (data / "ab" / ".git").mkdir()
    (data / "ab" / ".git" / "x").write_text("")
    (data / ".hidden-file").write_text("")
    (data / ".snapshots").mkdir()
    assert clear_directory(str(data)) == (2, [])
    assert names(data) == {".HASHSERVER_PREFIX", ".snapshots", "ab", "ab/.git", "ab/.git/x"}


def test_clear_removes_links_and_follows_none(data: Path, base: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("")
    (data / "link").symlink_to(outside)
    (data / "ab" / "link").symlink_to(outside)
    clear_directory(str(data))
    assert (outside / "precious").exists()
    assert names(data) == {".HASHSERVER_PREFIX"}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("relative", "path must be absolute"),
        ("/tmp/../etc", "must not contain '..'"),
        ("/tmp/does/not/exist", "path does not exist"),
        ("/etc/hostname", "not a directory"),
        ("/", "refusing to operate on system directory"),
        ("/usr/lib", "refusing to operate on system directory"),
        ("/tmp", "refusing to operate on system directory"),
        ("/dev/shm/", "refusing to operate on system directory"),
        ("~", "refusing to operate on the home directory"),
        ("~/.remote-http-launcher", "refusing to operate on the launcher's own directory"),
        ("~/.remote-http-launcher/server", "refusing to operate on the launcher's own directory"),
    ],
)
def test_what_must_not_be_cleared_is_refused(path: str, text: str, base: Path) -> None:
    (base / "server").mkdir(parents=True)
    with pytest.raises(LauncherError, match=text):
        clear_directory(path)


def test_a_link_to_a_system_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    with pytest.raises(LauncherError, match="system directory"):
        clear_directory(str(tmp_path / "link"))


def test_the_directory_of_a_living_service_is_refused(launch_dict: LaunchDict, workdir: Path) -> None:
    run(launch_dict())
    for path in (workdir, workdir.parent):
        with pytest.raises(LauncherError, match=f"service {KEY} is running in"):
            clear_directory(str(path))
    stop(KEY)
    assert clear_directory(str(workdir)).removed == 1


def test_a_directory_that_the_command_of_a_living_service_names_is_refused(
    launch_dict: LaunchDict, tmp_path: Path, state_file: Path
) -> None:
    (tmp_path / "data" / "below").mkdir(parents=True)
    run(launch_dict("ok", f"--directory={tmp_path}/data/below"))
    for path in ("data", "data/below"):
        with pytest.raises(LauncherError, match=f"service {KEY} is running in"):
            clear_directory(str(tmp_path / path))


def test_force_clears_under_a_living_service(launch_dict: LaunchDict, workdir: Path) -> None:
    run(launch_dict())
    assert clear_directory(str(workdir), force=True).removed == 1


# --- listing ----------------------------------------------------------------------------------------


def test_a_populated_directory_has_a_size(data: Path) -> None:
    (row,) = persistent_rows([str(data)], marker=".HASHSERVER_PREFIX")
    assert (row["path"], row["state"], row["size"]) == (str(data), "populated", 9)
    assert len(row["modified"]) == len("2026-01-01T00:00:00")


def test_a_directory_with_nothing_but_the_marker_is_empty(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("")
    (row,) = persistent_rows([str(tmp_path)], marker="m")
    assert (row["state"], row["size"]) == ("empty", None)


def test_the_file_that_counts_can_be_named(data: Path) -> None:
    (row,) = persistent_rows([str(data)], file="seamless.db")
    assert (row["state"], row["size"]) == ("populated", 3)
    (row,) = persistent_rows([str(data)], file="other.db")
    assert (row["state"], row["size"], row["modified"]) == ("empty", None, None)


def test_a_root_that_is_not_there_is_absent(tmp_path: Path) -> None:
    row = {"path": str(tmp_path / "x"), "state": "absent", "size": None, "modified": None}
    assert persistent_rows([str(tmp_path / "x")], marker="m") == [row]


def test_deeper_levels_are_searched_for_the_marker_without_following_links(tmp_path: Path) -> None:
    for name in ("a", "a/b", "a/b/c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "m").write_text("")
    os.symlink(tmp_path / "a", tmp_path / "link")
    found = [row["path"] for row in persistent_rows([str(tmp_path)], level=2, marker="m")]
    assert found == [str(tmp_path / "a"), str(tmp_path / "a" / "b")]
