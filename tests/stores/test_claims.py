from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from seamless.checksum import Checksum
from seamless.stores.claims import FileClaims
from seamless.stores.database import ResultDatabase

TF = Checksum.of(b"tf")

HOLDER = """
import sys
from seamless.checksum import Checksum
from seamless.stores.database import ResultDatabase
database = ResultDatabase(sys.argv[1])
with database.claim(Checksum(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.readline()
print("released", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def database(tmp_path: Path) -> ResultDatabase:
    return ResultDatabase(tmp_path / "seamless.db")


@contextmanager
def holder(database: ResultDatabase, *, wait: bool = True) -> Iterator[subprocess.Popen[str]]:
    """Run a process that claims TF until it reads a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, database.name, TF.hex()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if wait:
            assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def lock_files(database: ResultDatabase) -> list[str]:
    return os.listdir(Path(database.name).parent / ".running")


def test_a_claim_tells_who_holds_it_and_leaves_no_file(database):
    assert database.running(TF) is None
    with database.claim(TF):
        running = database.running(TF)
        assert (running["pid"], running["host"]) == (os.getpid(), os.uname().nodename)
        assert lock_files(database) == [TF.hex() + ".lock"]
        assert database.running(Checksum.of(b"other")) is None
    assert database.running(TF) is None
    assert lock_files(database) == []


def test_a_thread_may_claim_again_what_it_holds(database):
    with database.claim(TF):
        with database.claim(TF):
            assert database.running(TF)["pid"] == os.getpid()
        assert database.running(TF)["pid"] == os.getpid()
    assert database.running(TF) is None


def test_an_error_ends_a_claim(database):
    with pytest.raises(ZeroDivisionError), database.claim(TF):
        raise ZeroDivisionError
    assert database.running(TF) is None


def test_a_claim_waits_for_another_process(database):
    with holder(database) as process:
        assert database.running(TF)["pid"] == process.pid
        order = []

        def claim() -> None:
            with database.claim(TF):
                order.append("ours")

        thread = threading.Thread(target=claim)
        thread.start()
        order.append("theirs")
        process.stdin.write("\n")
        process.stdin.flush()
        thread.join(30)
        assert order == ["theirs", "ours"]


def test_the_claim_of_a_killed_process_is_free(database):
    with holder(database) as process:
        process.kill()
        process.wait()
        assert database.running(TF) is None
        with database.claim(TF):
            assert database.running(TF)["pid"] == os.getpid()
    assert lock_files(database) == []


def test_waiting_for_a_claim_can_be_interrupted(database):
    with database.claim(TF), holder(database, wait=False) as process:
        wait_until_blocked(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) != 0


def wait_until_blocked(pid: int) -> None:
    """Wait until a process is in the system call flock."""
    import time

    deadline = time.monotonic() + 30
    while "flock" not in f"{Path(f'/proc/{pid}/wchan').read_text()} {locks(pid)}":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def locks(pid: int) -> str:
    """Return "flock" if /proc/locks has a waiting entry of the process."""
    waiting = [line.split() for line in Path("/proc/locks").read_text().splitlines() if "->" in line]
    return "flock" if any(str(pid) in fields and "FLOCK" in fields for fields in waiting) else ""


def test_many_threads_and_processes_never_hold_a_claim_at_once(database, tmp_path):
    script = """
import os, sys, threading
from seamless.checksum import Checksum
from seamless.stores.database import ResultDatabase
database, proof = ResultDatabase(sys.argv[1]), sys.argv[2]
def work():
    for _ in range(25):
        with database.claim(Checksum(sys.argv[3])):
            os.close(os.open(proof, os.O_CREAT | os.O_EXCL))
            os.unlink(proof)
            os.write(1, b".")
threads = [threading.Thread(target=work) for _ in range(3)]
for t in threads: t.start()
for t in threads: t.join()
"""
    command = [sys.executable, "-c", script, database.name, str(tmp_path / "proof"), TF.hex()]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    outputs = [p.communicate(timeout=60) for p in processes]
    assert outputs == [(b"." * 75, b"")] * 3
    assert lock_files(database) == []


def test_a_forked_child_does_not_keep_the_claim_of_its_parent(database):
    reading, writing = os.pipe()
    with database.claim(TF):
        pid = os.fork()
        if pid == 0:
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)
    try:
        assert database.running(TF) is None
        with database.claim(TF):
            assert database.running(TF)["pid"] == os.getpid()
    finally:
        os.close(writing)
        os.waitpid(pid, 0)
        os.close(reading)


def test_a_forked_child_does_not_keep_the_claim_of_a_killed_parent(database):
    script = """
import os, sys
from seamless.checksum import Checksum
from seamless.stores.database import ResultDatabase
with ResultDatabase(sys.argv[1]).claim(Checksum(sys.argv[2])):
    if os.fork() == 0:
        os.write(1, b"forked\\n")
    sys.stdin.read()
    os._exit(0)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script, database.name, TF.hex()], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"forked\n"
    process.kill()
    process.wait()
    assert database.running(TF) is None  # although the child lives until its standard input is closed
    process.communicate()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_where_files_cannot_be_locked_threads_still_exclude_one_another(database, monkeypatch, number):
    import fcntl

    def no_locks(fd: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    inside = []
    started = threading.Event()

    def work() -> None:
        started.set()
        with database.claim(TF):
            inside.append("second")

    with database.claim(TF):
        assert database.running(TF) is None
        thread = threading.Thread(target=work)
        thread.start()
        started.wait(30)
        inside.append("first")
    thread.join(30)
    assert inside == ["first", "second"]


def test_the_directory_of_claims_is_as_open_as_its_parent(tmp_path):
    parent = tmp_path / "shared"
    parent.mkdir()
    parent.chmod(0o2770)
    with FileClaims(str(parent), writable=True).hold("x"):
        assert (parent / ".running").stat().st_mode & 0o7777 == 0o2770


def test_a_claim_in_a_store_that_may_only_be_read_writes_nothing(database):
    reader = ResultDatabase(database.name, writable=False)
    before = sorted(os.listdir(Path(database.name).parent))
    with reader.claim(TF):
        assert sorted(os.listdir(Path(database.name).parent)) == before
