"""Steps that are executed by a real jobserver: results, failures, cancellation, and whoever dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seamless.errors import StoreError, TransformationError, WorkerLostError
from seamless.remote import jobserver_remote
from seamless.transformer import delayed, parallel

from .conftest import DEADLINE, Jobserver, Start, descendants, eventually

Use = Callable[[Jobserver], None]

CODE = """
def step(x, counter):
    import os, time
    with open(counter, "a") as f:
        f.write("ran\\n")
    print("doubling", x)
    if x == "fail":
        raise ValueError("this never works")
    if x == "wait":
        while not os.path.exists(counter + ".go"):
            time.sleep(0.01)
    if x == "die":
        os.kill(os.getpid(), 9)
    return x * 2
"""


def step(x: Any, counter: Path, **more: Any) -> Any:
    """Return a handle of the step."""
    tf = delayed(CODE, "python")
    tf.celltypes.x = tf.celltypes.result = "mixed"
    tf.celltypes.counter = "str"
    for name, value in more.items():
        setattr(tf, name, value)
    return tf(x=x, counter=str(counter))


def test_a_step_is_executed_there_and_its_result_and_record_are_kept_there(server: Jobserver, use: Use) -> None:
    use(server)
    handle = step(21, server.counter)
    assert handle.run() == 42
    assert handle.logs == "doubling 21\n"
    from seamless.session import session

    record = session.result_stores[0].get_record(handle.transformation_checksum)
    assert record is not None
    assert (record["execution_mode"], record["remote_target"]) == ("remote", "jobserver")
    assert (server.ran, server.status()["executed"]) == (1, 1)


def test_a_command_is_executed_there(server: Jobserver, use: Use) -> None:
    use(server)
    tf = delayed("echo one > RESULT; echo two >&2", "bash")
    tf.celltypes.result = "text"
    assert tf().run() == "one"
    assert server.status()["executed"] == 1


def test_a_failing_step_runs_once_and_says_what_a_step_of_this_process_says(server: Jobserver, use: Use) -> None:
    use(server)
    handle = step("fail", server.counter)
    with pytest.raises(TransformationError, match="this never works") as caught:
        handle.run()
    assert isinstance(caught.value.__cause__, ValueError)
    assert handle.exception.count("Standard output") == 1
    assert handle.exception.count(handle.transformation_checksum.hex()) == 1
    assert server.ran == 1


def test_a_failing_command_has_its_exit_status(server: Jobserver, use: Use) -> None:
    use(server)
    tf = delayed("exit 3", "bash")
    handle = tf()
    handle.compute()
    assert handle._outcome.exit_status == 3
    assert "Return code 3" in handle.exception


def test_a_worker_that_dies_is_a_clear_error_and_the_server_goes_on(server: Jobserver, use: Use) -> None:
    use(server)
    handle = step("die", server.counter)
    with pytest.raises(TransformationError, match="SIGKILL"):
        handle.run()
    assert isinstance(handle._outcome.original, WorkerLostError)
    assert server.ran == 2  # once more than it should be necessary
    assert step(1, server.counter).run() == 2


def test_a_worker_that_is_killed_is_replaced_and_its_step_executed_again(start: Start, use: Use) -> None:
    server = start("--workers", "1")  # no second one that is killed with it
    use(server)
    handle = step("wait", server.counter).start()
    eventually(lambda: server.ran == 1)
    busy = [pid for pid in descendants(server.process.pid) if not descendants(pid)]
    (server.directory / "count.go").touch()
    for pid in busy:
        os.kill(pid, signal.SIGKILL)
    assert handle.run() == "waitwait"


def test_cancel_ends_the_step_and_frees_the_worker(start: Start, use: Use) -> None:
    server = start("--workers", "1")
    use(server)
    handle = step("wait", server.counter).start()
    eventually(lambda: server.ran == 1)
    assert handle.cancel()
    assert handle.status == "Status: canceled"
    assert step(1, server.counter).run() == 2  # by the only worker
    eventually(lambda: server.status()["canceled"] == 1)


def test_who_waits_learns_that_somebody_else_has_canceled(server: Jobserver, use: Use) -> None:
    use(server)
    handle = step("wait", server.counter).start()
    eventually(lambda: server.ran == 1)
    assert jobserver_remote.transformation_status(handle.transformation_checksum) == "running"
    assert jobserver_remote.cancel_transformation(handle.transformation_checksum)
    assert handle.compute() is None
    assert handle.status == "Status: canceled"


def test_a_scratch_result_comes_back_without_being_computed_again(server: Jobserver, use: Use) -> None:
    use(server)
    assert step(5, server.counter, scratch=True).run() == 10
    assert server.ran == 1


def test_a_local_step_is_executed_in_the_process_that_wants_it(server: Jobserver, use: Use) -> None:
    use(server)
    tf = delayed("import os\nresult = os.getpid()", "python")
    tf.local = True
    assert tf().run() == os.getpid()
    assert server.status()["executed"] == 0


def test_a_step_may_want_others(start: Start, use: Use) -> None:
    server = start("--workers", "1")
    use(server)

    def outer(n):  # type: ignore[no-untyped-def]
        from seamless.transformer import direct

        def inner(i):  # type: ignore[no-untyped-def]
            return i * i

        return sum(direct(inner)(i) for i in range(n))

    assert delayed(outer)(4).run() == 14
    assert server.status()["executed"] == 1  # as seen from clients


def test_output_is_shown_while_it_appears(server: Jobserver, use: Use, capfd: pytest.CaptureFixture[str]) -> None:
    use(server)
    handle = step("wait", server.counter, direct_print=True).start()
    shown: list[str] = []
    eventually(lambda: shown.append(capfd.readouterr().out) or "doubling wait" in "".join(shown))
    (server.directory / "count.go").touch()
    handle.compute()


def test_steps_fill_all_workers_and_more_wait(server: Jobserver, use: Use) -> None:
    use(server)
    handles = [step(i, server.counter) for i in range(60)]
    assert [handle.value for handle in parallel(handles, nparallel=20)] == [2 * i for i in range(60)]
    assert server.ran == 60


def test_a_client_honours_a_full_queue(start: Start, use: Use) -> None:
    server = start("--workers", "1", "--max-queue", "1")
    use(server)
    handles = [step(i, server.counter) for i in range(6)]
    assert [handle.value for handle in parallel(handles, nparallel=6)] == [2 * i for i in range(6)]
    assert server.ran == 6


# --- who dies -------------------------------------------------------------------------------------

PROGRAM = """
import sys
from pathlib import Path
from seamless.config.embedded import activate_embedded
from seamless.remote import jobserver_remote
from seamless.transformer.executors import use_remote
sys.path.insert(0, {root!r})
from tests.services.jobserver.test_execution import step
activate_embedded(directory={cache!r})
client = jobserver_remote.define_extern_client("here", "jobserver", url={url!r})
jobserver_remote.activate(extern_clients=[client], no_main=True)
use_remote("jobserver")
print(step("wait", Path({counter!r})).run())
"""


def program(server: Jobserver) -> subprocess.Popen[str]:
    """Start another program that wants the step."""
    root = str(Path(__file__).resolve().parents[3])
    text = PROGRAM.format(root=root, cache=str(server.cache), url=server.url, counter=str(server.counter))
    return subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_work_survives_its_client_which_may_come_back(server: Jobserver, use: Use) -> None:
    first = program(server)
    eventually(lambda: server.ran == 1)
    first.kill()
    first.communicate(timeout=DEADLINE)
    second = program(server)
    eventually(lambda: server.status()["joined"] == 1)
    (server.directory / "count.go").touch()
    assert second.communicate(timeout=DEADLINE)[0] == "waitwait\n"
    assert server.ran == 1


def test_work_whose_client_never_comes_back_is_kept(server: Jobserver, use: Use) -> None:
    client = program(server)
    eventually(lambda: server.ran == 1)
    client.kill()
    client.communicate(timeout=DEADLINE)
    (server.directory / "count.go").touch()
    eventually(lambda: server.status()["executed"] == 1)
    assert server.stop() == 0
    from seamless.config.embedded import activate_embedded

    activate_embedded(directory=server.cache)
    assert step("wait", server.counter).run() == "waitwait"
    assert server.ran == 1


def test_a_client_that_is_interrupted_takes_its_step_back(server: Jobserver) -> None:
    client = program(server)
    eventually(lambda: server.ran == 1)
    client.send_signal(signal.SIGINT)
    client.communicate(timeout=DEADLINE)
    eventually(lambda: server.status()["canceled"] == 1)


def test_of_two_clients_one_may_lose_interest(server: Jobserver) -> None:
    first, second = program(server), program(server)
    eventually(lambda: server.ran == 1 and server.status()["joined"] == 1)
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=DEADLINE)
    (server.directory / "count.go").touch()
    assert second.communicate(timeout=DEADLINE)[0] == "waitwait\n"
    assert server.status()["canceled"] == 0


def test_many_clients_of_one_step_have_it_executed_once(server: Jobserver, use: Use) -> None:
    use(server)
    handle = step("wait", server.counter)
    handle.construct()
    answers: list[Any] = []
    client = jobserver_remote.active.clients[0]
    from seamless.cache.buffer_writer import get_writer
    from seamless.transformer.inputs import inputs_in_memory

    get_writer().store(inputs_in_memory(handle._tf_dict))

    def want() -> None:
        answers.append(client.run_transformation(handle._tf_dict, tf_checksum=handle.transformation_checksum))

    threads = [threading.Thread(target=want) for _ in range(50)]
    for thread in threads:
        thread.start()
    eventually(lambda: server.status()["joined"] == 49)
    (server.directory / "count.go").touch()
    for thread in threads:
        thread.join(DEADLINE)
    assert len({answer["result_checksum"] for answer in answers}) == 1 and len(answers) == 50
    assert server.ran == 1


def test_the_end_of_the_server_ends_its_steps(server: Jobserver, use: Use) -> None:
    use(server)
    jobserver_remote.active.clients[0].retry_seconds = 0.0
    handle = step("wait", server.counter).start()
    eventually(lambda: server.ran == 1)
    processes = descendants(server.process.pid)
    server.process.kill()
    server.process.wait(DEADLINE)
    eventually(lambda: not any(Path(f"/proc/{pid}/environ").exists() and alive(pid) for pid in processes))
    with pytest.raises(StoreError, match="the jobserver http://.* cannot be used"):
        handle.compute()


def test_a_server_that_is_told_to_end_does_so_in_order(server: Jobserver, use: Use) -> None:
    use(server)
    jobserver_remote.active.clients[0].retry_seconds = 0.0
    handle = step("wait", server.counter).start()
    eventually(lambda: server.ran == 1)
    processes = descendants(server.process.pid)
    assert server.stop() == 0
    assert not any(alive(pid) for pid in processes)
    with pytest.raises(StoreError, match="jobserver"):
        handle.compute()


def alive(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1] != "Z"
    except OSError:
        return False
