"""Kernels that crash, give up or never end: one clear error each, and nothing else is disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seamless.transformer.compiled.forkserver import fork_server

Step = Callable[..., Any]

SCHEMA = "inputs: [{name: how, dtype: int32}]\noutputs: [{name: r, dtype: int32}]"
FAULTY = """\
#include <stdlib.h>
#include <stdio.h>
#include <signal.h>
int transform(int how, int *r) {
    printf("how: %d\\n", how);
    fflush(stdout);
    if (how == 1) *(volatile int *)8 = 1;
    if (how == 2) abort();
    if (how == 3) { volatile int zero = 0, n = how / zero; (void)n; }
    if (how == 4) exit(3);
    if (how == 5) for (;;) { volatile int i = 0; (void)i; }
    if (how == 6) raise(SIGKILL);
    if (how == 7) exit(0);
    *r = how;
    return 0;
}
"""


@pytest.fixture
def faulty(step: Step) -> Any:
    return step("c", SCHEMA, FAULTY)


@pytest.mark.parametrize(
    ("how", "text"),
    [
        (1, "RuntimeError: the compiled code was killed by SIGSEGV: it used memory that is not its own"),
        (2, "RuntimeError: the compiled code was killed by SIGABRT: it gave itself up"),
        (3, "RuntimeError: the compiled code was killed by SIGFPE: it divided an integer by zero"),
        (4, "RuntimeError: the compiled code has ended its process with exit status 3, instead of returning"),
        (6, "RuntimeError: the compiled code was killed by SIGKILL"),
        (7, "RuntimeError: the compiled code has ended its process with exit status 0, instead of returning"),
    ],
)
def test_a_crash_is_an_error_of_the_step_alone(how: int, text: str, faulty: Any) -> None:
    handle = faulty(how)
    assert handle.compute() is None
    assert text in handle.exception
    assert f"how: {how}" in handle.exception
    assert faulty(100).run() == 100


def test_a_crash_leaves_those_that_run_beside_it_alone(faulty: Any) -> None:
    handles = [faulty(how).start() for how in (1, 101, 2, 102, 3, 103)]
    assert [handle.compute() is None for handle in handles] == [True, False] * 3


def test_sixteen_threads_with_every_fault_get_one_clear_error_each(faulty: Any) -> None:
    limited = faulty.copy()
    limited.timeout = 0.5
    texts = {1: "SIGSEGV", 2: "SIGABRT", 4: "exit status 3", 5: "Timeout: not finished after 0.5 s"}
    hows = [1, 2, 4, 5, *range(200, 212)]
    handles = [(limited if how == 5 else faulty)(how) for how in hows]
    barrier = threading.Barrier(len(hows))

    def work(handle: Any) -> None:
        barrier.wait()
        handle.compute()

    threads = [threading.Thread(target=work, args=(handle,)) for handle in handles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for how, handle in zip(hows, handles, strict=True):
        if how in texts:
            assert texts[how] in handle.exception
            assert handle.exception.count("the compiled code") == (how != 5)
        else:
            assert handle.run() == how


def test_an_endless_loop_is_ended_by_the_time_limit(faulty: Any) -> None:
    faulty.timeout = 0.3
    handle = faulty(5)
    assert handle.compute() is None
    assert "Timeout: not finished after 0.3 s" in handle.exception


def test_an_endless_loop_is_ended_by_cancellation(faulty: Any) -> None:
    handle = faulty(5).start()
    children = wait_for_children()
    assert handle.cancel()
    assert handle.exception == "Transformation was canceled"
    wait_until_gone(children)


def test_an_exception_and_a_panic_are_errors_of_the_step(step: Step) -> None:
    rust = '#[no_mangle]\npub extern "C" fn transform() -> i32 { vec![0][std::env::args().count() + 7] }'
    go = 'package main\nimport "os"\nimport "C"\n//export transform\n' + (
        "func transform() int32 { return []int32{0}[len(os.Args) + 7] }\nfunc main() {}\n"
    )
    for language, code, text in (
        ("go", go, "index out of range"),
        ("rust", rust, "index out of bounds"),
        ("cpp", '#include <stdexcept>\nextern "C" int transform() { throw std::runtime_error("too bad"); }', "too bad"),
    ):
        handle = step(language, "inputs: []", code)()
        assert handle.compute() is None
        assert "was killed by SIGABRT" in handle.exception
        assert text in handle.exception


def test_large_local_arrays_have_a_stack(step: Step) -> None:
    code = "int transform(int *r) { volatile char a[20000000]; a[5] = 7; *r = a[5] + 0 * a[19999999]; return 0; }"
    assert step("c", "outputs: [{name: r, dtype: int32}]", code)().run() == 7


def server_pid() -> int:
    process = fork_server._process
    assert process is not None
    return process.pid


def children_of(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(word) for word in f.read().split()]


def wait_for_children() -> list[int]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if fork_server._process is not None and (found := children_of(server_pid())):
            return found
        time.sleep(0.01)
    raise AssertionError("no child was made")


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 30
    while not all(is_gone(pid) for pid in pids):
        assert time.monotonic() < deadline, f"still there: {pids}"
        time.sleep(0.01)


def test_a_killed_server_is_started_anew(faulty: Any) -> None:
    assert faulty(10).run() == 10
    old = server_pid()
    os.kill(old, signal.SIGKILL)
    wait_until_gone([old])
    assert faulty(11).run() == 11
    assert server_pid() != old


def test_a_waiting_child_that_was_killed_is_no_error(faulty: Any) -> None:
    assert faulty(10).run() == 10
    children = wait_for_children()
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    wait_until_gone(children)
    assert faulty(11).run() == 11


def test_calls_that_follow_one_another_have_children_made_ahead(faulty: Any) -> None:
    fork_server.close()
    counts = []
    for number in (10, 11, 12):
        assert faulty(number).run() == number
        counts.append(len(fork_server._idle))
    assert counts == [1, 2, 2]
    assert len({child.kind for child in fork_server._idle}) == 1


def test_the_end_of_the_session_ends_every_process(faulty: Any) -> None:
    assert faulty(10).run() == 10
    place = fork_server._place
    pids = [server_pid(), *children_of(server_pid())]
    fork_server.close()
    wait_until_gone(pids)
    assert not os.path.exists(place)


PROGRAM = """\
import os, sys, threading
from seamless.transformer import CompiledTransformer
step = CompiledTransformer("c")
step.schema = {schema!r}
step.code = {code!r}
print(step(1000).run(), flush=True)
handle = step(5).start()
from seamless.transformer.compiled.forkserver import fork_server
server = fork_server._process.pid
def state(pid):
    try:
        return open(f"/proc/{{pid}}/stat").read().rpartition(") ")[2][:1]
    except OSError:
        return "gone"
