"""Whole programs: without a guard, from -c and stdin, interrupted, killed, forked, in a notebook."""

import os
import signal
import subprocess
import sys

import pytest

from tests.transformer.workers import support
from tests.transformer.workers.support import eventually, run_program

BEGIN = """
import os, sys, seamless
from seamless.transformer import delayed, direct, spawn
from seamless.transformer import worker
"""
CODE = BEGIN + 'step = direct("a + 1")\nstep.celltypes.a = "int"\nspawn(2)\nprint(step(a=41))\n'
WARNING = (
    "[seamless.close] worker processes were still there when the program ended; call seamless.close() before that\n"
)


@pytest.fixture
def program(tmp_path):
    def write(text):
        (tmp_path / "program.py").write_text(BEGIN + text)
        return tmp_path / "program.py"

    return write


def test_a_script_needs_no_guard(program):
    text = "@direct\ndef step(a):\n    return a + 1\nspawn(2)\nprint(step(41), __name__)\nseamless.close()\n"
    assert run_program(program(text)) == ("42 __main__\n", "")


def test_it_works_from_the_command_line_and_from_standard_input():
    code = CODE + "seamless.close()\n"
    assert run_program("-c", code) == ("42\n", "")
    assert run_program("-", stdin=code) == ("42\n", "")


def test_who_forgets_to_close_is_told_so_and_nothing_is_left(program):
    text = "spawn(2)\nprint(*worker._spawned.executor.workers.pids(), worker._spawned.executor.workers.nursery())\n"
    out, err = run_program(program(text))
    assert err == WARNING
    assert [pid for pid in map(int, out.split()) if support.is_alive(pid)] == []


ENDLESS = """
@direct
def endless(path):
    import os, time
    with open(path, "w") as file:
        file.write(f"{os.getpid()} {os.getppid()}")
    while True:
        pass

command = direct("echo $$ > RESULT.tmp; cp RESULT.tmp $path; sleep 1000", "bash")
command.celltypes.path = "str"
"""


@pytest.fixture
def running(program, tmp_path):
    """Start a program that executes something without end; give it, and the processes of that."""
    started = []

    def start(text):
        script = program(ENDLESS + text)
        process = subprocess.Popen(
            [sys.executable, script, tmp_path / "pids"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        pids = tmp_path / "pids"
        eventually(lambda: process.poll() is None and pids.exists() and pids.read_text().strip())
        return process, [int(pid) for pid in pids.read_text().split()]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("step", ["endless(sys.argv[1])", "command(path=sys.argv[1])"], ids=["python", "bash"])
def test_ctrl_c_ends_the_step_and_the_program_with_all_processes(running, step):
    process, pids = running(f"spawn(2)\ntry:\n    {step}\nexcept KeyboardInterrupt:\n    print('interrupted')\n")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert out == "interrupted\n"
    eventually(lambda: not [pid for pid in pids if support.is_alive(pid)])


def test_who_interrupts_the_program_is_not_told_to_close(running):
    process, _ = running("spawn(1)\nendless(sys.argv[1])\n")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert err.endswith("\nKeyboardInterrupt\n") and "seamless.close" not in err


def test_after_ctrl_c_the_program_can_go_on(running):
    process, _ = running(
        "spawn(1)\ntry:\n    endless(sys.argv[1])\nexcept KeyboardInterrupt:\n    pass\n"
        "print(direct('1 + 1')())\nseamless.close()\n"
    )
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("2\n", "")


@pytest.mark.parametrize("step", ["endless(sys.argv[1])", "command(path=sys.argv[1])"], ids=["python", "bash"])
def test_the_workers_of_a_killed_program_end(running, step):
    process, pids = running(f"spawn(2)\n{step}\n")
    process.kill()
    process.wait()
    eventually(lambda: not [pid for pid in pids if support.is_alive(pid)])


def test_a_child_of_the_program_that_lives_on_does_not_keep_the_workers_alive(running):
    process, pids = running(
        "spawn(2)\nif os.fork() == 0:\n    import time\n    time.sleep(1000)\nendless(sys.argv[1])\n"
    )
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    try:
        process.kill()
        process.wait()
        eventually(lambda: not [pid for pid in pids if support.is_alive(pid)])
    finally:
        for child in children:
            if support.is_alive(int(child)):
                os.kill(int(child), signal.SIGKILL)


def test_a_forked_child_executes_its_steps_itself(program):
    text = """
@direct
def where(x):
    import os
    return os.getpid()
spawn(1)
assert where(1) != os.getpid()
child = os.fork()
if child == 0:
    assert where(2) == os.getpid() and not worker.has_spawned()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert where(3) != os.getpid()
seamless.close()
print("fine")
"""
    assert run_program(program(text)) == ("fine\n", "")


def test_a_child_of_multiprocessing_spawns_no_workers(program):
    text = """
if __name__ == "__main__":
    import multiprocessing
    child = multiprocessing.get_context("spawn").Process(target=spawn, args=(2,))
    child.start()
    child.join()
    print(child.exitcode)
"""
    note = "seamless.transformer.worker.spawn() called outside MainProcess; ignoring\n"
    assert run_program(program(text)) == ("0\n", note)


def test_a_failing_start_is_reported_with_what_the_interpreter_says(program, tmp_path):
    text = """
from seamless.errors import WorkerLostError
sys.executable = sys.argv[1]
try:
    spawn(1)
except WorkerLostError as exc:
    print(exc)
"""
    out, _ = run_program(program(text), tmp_path / "no-such-interpreter")
    assert "no worker processes can be started" in out
    assert "no-such-interpreter" in out


@pytest.mark.filterwarnings("ignore")
def test_workers_serve_a_notebook(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    manager_module = pytest.importorskip("jupyter_client.manager")
    manager, client = manager_module.start_new_kernel(
        startup_timeout=60, extra_arguments=["--HistoryManager.enabled=False"]
    )
    outputs = []
    code = BEGIN + (
        "@direct\ndef where(x):\n    print('live', x)\n    import os\n    return os.getpid()\n"
        "where.direct_print = True\nspawn(2)\nprint(where(1) != os.getpid())\n"
        "print(await delayed(where)(2).task() != os.getpid())\nseamless.close()\n"
    )
    try:
        reply = client.execute_interactive(code, timeout=60, store_history=False, output_hook=outputs.append)
        text = "".join(o["content"].get("text", "") for o in outputs if o["msg_type"] == "stream")
        assert reply["content"]["status"] == "ok", reply["content"]
        assert text == "live 1\nTrue\nlive 2\nTrue\n"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
