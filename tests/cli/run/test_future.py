"""FUTURE files: written, touched and removed by their owner; waited for by others."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from seamless.cli.running import future
from seamless.cli.running.future import FutureFiles, wait_for_future
from seamless.errors import SeamlessError
from tests.cli.run.processes import wait_for

TF = "ab" * 32


def test_a_future_file_names_the_transformation_and_the_target_while_it_lasts(work: Path) -> None:
    with FutureFiles({"new/local": "name"}, TF):
        assert (work / "new/local.FUTURE").read_text() == f"{TF}.name\n"
    assert not (work / "new/local.FUTURE").exists()


def test_it_is_removed_when_the_work_ends_in_an_exception(work: Path) -> None:
    with pytest.raises(KeyboardInterrupt), FutureFiles({"o": "o"}, TF):
        raise KeyboardInterrupt
    assert not (work / "o.FUTURE").exists()


def test_it_is_touched_meanwhile(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(future, "TOUCH", 0.01)
    with FutureFiles({"o": "o"}, TF):
        os.utime(work / "o.FUTURE", (1, 1))
        wait_for(lambda: os.stat(work / "o.FUTURE").st_mtime != 1)


def test_the_future_file_of_another_is_left_alone_at_the_end(work: Path) -> None:
    with FutureFiles({"o": "o"}, TF):
        (work / "o.FUTURE").write_text("cd" * 32 + ".o\n")
    assert (work / "o.FUTURE").exists()


def test_without_targets_there_is_nothing_to_do(work: Path) -> None:
    with FutureFiles({}, TF):
        assert os.listdir(work) == ["a.txt"]


def test_waiting_ends_when_the_file_is_gone(work: Path, messages: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(future, "POLL", 0.005)
    (work / "x.FUTURE").write_text("")
    thread = threading.Thread(target=wait_for_future(messages), args=("x.FUTURE",))
    thread.start()
    wait_for(lambda: messages.lines)
    assert thread.is_alive()
    (work / "x.FUTURE").unlink()
    thread.join(30)
    assert not thread.is_alive()
    assert messages.lines == ["test: Waiting for future 'x.FUTURE'..."]


def test_a_file_that_nobody_touches_any_more_is_an_error_that_names_it(work: Path, messages: Any) -> None:
    (work / "x.FUTURE").write_text("")
    old = time.time() - 121
    os.utime(work / "x.FUTURE", (old, old))
    with pytest.raises(SeamlessError, match=r"Stale future 'x\.FUTURE'"):
        wait_for_future(messages)("x.FUTURE")


def test_a_file_modified_lately_is_alive_although_its_access_time_is_old(
    work: Path, messages: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work / "x.FUTURE").write_text("")
    now = time.time()
    os.utime(work / "x.FUTURE", (now - 1000, now))
    monkeypatch.setattr(future.time, "sleep", lambda seconds: (work / "x.FUTURE").unlink())
    wait_for_future(messages)("x.FUTURE")
    assert len(messages.lines) == 1
