"""Which directories a client may name, whatever it writes: only what the policy of the key allows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from seamless.launcher.guard.paths import NO_POLICY
from seamless.launcher.helpers.main import main as helper
from tests.launcher.guard.conftest import Ask, Places

OPEN = "--permissive-paths"
MARKERS = ("--clear-policy", "seamless")
LAUNCH = "rhl-launch-service --key K --workdir {path} -- hashserver {path}"
CLEAR, LIST = "rhl-clear {path}", "rhl-ps-persistent {path}"
ALL = (CLEAR, LIST, LAUNCH)


@pytest.mark.parametrize("command", [*ALL, LAUNCH.replace("launch-service", "ensure"), "rhl-clear --help"])
def test_without_a_policy_no_helper_with_a_path_is_called(ask: Ask, command: str, places: Places) -> None:
    reason = ask(command.format(path=places.root)).reason
    assert reason == NO_POLICY
    assert reason.startswith("configure rhl-guard with one path-policy flag: ")
    assert reason.endswith("Path policy section")


@pytest.mark.parametrize("command", ALL)
def test_a_root_and_what_is_below_it_are_allowed(ask: Ask, command: str, places: Places) -> None:
    for path in (places.root, places.root / "a" / "b"):
        answer = ask(command.format(path=path), *places.flags)
        assert answer.argv is not None, answer.error
        assert answer.guarded is not None and answer.guarded.paths[0].path == str(path)


@pytest.mark.parametrize("command", ALL)
@pytest.mark.parametrize("suffix", ["2", "2/x", "-old"])
def test_a_sibling_with_the_same_beginning_is_outside(ask: Ask, command: str, suffix: str, places: Places) -> None:
    path = f"{places.root}{suffix}"
    assert ask(command.format(path=path), *places.flags).reason == f"path is outside configured --data-roots: {path}"


@pytest.mark.parametrize("command", ALL)
@pytest.mark.parametrize(
    "form", ["{root}/../data2", "{root}/a/../../data2", "{root}/.", "{root}/.hidden", "{root}/..x"]
)
def test_no_component_begins_with_a_dot(ask: Ask, command: str, form: str, places: Places) -> None:
    path = form.format(root=places.root)
    reason = ask(command.format(path=path), *places.flags).reason
    assert reason == f"path must not contain dot-prefixed segments: {path}"


@pytest.mark.parametrize("command", ALL)
@pytest.mark.parametrize("path", ["data", "''", "~nobody/x", "~root", "~x", "-x/y", "file:///srv"])
def test_a_path_is_absolute_or_in_the_own_home(ask: Ask, command: str, path: str) -> None:
    assert ask(command.format(path=path), OPEN).argv is None


@pytest.mark.parametrize("path", ["~nobody/x", "~root/x", "~~/x"])
def test_another_home_is_not_looked_up(ask: Ask, path: str) -> None:
    assert ask(f"rhl-clear {path}", OPEN).reason == f"path must be absolute after ~ expansion: {path}"


def test_the_own_home_is_expanded(ask: Ask, isolation: Path) -> None:
    assert ask("rhl-clear ~/data", OPEN).argv == ["rhl-clear", f"{isolation}/data"]


@pytest.mark.parametrize("command", ALL)
def test_the_home_and_what_is_above_it_are_refused(ask: Ask, command: str, isolation: Path) -> None:
    for path in ("~", "~/", str(isolation), str(isolation.parent), f"/{isolation}"):
        expanded = os.path.expanduser(path)
        reason = ask(command.format(path=path), OPEN).reason
        assert reason == f"path must not be $HOME or an ancestor of $HOME: {expanded}"


@pytest.mark.parametrize("command", ALL)
@pytest.mark.parametrize(
    "path",
    ["/etc", "/etc/ssh", "/usr/local/x", "/bin", "/sbin/x", "/lib/x", "/lib64", "/libx32/y", "/boot/x", "/sys/x"]
    + ["/proc/1", "/proc/self/cwd", "/proc/self/fd/3", "/dev/sda", "/dev/shm", "/run/x", "/var/lib/x", "/opt/x"]
    + ["//etc//x", "/usr/", "/"],
)
def test_nothing_of_the_system_is_allowed(
    ask: Ask, command: str, path: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", "/nonexistent/home")
    monkeypatch.setenv("REMOTE_HTTP_LAUNCHER_DIR", str(tmp_path))
    answer = ask(command.format(path=path), OPEN)
    expected = "path must not be $HOME" if path == "/" else "refusing system-root directory"
    assert answer.reason == f"{expected}{' or an ancestor of $HOME' if path == '/' else ''}: {path}"


def test_shared_memory_has_directories_of_its_own(ask: Ask) -> None:
    assert ask("rhl-clear /dev/shm/data", OPEN).argv == ["rhl-clear", "/dev/shm/data"]


def test_below_var_only_a_data_root_is_allowed(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "roots"
    file.write_text("/var/data\n/etc\n")
    file.chmod(0o600)
    assert ask("rhl-clear /var/data/x", "--data-roots", str(file)).argv == ["rhl-clear", "/var/data/x"]
    for path in ("/var", "/var/data2", "/etc/x"):
        assert ask(f"rhl-clear {path}", "--data-roots", str(file)).reason == f"refusing system-root directory: {path}"


def test_the_files_of_the_launcher_are_refused_wherever_they_are(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, places: Places
) -> None:
    monkeypatch.setenv("REMOTE_HTTP_LAUNCHER_DIR", str(places.root / "a" / "launcher"))
    for path in (places.root / "a", places.root / "a" / "launcher" / "server"):
        assert "launcher's own directory" in ask(f"rhl-clear {path}", *places.flags).reason


@pytest.mark.parametrize("command", ALL)
def test_a_link_out_of_the_root_is_judged_by_where_it_leads(ask: Ask, command: str, places: Places) -> None:
    (places.root / "link").symlink_to(places.outside)
    (places.root / "system").symlink_to("/etc")
    (places.root / "above").symlink_to("..")
    for name in ("link", "link/x", "system/ssh", "above/data2"):
        assert ask(command.format(path=places.root / name), *places.flags).argv is None


def test_a_link_into_the_root_is_replaced_by_where_it_leads(ask: Ask, places: Places) -> None:
    (places.root / "real").mkdir()
    (places.outside / "link").symlink_to(places.root / "real")
    answer = ask(f"rhl-clear {places.outside / 'link'}", *places.flags)
    assert answer.argv == ["rhl-clear", str(places.root / "real")]


def test_links_in_a_circle_are_refused(ask: Ask, places: Places) -> None:
    (places.root / "a").symlink_to(places.root / "b")
    (places.root / "b").symlink_to(places.root / "a")
    assert ask(f"rhl-clear {places.root / 'a'}", *places.flags).argv is None


def test_a_file_is_no_directory(ask: Ask, places: Places) -> None:
    (places.root / "file").touch()
    assert "Not a directory" in ask(f"rhl-clear {places.root / 'file'}", *places.flags).reason


@pytest.mark.parametrize("path", ["/x" * 3000, "/srv/" + "x" * 300])
def test_a_path_has_a_limited_length(ask: Ask, path: str) -> None:
    assert "path is too long" in ask(f"rhl-clear {path}", OPEN).reason


# --- markers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [CLEAR, LIST])
def test_without_a_marker_a_directory_is_refused(ask: Ask, command: str, places: Places) -> None:
    reason = ask(command.format(path=places.root), *MARKERS).reason
    assert reason == f"path does not contain required marker file (seamless.db, .HASHSERVER_PREFIX): {places.root}"


@pytest.mark.parametrize("command", [CLEAR, LIST])
@pytest.mark.parametrize("name", ["seamless.db", ".HASHSERVER_PREFIX"])
def test_with_a_marker_a_directory_is_allowed(ask: Ask, command: str, name: str, places: Places) -> None:
    (places.root / name).touch()
    assert ask(command.format(path=places.root), *MARKERS).argv is not None
    (places.outside / "mine").touch()
    assert ask(command.format(path=places.outside), "--clear-policy", "marker:mine").argv is not None


def test_a_marker_is_a_regular_file(ask: Ask, places: Places) -> None:
    (places.outside / "seamless.db").touch()
    (places.root / "seamless.db").symlink_to(places.outside / "seamless.db")
    (places.root / ".HASHSERVER_PREFIX").mkdir()
    assert "required marker file" in ask(f"rhl-clear {places.root}", *MARKERS).reason


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_marker_belongs_to_the_account(ask: Ask, places: Places) -> None:
    (places.root / "seamless.db").touch()
    os.chown(places.root / "seamless.db", 12345, 12345)
    assert "required marker file" in ask(f"rhl-clear {places.root}", *MARKERS).reason


def test_an_unmarked_directory_may_be_searched_for_a_marker_of_the_policy(ask: Ask, places: Places) -> None:
    search = f"rhl-ps-persistent --level 2 --marker {{}} {places.root}"
    assert ask(search.format("seamless.db"), *MARKERS).argv is not None
    assert "required marker file" in ask(search.format(".bashrc"), *MARKERS).reason


def test_the_helper_is_told_which_markers_allow_clearing(ask: Ask, places: Places) -> None:
    (places.root / "seamless.db").touch()
    answer = ask(f"rhl-clear {places.root}", *MARKERS)
    assert answer.guarded is not None and answer.guarded.markers == ("seamless.db", ".HASHSERVER_PREFIX")


# --- between check and use ------------------------------------------------------------------------


def test_a_directory_that_is_replaced_after_the_check_is_not_cleared(
    ask: Ask, places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    victim, target = places.outside, places.root / "x"
    (victim / "precious").touch()
    target.mkdir()
    answer = ask(f"rhl-clear {target}", *places.flags)
    target.rename(places.root / "old")
    for replace in (lambda: target.symlink_to(victim), lambda: (target.unlink(), victim.rename(target))):
        replace()
        start = answer.command.index("rhl-clear")
        assert helper(answer.command[start:]) == 1
        assert capsys.readouterr().out == ""
    assert (target / "precious").exists()


def test_a_link_above_the_directory_that_appears_after_the_check_is_not_followed(
    ask: Ask, places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    (places.root / "a" / "b").mkdir(parents=True)
    (places.outside / "b").mkdir()
    (places.outside / "b" / "precious").touch()
    answer = ask(f"rhl-clear {places.root / 'a' / 'b'}", *places.flags)
    (places.root / "a").rename(places.root / "old")
    (places.root / "a").symlink_to(places.outside)
    assert helper(answer.command[answer.command.index("rhl-clear") :]) == 1
    assert (places.outside / "b" / "precious").exists()
    capsys.readouterr()


def test_a_marker_that_is_gone_after_the_check_allows_nothing(
    ask: Ask, places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    (places.root / "seamless.db").touch()
    (places.root / "precious").touch()
    answer = ask(f"rhl-clear {places.root}", *MARKERS)
    (places.root / "seamless.db").unlink()
    assert helper(answer.command[answer.command.index("rhl-clear") :]) == 1
    assert (places.root / "precious").exists()
    capsys.readouterr()


def test_what_was_checked_is_cleared(ask: Ask, places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    (places.root / "seamless.db").touch()
    (places.root / "junk").touch()
    answer = ask(f"rhl-clear {places.root}", *MARKERS)
    assert helper(answer.command[answer.command.index("rhl-clear") :]) == 0
    assert sorted(os.listdir(places.root)) == ["seamless.db"]
    assert "removed 1 item(s)" in capsys.readouterr().out
