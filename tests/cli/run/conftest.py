"""Fixtures of the tests of `seamless-run`: a directory to run in, the command in it, a store."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seamless.cli.common import Messages


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The cache directory of the test, for SEAMLESS_CACHE."""
    return tmp_path / "cache"


@pytest.fixture
def work(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with `a.txt`; the process of the test is in it, with a cache directory of its own."""
    directory = tmp_path / "work"
    directory.mkdir()
    (directory / "a.txt").write_text("alpha\nbeta\n")
    monkeypatch.setenv("SEAMLESS_CACHE", str(cache))
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture
def seamless_run(run_cli: Any, work: Path) -> Callable[..., Any]:
    """seamless_run(*options_and_words, **options of run_cli): the completed process; stdout and stderr as text."""

    def run(*argv: str, **options: Any) -> Any:
        options.setdefault("cwd", work)
        done = run_cli(["seamless-run", *argv], **options)
        done.out = done.stdout.decode("utf-8", "surrogateescape")
        done.err = done.stderr.decode("utf-8", "surrogateescape")
        return done

    return run


@pytest.fixture
def journal(cache: Path) -> Callable[[], list[dict[str, Any]]]:
    """journal(): the executions noted in the cache directory, oldest first."""

    def read() -> list[dict[str, Any]]:
        path = cache / "run-journal.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    return read


@pytest.fixture
def counted(work: Path, tmp_path: Path) -> Callable[[str], tuple[str, Callable[[], int]]]:
    """counted(line): the line with a side effect, and a function that tells how often it was executed."""

    def make(line: str) -> tuple[str, Callable[[], int]]:
        path = tmp_path / f"count-{os.urandom(4).hex()}"
        return f"echo x >> {path}; {line}", lambda: len(path.read_text().split()) if path.exists() else 0

    return make


class Recorder(Messages):
    """Messages that are kept instead of shown."""

    def __init__(self, verbosity: int = 0) -> None:
        super().__init__("test", verbosity)
        self.lines: list[str] = []

    def _line(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def messages() -> Recorder:
    """Messages that are kept in `.lines`."""
    return Recorder()
