"""Processes, sockets and locks: what is told apart."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from seamless.launcher import LauncherError
from seamless.launcher import sockets as sockets_module
from seamless.launcher.locking import key_lock
from seamless.launcher.processes import (
    Member,
    boot_id,
    host_name,
    is_same_process,
    read_stat,
    recorded_process,
    start_time,
    stop_process,
    wait_until,
)
from seamless.launcher.sockets import listening_inodes, listens

Process = subprocess.Popen[bytes]


@pytest.fixture
def sleeper() -> Iterator[Process]:
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"], start_new_session=True
    )
    yield process
    process.kill()
    process.wait()


def test_a_process_is_known_by_pid_and_start_time(sleeper: Process) -> None:
    started = start_time(sleeper.pid)
    assert started is not None
    assert is_same_process(sleeper.pid, started)
    assert not is_same_process(sleeper.pid, started + 1)


def test_a_zombie_counts_as_gone(sleeper: Process) -> None:
    started = start_time(sleeper.pid)
    state = {"pid": sleeper.pid, "start_time": started, "boot_id": boot_id()}
    assert recorded_process(state) is not None
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    found = read_stat(sleeper.pid)
    assert found is not None and found.state == "Z"
    assert recorded_process(state, collect=False) is None


def test_a_process_lives_as_long_as_one_of_its_threads() -> None:
    program = (
        "import ctypes, os, threading, time; threading.Thread(target=time.sleep, args=(600,)).start(); "
        "ctypes.CDLL(None).syscall({'x86_64': 60, 'aarch64': 93}[os.uname().machine], 0)"  # the end of this thread
    )
    process = subprocess.Popen([sys.executable, "-c", program])
    try:
        stat = Path(f"/proc/{process.pid}/stat")
        assert wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "Z", 10)
        found = read_stat(process.pid)
        assert found is not None
        assert is_same_process(process.pid, found.start_time)
    finally:
        process.kill()
        process.wait()


def test_a_name_with_brackets_does_not_confuse(tmp_path: Path) -> None:
    odd = tmp_path / "a) R 1 (b"
    odd.symlink_to("/bin/cat")
    with subprocess.Popen([str(odd)], stdin=subprocess.PIPE) as process:
        found = read_stat(process.pid)
        process.communicate()
    assert found is not None and found.parent == os.getpid()


def test_a_process_with_another_start_time_is_not_stopped(sleeper: Process) -> None:
    assert stop_process(Member(sleeper.pid, 1), patience=0.01) is False
    assert sleeper.poll() is None


def test_a_listening_socket_is_found_either_way() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        inode = os.fstat(listener.fileno()).st_ino
        assert listening_inodes(port) == {inode}
        assert sockets_module._from_proc(port) == {inode}


def test_an_ipv6_socket_is_found() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        assert listening_inodes(listener.getsockname()[1]) == {os.fstat(listener.fileno()).st_ino}


def test_a_port_of_another_process_is_not_that_of_a_service(sleeper: Process) -> None:
    started = start_time(sleeper.pid)
    assert started is not None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert listens(Member(sleeper.pid, started), listener.getsockname()[1]) is False


def test_whether_nobody_listens_cannot_be_held_against_a_service(sleeper: Process) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert listens(Member(sleeper.pid, 0), unused.getsockname()[1]) is None


# --- locks ----------------------------------------------------------------------------------------


def test_a_lock_is_held_by_one(base: Path) -> None:
    with key_lock("k"):
        with pytest.raises(LauncherError, match="another process has been changing the state"):
            with key_lock("k", wait=0.01):
                pass
    with key_lock("k", wait=0.01):
        pass


def test_locks_of_different_keys_are_independent(base: Path) -> None:
    with key_lock("a"), key_lock("b", wait=0.01):
        pass


@pytest.fixture
def no_flock(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.usefixtures("no_flock")
def test_without_flock_a_lock_is_held_by_one(base: Path) -> None:
    with key_lock("k"):
        with pytest.raises(LauncherError):
            with key_lock("k", wait=0.01):
                pass
    with key_lock("k", wait=0.01):
        pass


@pytest.mark.usefixtures("no_flock")
@pytest.mark.parametrize(
    ("owner", "broken"),
    [
        ({"pid": 1 << 30, "start_time": 1}, True),
        ({"boot_id": "earlier"}, True),
        ({"boot_id": "other", "host": "elsewhere"}, False),
        ({}, False),
    ],
)
def test_without_flock_only_the_lock_of_a_dead_process_is_broken(
    base: Path, owner: dict[str, object], broken: bool
) -> None:
    mine = {"pid": os.getpid(), "start_time": start_time(os.getpid()), "boot_id": boot_id(), "host": host_name()}
    (base / "server").mkdir(parents=True)
    (base / "server" / "k.lock.owner").write_text(json.dumps(mine | owner))
    try:
        with key_lock("k", wait=0.05):
            assert broken
    except LauncherError:
        assert not broken
