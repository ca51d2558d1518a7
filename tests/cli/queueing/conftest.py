"""Fixtures of the tests of the queue: a directory with a queue, the commands in it, servers that are ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.run.processes import wait_for

SCRIPTS = Path(sys.executable).parent
Completed = subprocess.CompletedProcess[str]


class Place:
    """A working directory with a cache of its own. `count` is a file to which steps append lines."""

    def __init__(self, root: Path):
        self.root, self.work, self.count = root, root / "work", root / "count"
        self.work.mkdir()
        (self.work / "a.txt").write_text("b\na\nc\nb\n")
        (root / "tmp").mkdir()
        self.environment = {
            **os.environ,
            "SEAMLESS_CACHE": str(root / "cache"),
            "TMPDIR": str(root / "tmp"),
            "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
        }
        self.started: list[subprocess.Popen[str]] = []

    @property
    def queue(self) -> Path:
        """The queue file."""
        return self.work / ".seamless-queue"

    def run(self, *argv: str, timeout: float = 60, **changes: str) -> Completed:
        """Run a command to its end."""
        return subprocess.run(
            list(argv),
            cwd=self.work,
            env=self.environment | changes,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def submit(self, *argv: str) -> None:
        """Submit a step; it must be accepted without a word."""
        done = self.run("seamless-run", "--qsubmit", *argv)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def start(self, *argv: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command, which is ended with the test."""
        process = subprocess.Popen(
            list(argv),
            cwd=self.work,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=options.pop("stderr", subprocess.PIPE),
            text=True,
            # As in an interactive shell; a test runner in the background hands on an ignored SIGINT.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            **options,
        )
        self.started.append(process)
        return process

    def finish(self, *options: str) -> tuple[int, str]:
        """Work the queue off; return the exit status of the server and what it has said."""
        server = self.start("seamless-queue", *options)
        self.run("seamless-queue-finish", "-q")
        _, err = server.communicate(timeout=60)
        assert "Traceback" not in err, err
        return server.returncode, err

    def executions(self) -> list[str]:
        """Return the lines that steps have appended to the file `count`."""
        return self.count.read_text().split() if self.count.exists() else []

    def wait_for(self, name: str) -> None:
        """Wait until a file of the working directory is there."""
        wait_for((self.work / name).exists)

    def files(self) -> set[str]:
        """Return the names in the working directory, without sidecars."""
        return {p.name for p in self.work.iterdir() if p.suffix not in (".CHECKSUM", ".INDEX")}

    def end(self) -> None:
        """End what still runs."""
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait(30)
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A place to work in."""
    found = Place(tmp_path)
    yield found
    found.end()


@pytest.fixture
def here(place: Place, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Path]:
    """Go to the place; return its queue file."""
    monkeypatch.chdir(place.work)
    return lambda: place.queue
