"""Steps that crash, hang, are canceled or interrupted: only they fail, and the pool goes on."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from seamless.transformer import delayed, direct, parallel, worker
from seamless.transformer.execution import seam
from tests.transformer.workers import support
from tests.transformer.workers.support import add, eventually, gate, pid_of_step, pids_in


def ends(how, trace):
    import ctypes
    import os
    import signal

    with open(trace, "a") as file:
        file.write("x")
    print("last words", flush=True)
    if how == "segv":
        ctypes.string_at(0)
    if how == "exit":
        os._exit(7)
    if how == "abort":
        os.abort()
    os.kill(os.getpid(), getattr(signal, how))


CRASHES = {
    "segv": "killed by signal 11 (SIGSEGV: invalid memory access)",
    "SIGKILL": "killed by signal 9 (SIGKILL)",
    "SIGTERM": "killed by signal 15 (SIGTERM)",
    "SIGBUS": "killed by signal 7 (SIGBUS",
    "abort": "killed by signal 6 (SIGABRT",
}


@pytest.mark.parametrize("how", CRASHES)
def test_a_crash_is_tried_again_once_and_then_reported_with_its_cause(workers, tmp_path, how):
    handle = delayed(ends)(how, str(tmp_path / "trace"))
    assert handle.compute() is None
    assert CRASHES[how] in handle.exception
    assert "tried 2 times" in handle.exception
    assert "last words" in handle.exception
    assert handle.original_type == "WorkerLostError"
    assert (tmp_path / "trace").read_text() == "xx"


def test_a_crash_of_the_code_shows_the_line(workers, tmp_path):
    handle = delayed(ends)("segv", str(tmp_path / "trace"))
    handle.compute()
    assert "in ends" in handle.exception


def test_a_step_that_ends_its_process_is_not_tried_again(workers, tmp_path):
    handle = delayed(ends)("exit", str(tmp_path / "trace"))
    assert handle.compute() is None
    assert "has ended its process with status 7" in handle.exception
    assert "last words" in handle.exception
    assert (tmp_path / "trace").read_text() == "x"


def test_a_crash_that_does_not_happen_again_is_survived(workers, tmp_path):
    def unlucky(trace):
        import os
        import signal

        if not os.path.exists(trace):
            open(trace, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return "done"

    assert direct(unlucky)(str(tmp_path / "trace")) == "done"


@pytest.mark.parametrize("retries", [0, 3])
def test_the_number_of_retries_is_that_of_the_pool(pool, tmp_path, retries, monkeypatch):
    monkeypatch.setattr(seam, "executor", worker.WorkerPoolExecutor(1))
    monkeypatch.setattr(seam.executor, "_workers", pool(1, retries=retries))
    handle = delayed(ends)("SIGKILL", str(tmp_path / "trace"))
    assert handle.compute() is None
    assert (tmp_path / "trace").read_text() == "x" * (retries + 1)


def test_a_crash_fails_no_other_step_and_the_pool_stays_whole(workers, tmp_path):
    trace = str(tmp_path / "trace")
    steps = [delayed(ends)("segv", trace) if i in (3, 9) else delayed(add)(i, 1) for i in range(12)]
    found = [handle.exception is None for handle in parallel(steps)]
    assert found == [i not in (3, 9) for i in range(12)]
    eventually(lambda: len(workers.pids()) == 2)
    assert [direct(add)(i, 100) for i in range(10)] == [i + 100 for i in range(10)]


def test_an_idle_worker_that_was_killed_is_replaced(workers):
    direct(pid_of_step)(1)
    before = eventually(lambda: len(workers.pids()) == 2 and workers.pids())
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: len(set(workers.pids()) - set(before)) == 2)
    assert direct(pid_of_step)(2) not in before


def noted(trace):
    with open(trace, "a") as file:
        file.write("x")
    return "done"


def test_workers_that_end_before_they_have_read_a_step_are_no_attempts_at_it(pool, monkeypatch, tmp_path):
    workers = pool(3, retries=0)
    monkeypatch.setattr(seam, "executor", worker.WorkerPoolExecutor(3))
    monkeypatch.setattr(seam.executor, "_workers", workers)
    idle = eventually(lambda: len(workers.pids()) == 3 and workers.pids())
    for pid in idle:
        os.kill(pid, signal.SIGSTOP)
    eventually(lambda: all(support.state(pid) == "T" for pid in idle))
    handle = delayed(noted)(str(tmp_path / "trace")).start()
    eventually(lambda: any(each.runs for each in list(workers._workers.values())))
    for pid in idle:
        os.kill(pid, signal.SIGKILL)
    assert handle.run() == "done"
    assert (tmp_path / "trace").read_text() == "x"


def test_a_step_that_no_worker_lives_to_read_says_so_in_the_end(pool, monkeypatch, tmp_path):
    workers = pool(1, retries=0)
    monkeypatch.setattr(seam, "executor", worker.WorkerPoolExecutor(1))
    monkeypatch.setattr(seam.executor, "_workers", workers)
    fork = workers._supervisor.fork
    monkeypatch.setattr(workers._supervisor, "fork", lambda number, fds: fork(number, [fds[1], *fds[1:]]))  # no link
    os.kill(eventually(workers.pids)[0], signal.SIGKILL)
    handle = delayed(noted)(str(tmp_path / "trace"))
    assert handle.compute() is None
    assert "before it could begin with noted" in handle.exception
    assert not (tmp_path / "trace").exists()
    eventually(lambda: not workers._workers)  # and the pool does not go on for ever


def test_a_stopped_nursery_is_started_again(workers):
    direct(pid_of_step)(1)
    first = workers.nursery()
    os.kill(first, signal.SIGKILL)
    eventually(lambda: not support.is_alive(first))
    assert direct(add)(1, 1) == 2
    assert workers.nursery() != first


def test_a_step_survives_the_end_of_the_nursery(workers, tmp_path):
    handle = delayed(gate)(str(tmp_path / "go"), str(tmp_path / "begun")).start()
    (first,) = eventually(lambda: pids_in(tmp_path / "begun"))
    os.kill(workers.nursery(), signal.SIGKILL)
    eventually(lambda: len(pids_in(tmp_path / "begun")) == 2)
    (tmp_path / "go").touch()
    assert handle.run() == "through"
    assert not support.is_alive(first)


def test_a_step_that_closes_its_output_fails_nothing(workers):
    def closes(x):
        import os
        import sys

        sys.stdout.close()
        os.close(2)
        return x

    assert [direct(closes)(i) for i in range(4)] == [0, 1, 2, 3]
    assert direct(add)(3, 4) == 7


def test_children_of_a_killed_step_are_killed_with_it(workers, tmp_path):
    def parent(path):
        import subprocess
        import time

        child = subprocess.Popen(["sleep", "1000"])
        with open(path, "w") as file:
            file.write(str(child.pid))
        while True:
            time.sleep(1)

    step = delayed(parent)
    handle = step(str(tmp_path / "child")).start()
    child = int(eventually(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text()))
    handle.cancel()
    eventually(lambda: not support.is_alive(child))


def test_the_command_of_a_killed_worker_is_killed_with_all_its_processes(workers, tmp_path):
    begun = tmp_path / "begun"
    command = delayed(f"sleep 1000 & echo $! $$ $PPID > {begun}.new; mv {begun}.new {begun}; wait", "bash")
    handle = command().start()
    child, shell, parent = map(int, eventually(lambda: begun.exists() and begun.read_text()).split())
    assert parent in workers.pids()
    os.kill(parent, signal.SIGKILL)
    eventually(lambda: not support.is_alive(shell) and not support.is_alive(child))
    handle.cancel()


def test_the_command_of_a_killed_program_is_killed_with_all_its_processes(tmp_path):
    begun = tmp_path / "begun"
    program = tmp_path / "program.py"
    program.write_text(
        "from seamless.transformer import delayed\nfrom seamless.transformer.worker import spawn\nspawn(1)\n"
        f"delayed('sleep 1000 & echo $! $$ > {begun}.new; mv {begun}.new {begun}; wait', 'bash')().run()\n"
    )
    running = subprocess.Popen([sys.executable, program], env={**os.environ, "SEAMLESS_CACHE": str(tmp_path / "cache")})
    try:
        child, shell = map(int, eventually(lambda: begun.exists() and begun.read_text()).split())
    finally:
        running.kill()
        running.wait()
    eventually(lambda: not support.is_alive(shell) and not support.is_alive(child))


# --- time limit and cancellation -----------------------------------------------------------------


def endless(begun):
    import os

    with open(begun, "a") as file:
        file.write(f"{os.getpid()}\n")
    print("spinning")
    while True:
        pass


def test_an_endless_step_is_ended_at_its_time_limit_with_its_process(workers, tmp_path):
    step = delayed(endless)
    step.timeout = 0.3
    handle = step(str(tmp_path / "begun"))
    assert handle.compute() is None
    assert handle.exception.startswith("Timeout: not finished after 0.3 s\n")
    assert "spinning" in handle.exception
    (pid,) = pids_in(tmp_path / "begun")
    eventually(lambda: not support.is_alive(pid))
    assert direct(add)(1, 2) == 3


def test_the_time_that_a_step_waits_for_a_worker_does_not_count(workers, tmp_path):
    step = delayed(gate)
    blocking = [step(str(tmp_path / "go"), str(tmp_path / f"b{i}")).start() for i in range(2)]
    eventually(lambda: all(pids_in(tmp_path / f"b{i}") for i in range(2)))
    limited = delayed(endless)
    limited.timeout = 0.2
    waiting = limited(str(tmp_path / "late")).start()
    started = threading.Event()
    assert not started.wait(0.4)  # longer than the limit
    assert waiting.status == "Status: pending"
    (tmp_path / "go").touch()
    assert waiting.compute() is None
    assert pids_in(tmp_path / "late")
    assert [handle.run() for handle in blocking] == ["through"] * 2


def test_a_command_is_ended_at_its_time_limit(workers, tmp_path):
    step = delayed(f"echo $$ > {tmp_path}/pid; sleep 1000", "bash")
    step.timeout = 0.3
    handle = step()
    assert handle.compute() is None
    assert "Time limit of 0.3 s exceeded" in handle.exception
    assert not support.is_alive(int((tmp_path / "pid").read_text()))


def test_canceling_ends_the_process_and_the_pool_goes_on(workers, tmp_path):
    handle = delayed(endless)(str(tmp_path / "begun")).start()
    (pid,) = eventually(lambda: pids_in(tmp_path / "begun"))
    assert handle.cancel()
    assert handle.status == "Status: canceled"
    eventually(lambda: not support.is_alive(pid))
    assert [direct(add)(i, 1) for i in range(4)] == [1, 2, 3, 4]
    eventually(lambda: len(workers.pids()) == 2)


def test_canceling_a_command_ends_its_processes(workers, tmp_path):
    handle = delayed(f"echo $$ > {tmp_path}/begun; sleep 1000", "bash")().start()
    (pid,) = eventually(lambda: pids_in(tmp_path / "begun"))
    assert handle.cancel()
    eventually(lambda: not support.is_alive(pid))
    assert direct(add)(1, 2) == 3


def test_a_step_that_waits_for_a_worker_can_be_canceled(workers, tmp_path):
    blocking = [delayed(gate)(str(tmp_path / "go"), str(tmp_path / f"b{i}")).start() for i in range(2)]
    eventually(lambda: all(pids_in(tmp_path / f"b{i}") for i in range(2)))
    waiting = delayed(gate)(str(tmp_path / "go"), str(tmp_path / "late")).start()
    submission = waiting._submission
    assert waiting.cancel()
    assert submission.idle.wait(support.DEADLINE)
    (tmp_path / "go").touch()
    assert [handle.run() for handle in blocking] == ["through"] * 2
    assert not (tmp_path / "late").exists()


def test_a_canceled_step_can_be_submitted_anew(workers, tmp_path):
    handle = delayed(gate)(str(tmp_path / "go"), str(tmp_path / "begun")).start()
    eventually(lambda: pids_in(tmp_path / "begun"))
    handle.cancel()
    (tmp_path / "go").touch()
    assert direct(gate)(str(tmp_path / "go"), str(tmp_path / "begun")) == "through"


def test_steps_that_are_under_way_at_the_shutdown_fail_and_leave_nothing(workers, tmp_path):
    handles = [delayed(endless)(str(tmp_path / f"b{i}")).start() for i in range(3)]
    pids = eventually(lambda: len(found := pids_in(tmp_path / "b0") + pids_in(tmp_path / "b1")) == 2 and found)
    worker.shutdown_workers()
    assert [pid for pid in pids if support.is_alive(pid)] == []
    for handle in handles:
        assert handle.compute() is None
        assert "shut down" in handle.exception


def test_steps_that_wait_for_a_worker_at_the_shutdown_fail_and_are_executed_nowhere(workers, tmp_path):
    first = [delayed(gate)(str(tmp_path / "go"), str(tmp_path / f"b{i}")).start() for i in range(2)]
    eventually(lambda: all(pids_in(tmp_path / f"b{i}") for i in range(2)))
    waiting = [delayed(gate)(str(tmp_path / "go"), str(tmp_path / f"w{i}")).start() for i in range(40)]
    commands = [delayed(f"echo {i} | tee {tmp_path}/c{i}", "bash")().start() for i in range(20)]
    worker.shutdown_workers()
    (tmp_path / "go").touch()  # whatever is executed now comes to its end
    for handle in [*first, *waiting, *commands]:
        assert handle.compute() is None
        assert handle.exception.startswith("The workers have been shut down\n")
    assert [*tmp_path.glob("w*"), *tmp_path.glob("c*")] == []
    assert direct(add)(20, 1) == 21


def test_a_step_waits_no_longer_than_its_worker_lives_when_a_child_keeps_the_link(workers):
    def leaves_a_child(x):
        import os
        import time

        if os.fork() == 0:
            time.sleep(1000)
            os._exit(0)
        os._exit(3)

    handle = delayed(leaves_a_child)(1)
    assert handle.compute() is None
    assert "status 3" in handle.exception
