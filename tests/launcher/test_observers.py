"""Observers: what is shown where, and what is never shown."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seamless.launcher import LauncherError, Phase, run
from seamless.launcher import observers as observers_module
from seamless.launcher.observers import BarObserver, FileObserver, LineObserver

if TYPE_CHECKING:
    from tests.launcher.conftest import LaunchDict


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_basic_shows_a_line_for_each_phase(launch_dict: LaunchDict, capsys: pytest.CaptureFixture[str]) -> None:
    run(launch_dict(log_level="basic"))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [line.split("s ", 1)[1] for line in printed.err.splitlines()][-1] == "done: launched"


def test_minimal_is_silent_in_a_pipe(launch_dict: LaunchDict, capsys: pytest.CaptureFixture[str]) -> None:
    run(launch_dict(log_level="minimal"))
    assert capsys.readouterr().err == ""


def test_an_error_is_shown_before_it_is_raised(launch_dict: LaunchDict, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LauncherError) as caught:
        run(launch_dict("dies", log_level="basic"))
    assert f"error: {caught.value}" in capsys.readouterr().err
    assert caught.value.reported


def test_debug_shows_the_command(launch_dict: LaunchDict, capsys: pytest.CaptureFixture[str]) -> None:
    run(launch_dict(log_level="debug"))
    assert "full-command[LocalExecutor]: " in capsys.readouterr().err


def test_log_files_get_the_phases(launch_dict: LaunchDict, tmp_path: Path) -> None:
    run(launch_dict(log_file=str(tmp_path / "logs" / "a.log"), debug_log_file=str(tmp_path / "logs" / "b.log")))
    assert "done: launched" in (tmp_path / "logs" / "a.log").read_text()
    assert "full-command" in (tmp_path / "logs" / "b.log").read_text()


def test_a_token_is_in_no_log(launch_dict: LaunchDict, tmp_path: Path) -> None:
    payload = run(launch_dict(debug_log_file=str(tmp_path / "debug.log")))
    assert payload["token"] not in (tmp_path / "debug.log").read_text()


def test_secret_arguments_are_hidden() -> None:
    stream = io.StringIO()
    LineObserver(stream, debug=True).command("here", ["serve", "--token", "abc", "--password=xyz", "word"])
    assert "abc" not in stream.getvalue() and "xyz" not in stream.getvalue()
    assert "serve --token *** --password=*** word" in stream.getvalue()


def test_a_log_that_cannot_be_written_is_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    observer = FileObserver(str(tmp_path / "file" / "x.log"))
    observer.phase(Phase.DONE, "ok")
    observer.close()
    assert "cannot write" in capsys.readouterr().err


def test_a_log_is_rotated(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text("x" * (1 << 20) + "y")
    observer = FileObserver(str(path))
    observer.phase(Phase.DONE, "ok")
    observer.close()
    assert (tmp_path / "x.log.1").stat().st_size == (1 << 20) + 1
    assert path.read_text().endswith("done: ok\n")


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observers_module, "_QUIET_SECONDS", 0.0)


@pytest.mark.usefixtures("late")
def test_a_slow_launch_shows_a_bar_on_a_terminal() -> None:
    stream = Terminal()
    observer = BarObserver(stream)
    observer.begin("key", "hashserver")
    observer.phase(Phase.WAIT_FOR_START, "waiting")
    observer.phase(Phase.DONE, "launched")
    observer.close()
    assert "key [" in stream.getvalue() and "] wait_for_start" in stream.getvalue()
    assert stream.getvalue().rstrip().split("\x1b[K")[-1].startswith("  key: ready (")


def test_a_quick_launch_shows_nothing() -> None:
    stream = Terminal()
    observer = BarObserver(stream)
    observer.begin("key", "hashserver")
    observer.phase(Phase.DONE, "launched")
    observer.close()
    assert stream.getvalue() == ""
