"""What a step in a worker sees and gives: values, output, errors, records; and where it is executed."""

import os
import sys

import pytest

import seamless
from seamless.session import session
from seamless.transformer import TransformationError, delayed, direct, has_spawned, parallel, spawn, worker
from tests.transformer.workers import support
from tests.transformer.workers.support import add, eventually, gate, pid_of_step, pids_in


def test_a_step_is_executed_in_another_process(workers):
    assert direct(pid_of_step)(1) in workers.pids()


def test_a_local_step_is_executed_in_this_process(workers):
    step = direct(pid_of_step)
    step.local = True
    assert step(1) == os.getpid()


def test_a_step_knows_that_it_is_in_a_worker(workers):
    def asked():
        import seamless

        return seamless.is_worker()

    assert direct(asked)() is True
    assert worker.is_worker() is False


def test_there_can_be_only_one_pool_of_the_program(workers):
    assert has_spawned()
    with pytest.raises(RuntimeError, match="Workers have already been spawned"):
        spawn(2)


@pytest.mark.parametrize("number", [0, -1, "two"])
def test_a_number_of_workers_that_cannot_be_is_refused(number):
    with pytest.raises(ValueError, match="int >= 1"):
        spawn(number)
    assert not has_spawned()


def test_by_default_there_are_as_many_workers_as_processors():
    spawn()
    try:
        assert worker._spawned.executor.size == len(os.sched_getaffinity(0))
    finally:
        worker.shutdown_workers()


def test_spawn_outside_of_the_main_process_is_ignored_with_a_note(capsys, monkeypatch):
    monkeypatch.setattr(session, "is_worker", True)
    assert spawn(2) is None
    note = "seamless.transformer.worker.spawn() called outside MainProcess; ignoring\n"
    assert capsys.readouterr().err == note
    assert not has_spawned()


def test_after_the_shutdown_steps_are_executed_here_and_workers_can_be_spawned_again(workers):
    worker.shutdown_workers()
    assert not has_spawned()
    assert direct(pid_of_step)(1) == os.getpid()
    spawn(1)
    assert direct(pid_of_step)(2) != os.getpid()


def test_close_ends_the_workers(workers):
    assert direct(add)(1, 2) == 3
    pids = [*workers.pids(), workers.nursery()]
    seamless.close()
    assert not has_spawned()
    assert [pid for pid in pids if support.is_alive(pid)] == []


def test_a_step_runs_once_and_is_then_known(workers, tmp_path):
    def counted(path):
        with open(path, "a") as file:
            file.write("x")
        return 1

    for _ in range(2):
        assert direct(counted)(str(tmp_path / "count")) == 1
    assert (tmp_path / "count").read_text() == "x"


def test_as_many_steps_are_executed_at_once_as_there_are_workers_and_no_process_has_two(workers, tmp_path):
    go, files = tmp_path / "go", [tmp_path / "first", tmp_path / "second"]
    handles = [delayed(gate)(str(go), str(file)).start() for file in files]
    eventually(lambda: all(pids_in(file) for file in files))
    assert len({pid for file in files for pid in pids_in(file)}) == 2
    go.touch()
    assert [handle.run() for handle in handles] == ["through"] * 2


def test_a_step_that_waits_for_a_worker_is_pending(workers, tmp_path):
    go = tmp_path / "go"
    blocking = [delayed(gate)(str(go), str(tmp_path / f"b{i}")).start() for i in range(2)]
    eventually(lambda: all(pids_in(tmp_path / f"b{i}") for i in range(2)))
    waiting = delayed(add)(1, 2).start()
    assert waiting.status == "Status: pending"
    go.touch()
    assert waiting.run() == 3
    assert [handle.run() for handle in blocking] == ["through"] * 2


# --- output and errors --------------------------------------------------------------------------


def noisy(x):
    import os
    import subprocess
    import sys
    import threading

    print("printed", flush=True)
    print("to stderr", file=sys.stderr)
    os.write(1, b"written\n")
    thread = threading.Thread(target=print, args=("from a thread",))
    thread.start()
    thread.join()
    subprocess.run(["echo", "by a child"], check=True)
    return x


