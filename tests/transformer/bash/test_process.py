from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from seamless.transformer.bash import process
from seamless.transformer.bash.process import CAPTURE_BYTES, Finished, OutputBuffer, StartError, run_process


def bash(code: str, cwd: Path, **options: Any) -> Finished:
    return run_process(["/bin/bash", "-c", code], cwd=str(cwd), **options)


def is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")


def test_a_buffer_keeps_short_output_whole() -> None:
    buffer = OutputBuffer()
    for chunk in (b"a" * CAPTURE_BYTES, b"b" * CAPTURE_BYTES):
        buffer.add(chunk)
    assert buffer.content() == b"a" * CAPTURE_BYTES + b"b" * CAPTURE_BYTES


def test_a_buffer_keeps_the_first_and_the_last_part_of_long_output() -> None:
    buffer = OutputBuffer()
    for _ in range(100):
        buffer.add(b"a" * 50_000)
    buffer.add(b"end")
    content = buffer.content()
    omitted = 100 * 50_000 + 3 - 2 * CAPTURE_BYTES
    assert content.startswith(b"a" * CAPTURE_BYTES + b"\n[... %d bytes omitted ...]\n" % omitted)
    assert content.endswith(b"aend") and len(content) < 2 * CAPTURE_BYTES + 100


def test_megabytes_on_both_pipes_do_not_block(tmp_path: Path) -> None:
    total = {"stdout": 0, "stderr": 0}

    def count(name: str, chunk: bytes) -> None:
        total[name] += len(chunk)

    code = "head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero; head -c 1000000 /dev/zero >&2"
    done = bash(code, tmp_path, on_output=count)
    assert done.exit_status == 0 and total == {"stdout": 3_000_000, "stderr": 4_000_000}
    assert len(done.stdout) < 2 * CAPTURE_BYTES + 100


def test_a_process_left_in_the_background_does_not_hold_up_the_end(tmp_path: Path) -> None:
    done = bash("(sleep 1000 & echo $! > pid); echo done", tmp_path)
    assert done.stdout == b"done\n"
    assert not is_running(int((tmp_path / "pid").read_text()))


def test_a_background_process_without_pipes_is_ended_too(tmp_path: Path) -> None:
    assert bash("(sleep 1000 >/dev/null 2>&1 & echo $! > pid)", tmp_path).exit_status == 0
    assert not is_running(int((tmp_path / "pid").read_text()))


def test_a_background_process_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.1)
    code = "(bash -c \"trap '' TERM; touch ready; while :; do sleep 1000; done\" >/dev/null 2>&1 & echo $! > pid)"
    bash(code + "; until [ -e ready ]; do sleep 0.01; done", tmp_path)
    assert not is_running(int((tmp_path / "pid").read_text()))


def test_a_process_that_left_the_group_cannot_hold_up_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.1)
    code = """
        session() { cut -d' ' -f6 /proc/$1/stat; }
        setsid sleep 1000 & echo $! > pid
        until [ $(session $!) != $(session $$) ]; do :; done
        echo done
    """
    done = bash(code, tmp_path)
    assert done.stdout == b"done\n"
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_a_busy_process_substitution_may_finish_its_work(tmp_path: Path) -> None:
    code = "seq 10 > >(s=0; while read -r n; do for i in {1..3000}; do :; done; s=$((s+n)); done; echo $s > sum)"
    assert bash(code, tmp_path).exit_status == 0
    assert (tmp_path / "sum").read_text() == "55\n"


@pytest.mark.parametrize("pidfd", [True, False])
def test_the_time_limit_ends_the_whole_group(pidfd: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not pidfd:
        monkeypatch.setattr(process, "_pidfd", lambda pid: -1)
    code = "sleep 1000 & echo $! > pid; echo started; sleep 1000"
    done = bash(code, tmp_path, deadline=time.monotonic() + 0.3)
    assert (done.stopped, done.exit_status, done.stdout) == ("timeout", 124, b"started\n")
    assert not is_running(int((tmp_path / "pid").read_text()))


def test_a_kernel_without_pidfd_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_pidfd", lambda pid: -1)
    done = bash("exec 2>&-; echo out; exec >&-; exit 4", tmp_path)
    assert (done.exit_status, done.stdout) == (4, b"out\n")


def test_a_program_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.1)
    canceled = threading.Event()
    code = "trap '' TERM; echo ready; while :; do sleep 1000; done"
    done = bash(code, tmp_path, canceled=canceled, on_output=lambda *_: canceled.set())
    assert (done.stopped, done.exit_status) == ("canceled", 130)


def test_a_program_may_clean_up_when_it_is_ended(tmp_path: Path) -> None:
    canceled = threading.Event()
    code = "trap 'echo cleaned; exit' TERM; echo ready; sleep 1000 & wait"
    done = bash(code, tmp_path, canceled=canceled, on_output=lambda *_: canceled.set())
    assert done.stdout == b"ready\ncleaned\n"


def test_a_stopped_program_can_be_ended(tmp_path: Path) -> None:
    done = bash("trap 'echo ended; exit' TERM; kill -STOP $$", tmp_path, deadline=time.monotonic() + 0.3)
    assert (done.stopped, done.stdout) == ("timeout", b"ended\n")


def test_a_deadline_in_the_past_ends_the_program_at_once(tmp_path: Path) -> None:
    assert bash("sleep 1000", tmp_path, deadline=time.monotonic() - 1).stopped == "timeout"


def test_no_zombie_and_no_file_descriptor_is_left(tmp_path: Path) -> None:
    bash("true", tmp_path)
    before = set(os.listdir("/proc/self/fd"))
    pids = [int(bash("echo $$", tmp_path).stdout) for _ in range(3)]
    assert set(os.listdir("/proc/self/fd")) == before
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)


def test_a_program_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="cannot start /no/such/program: No such file"):
        run_process(["/no/such/program"], cwd=str(tmp_path))


def test_an_exit_status_that_was_taken_by_somebody_else_is_no_success(tmp_path: Path) -> None:
    def steal(*_: Any) -> None:
        (tmp_path / "go").touch()
        os.waitpid(int((tmp_path / "pid").read_text()), 0)

    code = "echo $$ > pid; echo started; until [ -e go ]; do sleep 0.01; done; exit 0"
    assert bash(code, tmp_path, on_output=steal).exit_status == 255


def test_a_process_whose_first_thread_has_ended_is_alive_while_another_goes_on() -> None:
    program = "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(1000,)).start(); "
    program += "print('begun', flush=True); ctypes.CDLL(None).pthread_exit(None)"
    running = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert running.stdout is not None and running.stdout.readline() == b"begun\n"
        deadline = time.monotonic() + 30
        while is_running(running.pid):  # its first thread
            assert time.monotonic() < deadline
            time.sleep(0.005)
        assert process._group_alive(running.pid)
    finally:
        running.kill()
        running.communicate()
    assert not process._group_alive(running.pid)
