"""Buffers to store, and a way to act as a user who may not do everything."""

from __future__ import annotations

import os
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seamless.checksum import Checksum
from seamless.stores.directory import BufferDirectory

Pair = tuple[Checksum, bytes]


@pytest.fixture
def buffers(tmp_path: Path) -> BufferDirectory:
    """Return a new, empty buffer directory that does not wait long for anybody."""
    store = BufferDirectory(tmp_path / "buffers")
    store.lock_poll = 0.005
    return store


@pytest.fixture
def pair() -> Callable[..., Pair]:
    """Return pair(data): its checksum with the data."""

    def make(data: bytes = b"some data\n") -> Pair:
        return Checksum.of(data), data

    return make


@pytest.fixture
def public_dir() -> Iterator[Path]:
    """Return a directory that every user can reach, unlike those of pytest."""
    path = Path(tempfile.mkdtemp(prefix="seamless-test-"))
    path.chmod(0o755)
    yield path
    for directory, _, _ in os.walk(path):
        os.chmod(directory, 0o755)
    shutil.rmtree(path)


@pytest.fixture
def unprivileged() -> Callable[[Callable[[], None]], None]:
    """Return unprivileged(action): run it as a user to whom permission bits apply; its failure is the test's."""

    def run(action: Callable[[], None]) -> None:
        if os.geteuid() != 0:
            action()
            return
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                action()
                status = 0
            except BaseException:  # noqa: BLE001 - the child of a fork must end here, whatever happens
                traceback.print_exc()
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, "the unprivileged process failed, see its stderr"

    return run
