"""When a program has the size limit of its embedded store looked at: after storing, now and then, and at its end."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from seamless.config.embedded import activate_from_environment
from seamless.config.limit import LimitWatch
from seamless.session import session
from seamless.shutdown import close, reopen
from seamless.stores.embedded import SIZE_LIMIT, open_embedded


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the directories that have been looked at."""
    found: list[str] = []
    monkeypatch.setattr(session, "enforce_limit", found.append)
    return found


@pytest.fixture
def limited(tmp_path: Path) -> str:
    """Return a store with a limit."""
    directory = open_embedded(tmp_path / "store").directory
    Path(directory, SIZE_LIMIT).write_text("1\n")
    return directory


def test_at_the_end_it_is_looked_at_once_if_anything_was_stored(limited: str, looked: list[str]) -> None:
    watch = LimitWatch(limited)
    watch.finish()
    assert looked == []
    watch.note()
    watch.note()
    watch.finish()
    watch.finish()
    assert looked == [limited]


def test_without_a_limit_nobody_looks(tmp_path: Path, looked: list[str]) -> None:
    watch = LimitWatch(str(tmp_path))
    watch.note()
    watch.finish()
    assert looked == []


def test_a_program_that_goes_on_is_not_kept_waiting(limited: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, may_end, looked = threading.Event(), threading.Event(), []

    def slow(directory: str) -> None:
        begun.set()
        may_end.wait(30)
        looked.append(directory)

    monkeypatch.setattr(session, "enforce_limit", slow)
    watch = LimitWatch(limited, every=0)
    watch.note()
    watch.note()
    assert begun.wait(30)
    watch.note()  # while the first look goes on
    assert looked == []
    may_end.set()
    watch.finish()
    assert looked == [limited, limited], "the end waits for the look, and looks at what came meanwhile"


def test_the_store_of_the_environment_is_watched(
    tmp_path: Path, looked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAMLESS_CACHE", str(tmp_path))
    activate_from_environment(session)
    directory = tmp_path / "__TOPLEVEL__"
    (directory / SIZE_LIMIT).write_text("1\n")
    from seamless.checksum import Checksum

    session.buffer_stores[0].put([(Checksum.of(b"a"), b"a")])
    close()
    reopen()
    assert looked == [str(directory)]