def test_everything_that_a_step_prints_is_in_its_logs(workers):
    handle = delayed(noisy)(1)
    assert handle.run() == 1
    for line in ("printed", "to stderr", "written", "from a thread", "by a child"):
        assert line in handle.logs.splitlines()


def test_nothing_that_a_step_prints_reaches_the_terminal(workers, capfd):
    delayed(noisy)(2).run()
    assert capfd.readouterr() == ("", "")


def test_each_step_has_its_own_output(workers):
    def says(word):
        print(word * 3)
        return word

    words = [chr(97 + i) for i in range(20)]
    handles = list(parallel(delayed(says)(word) for word in words))
    assert [handle.logs for handle in handles] == [word * 3 + "\n" for word in words]


def test_much_output_is_shortened_in_the_middle_and_blocks_nothing(workers):
    def talks():
        import sys

        print("first line")
        print("x" * 3_000_000, file=sys.stderr)
        for i in range(20_000):
            print("line", i)
        print("last line")
        return 1

    handle = delayed(talks)()
    assert handle.run() == 1
    assert handle.logs.startswith("first line\n")
    assert "last line" in handle.logs
    assert len(handle.logs) < 400_000


def test_direct_print_shows_the_output_while_the_step_goes_on(workers, tmp_path, capfd):
    def says(go):
        import os
        import time

        print("begun")
        while not os.path.exists(go):
            time.sleep(0.002)
        print("ended")

        return 1

    step = delayed(says)
    step.direct_print = True
    handle = step(str(tmp_path / "go")).start()
    shown = []
    eventually(lambda: shown.append(capfd.readouterr().out) or "begun\n" in "".join(shown))
    (tmp_path / "go").touch()
    handle.run()
    assert "".join([*shown, capfd.readouterr().out]) == "begun\nended\n"


def test_a_failure_tells_line_and_process_and_what_was_printed(workers):
    def fails(x):
        print("just before")
        raise KeyError("wrong key")

    handle = delayed(fails)(1)
    assert handle.compute() is None
    text = handle.exception
    assert '  File "<transformer fails>", line 3, in fails' in text
    assert 'raise KeyError("wrong key")' in text
    assert f"transformation {handle.transformation_checksum}, worker process" in text
    assert os.uname().nodename in text
    assert "just before" in text
    assert handle.original_type == "KeyError"


def test_the_original_exception_is_the_cause(workers):
    def fails():
        raise ValueError("bad", 2)

    with pytest.raises(TransformationError) as caught:
        delayed(fails)().run()
    assert type(caught.value.__cause__) is ValueError
    assert caught.value.__cause__.args == ("bad", 2)


def test_an_exception_of_a_class_of_the_step_keeps_its_name_and_text(workers):
    def fails():
        class OwnError(Exception):
            pass

        raise OwnError("own text")

    handle = delayed(fails)()
    with pytest.raises(TransformationError) as caught:
        handle.run()
    assert handle.original_type == "OwnError"
    assert str(caught.value.__cause__) == "own text"


def test_leaving_by_sys_exit_is_an_ordinary_failure_and_harms_no_worker(workers):
    def leaves():
        import sys

        sys.exit(5)

    before = direct(pid_of_step)(3)
    handle = delayed(leaves)()
    assert handle.compute() is None
    assert "sys.exit(5)" in handle.exception
    assert before in workers.pids()


def test_a_keyboard_interrupt_that_the_step_raises_is_its_failure(workers):
    def interrupts():
        raise KeyboardInterrupt

    handle = delayed(interrupts)()
    assert handle.compute() is None
    assert "KeyboardInterrupt" in handle.exception


def test_a_result_that_cannot_be_stored_is_a_failure_with_its_reason(workers):
    def gives():
        return object()

    handle = delayed(gives)()
    assert handle.compute() is None
    assert "cannot be stored with celltype 'mixed'" in handle.exception


