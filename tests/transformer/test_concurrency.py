"""Many threads, loops and processes around the same steps: nothing hangs, nothing runs twice, nothing is lost."""

import asyncio
import os
import subprocess
import sys
import threading

import pytest
import steps

from seamless.transformer import TransformationError, TransformationIterableBase, delayed, direct, parallel
from seamless.transformer.pool import pool


def gate_step(path, index=0):
    import os
    import time

    while not os.path.exists(path):
        time.sleep(0.005)
    return index


def wait_until(condition, seconds=20):
    import time

    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "condition did not come true"
        time.sleep(0.002)


def test_eight_threads_with_the_same_step_execute_it_once(tmp_path):
    counter = tmp_path / "counter"
    barrier = threading.Barrier(8)
    found = []

    def call():
        barrier.wait()
        found.append(direct(steps.counted)(21, str(counter)))

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [42] * 8
    assert counter.read_text() == "x"


def test_one_of_two_handles_can_be_canceled_without_the_other(tmp_path):
    first, second = (delayed(gate_step)(str(tmp_path / "go")).start() for _ in range(2))
    assert first.cancel()
    (tmp_path / "go").touch()
    assert second.run() == 0
    assert first.status == "Status: canceled"


def test_the_last_handle_to_be_canceled_stops_the_step(tmp_path):
    handles = [delayed(f"touch {tmp_path}/begun; sleep 100", "bash")().start() for _ in range(2)]
    wait_until((tmp_path / "begun").exists)
    submission = handles[0]._submission
    for handle in handles:
        handle.cancel()
    assert submission.canceled.is_set()
    assert submission.idle.wait(20)


def test_a_time_limit_holds_for_a_step_that_was_started(tmp_path):
    step = delayed(gate_step)
    step.timeout = 0.05
    handle = step(str(tmp_path / "never")).start()
    wait_until(lambda: handle.exception is not None)
    assert "Timeout" in handle.exception
    (tmp_path / "never").touch()


def test_a_time_limit_holds_within_parallel(tmp_path):
    step = delayed(gate_step)
    step.timeout = 0.05
    found = list(parallel([step(str(tmp_path / "never"), i) for i in range(3)]))
    assert ["Timeout" in tf.exception for tf in found] == [True] * 3
    (tmp_path / "never").touch()


def test_canceled_steps_that_never_end_do_not_fill_the_pool(tmp_path):
    stuck = [delayed(gate_step)(str(tmp_path / "never"), i).start() for i in range(pool.limit)]
    for handle in stuck:
        handle.cancel()
    after = delayed(steps.add)(1, 2).start()
    wait_until(lambda: after.status == "Status: OK")
    (tmp_path / "never").touch()


def test_a_step_that_ends_after_its_event_loop_harms_nothing(tmp_path, monkeypatch):
    problems = []
    monkeypatch.setattr(threading, "excepthook", problems.append)
    handle = delayed(gate_step)(str(tmp_path / "go"))

    async def impatient():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(handle.computation(), 0.02)

    asyncio.run(impatient())
    (tmp_path / "go").touch()
    assert handle.run() == 0
    assert problems == []


@pytest.mark.filterwarnings("ignore:the step")  # imports a module that is not part of it
def test_a_step_that_needs_its_own_result_fails_instead_of_hanging(tmp_path, monkeypatch):
    (tmp_path / "ouroboros.py").write_text(
        "from seamless.transformer import direct\n"
        "@direct\n"
        "def bite(x):\n"
        "    import ouroboros\n"
        "    return ouroboros.bite(x)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import ouroboros

    with pytest.raises(TransformationError, match="needs its own result"):
        ouroboros.bite(1)


@pytest.mark.filterwarnings("ignore:the step")  # imports a module that is not part of it
def test_a_step_may_call_itself_with_other_inputs(tmp_path, monkeypatch):
    (tmp_path / "countdown.py").write_text(
        "from seamless.transformer import direct\n"
        "@direct\n"
        "def count(x):\n"
        "    import countdown\n"
        "    return 0 if x == 0 else 1 + countdown.count(x - 1)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import countdown

    assert countdown.count(5) == 5


def test_parallel_goes_on_while_its_first_step_is_slow(tmp_path):
    finished = []

    class Steps(TransformationIterableBase):
        def finish(self, index):
            finished.append(index)
            if len(finished) == 5:
                (tmp_path / "go").touch()

    todo = Steps([delayed(gate_step)(str(tmp_path / "go")), *(delayed(steps.add)(i, 1) for i in range(5))])
    assert [tf.run() for tf in parallel(todo, nparallel=2)] == [0, 1, 2, 3, 4, 5]
    assert finished[-1] == 0


def test_parallel_says_which_item_is_no_transformation():
    with pytest.raises(TypeError, match="item 1 is of type 'int'"):
        list(parallel([delayed(steps.add)(1, 2), 3]))


def test_an_interrupted_step_can_be_run_again_with_the_same_handle(tmp_path):
    def once(path):
        import os

        if not os.path.exists(path):
            open(path, "w").close()
            raise KeyboardInterrupt
        return "second time"

    tf = delayed(once)(str(tmp_path / "interrupted"))
    with pytest.raises(KeyboardInterrupt):
        tf.run()
    assert tf.status == "Status: ready"
    assert tf.run() == "second time"


def run_program(path, text):
    path.write_text(text)
    done = subprocess.run([sys.executable, str(path)], env=os.environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ctrl_c_leaves_a_session_that_works(tmp_path):
    text = """
import os, signal, threading
from seamless.transformer import direct, runner

@direct
def step(x, path):
    import os, signal, time
    if not os.path.exists(path):
        open(path, "w").close()
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(30)
    return x

try:
    step(7, "begun")
except KeyboardInterrupt:
    print("interrupted", runner._running)
print(step(7, "begun"))
""".replace('"begun"', repr(str(tmp_path / "begun")))
    assert run_program(tmp_path / "program.py", text) == "interrupted {}\n7\n"


def test_a_forked_child_executes_what_is_under_way_in_its_parent(tmp_path):
    text = """
import os, time
from seamless.transformer import delayed

def step(path):
    import os, time
    while not os.path.exists(path):
        time.sleep(0.005)
    return "done"

handle = delayed(step)("GO").start()
if os.fork() == 0:
    open("GO", "w").close()
    print("child", handle.run(), delayed(step)("GO").run(), flush=True)
    os._exit(0)
os.wait()
print("parent", handle.run())
""".replace("GO", str(tmp_path / "go"))
    assert run_program(tmp_path / "program.py", text) == "child done done\nparent done\n"


def test_the_output_of_a_process_that_a_step_forks_is_shown(tmp_path):
    text = """
from seamless.transformer import direct

@direct
def step():
    import multiprocessing
    child = multiprocessing.get_context("fork").Process(target=print, args=("from the child",))
    child.start()
    child.join()

step()
"""
    assert run_program(tmp_path / "program.py", text) == "from the child\n"