while True:  # until the endless call is under way
    children = open(f"/proc/{{server}}/task/{{server}}/children").read().split()
    if any(state(pid) == "R" for pid in children):
        break
print(server, *children, fork_server._place, flush=True)
{end}
"""


@pytest.mark.parametrize(
    ("end", "how"),
    [("handle.run()", signal.SIGKILL), ("handle.run()", signal.SIGINT), ("sys.exit(0)", None), ("os._exit(0)", None)],
    ids=["kill -9", "Ctrl-C", "end", "_exit"],
)
def test_nothing_outlives_the_program(end: str, how: int | None, tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("c")
    program = PROGRAM.format(schema=SCHEMA, code=FAULTY, end=end)
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "1000\n"
    *pids, place = process.stdout.readline().split()
    if how is not None:
        process.send_signal(how)
    try:
        process.communicate(timeout=60)
    finally:
        process.kill()
    wait_until_gone([int(pid) for pid in pids])
    deadline = time.monotonic() + 30
    while os.path.exists(place):
        assert time.monotonic() < deadline, "the directory of the calls is still there"
        time.sleep(0.01)


def test_a_forked_process_has_a_server_of_its_own(faulty: Any) -> None:
    assert faulty(10).run() == 10
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, str(faulty(12).run()).encode())
            fork_server.close()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reading, 100) == b"12"
    assert faulty(13).run() == 13
    os.close(reading)
    os.close(writing)


def test_no_descriptor_is_lost(faulty: Any) -> None:
    for i in range(10):
        faulty(1000 + i).run()
        faulty(1).clear_exception()
    before = len(os.listdir("/proc/self/fd"))
    for i in range(10):
        faulty(2000 + i).run()
    assert len(os.listdir("/proc/self/fd")) <= before + 4
    assert threading.active_count() < 50