# --- surroundings -------------------------------------------------------------------------------


def test_a_step_is_where_the_program_is(workers, tmp_path, monkeypatch):
    def where(x):
        import os

        return os.getcwd()

    monkeypatch.chdir(tmp_path)
    assert direct(where)(1) == str(tmp_path)
    (tmp_path / "deeper").mkdir()
    monkeypatch.chdir(tmp_path / "deeper")
    assert [direct(where)(i) for i in range(2, 5)] == [str(tmp_path / "deeper")] * 3


def test_a_step_that_changes_directory_does_not_move_the_next_one(workers, tmp_path):
    def wanders(x):
        import os

        before = os.getcwd()
        os.chdir("/")
        return before

    assert [direct(wanders)(i) for i in range(4)] == [os.getcwd()] * 4


@pytest.mark.filterwarnings("ignore:the step")  # imports a module that is not part of it
def test_a_step_imports_what_the_program_can_import(workers, tmp_path, monkeypatch):
    def uses(x):
        import only_on_this_path

        return only_on_this_path.VALUE + x

    (tmp_path / "only_on_this_path.py").write_text("VALUE = 40\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    assert direct(uses)(2) == 42


def test_a_step_has_no_standard_input(workers):
    def reads():
        import sys

        return sys.stdin.read()

    assert direct(reads)() == ""


def test_a_command_is_executed_by_a_worker(workers):
    handle = delayed("echo $PPID > RESULT; echo shown", "bash")()
    assert int(handle.run()) in workers.pids()
    assert handle.logs == "shown\n"


def test_a_failing_command_tells_what_it_has_printed(workers):
    handle = delayed("echo reason >&2; exit 3", "bash")()
    assert handle.compute() is None
    assert "reason" in handle.exception
    with pytest.raises(TransformationError) as caught:
        handle.run()
    assert caught.value.exit_status == 3


# --- stores -------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path):
    from seamless.config.embedded import activate_embedded

    return activate_embedded(directory=tmp_path / "cache")


def test_the_record_says_where_it_was_executed_and_what_it_has_used(workers, store):
    def works(n):
        return sum(i * i for i in range(n))

    handle = delayed(works)(400_000)
    handle.compute()
    record = store.results.get_record(handle.transformation_checksum)
    assert record["execution_mode"] == "spawn"
    assert record["remote_target"] is None
    assert 0 < record["cpu_time_user_seconds"] + record["cpu_time_system_seconds"] <= record["wall_time_seconds"] + 0.1
    assert record["memory_peak_bytes"] > 1_000_000


def test_the_peak_of_memory_is_that_of_the_step_alone(workers, store):
    def takes(size):
        return len(bytearray(size))

    worker.shutdown_workers()
    spawn(1)
    large, small = delayed(takes)(200_000_000), delayed(takes)(1)
    for handle in (large, small):
        handle.compute()
    peaks = [store.results.get_record(h.transformation_checksum)["memory_peak_bytes"] for h in (large, small)]
    assert peaks[0] > 200_000_000
    assert peaks[1] < 150_000_000


def test_a_result_is_kept_by_the_program_not_by_the_worker(workers, store):
    handle = delayed(add)(20, 22)
    assert handle.run() == 42
    assert store.results.get_result(handle.transformation_checksum) == handle.result_checksum
    assert store.buffers.get(handle.result_checksum) == b"42\n"


def test_a_file_of_the_store_is_an_input_and_a_large_file_a_result(workers, store, tmp_path):
    step = delayed("cat data data > RESULT", "bash")
    step.celltypes.data = "bytes"
    step.celltypes.result = "bytes"
    data = os.urandom(3_000_000)
    assert step(data=data).run() == data * 2


def test_a_missing_input_is_named(workers):
    handle = delayed(add)(seamless.Checksum("ab" * 32), 1)
    assert handle.compute() is None
    assert "CacheMissError" in handle.exception
    assert "ab" * 32 in handle.exception
