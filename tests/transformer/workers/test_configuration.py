"""`execution: spawn` in project files, and pools as objects of their own."""

import os

import pytest

import seamless.config
from seamless.buffer import Buffer
from seamless.cache.access import Buffers
from seamless.errors import TransformationError, UsageError
from seamless.transformer import delayed, direct, has_spawned, spawn, worker
from seamless.transformer.execute import StepError
from seamless.transformer.execution import ExecutionRequest
from seamless.transformer.outcome import Envelope
from tests.transformer.workers import support
from tests.transformer.workers.support import add, pid_of_step


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text):
        (tmp_path / "seamless.profile.yaml").write_text(text)
        (tmp_path / "seamless.yaml").write_text("- project: p\n")

    return write


SPAWN = "- execution: spawn\n- persistent: false\n"


def test_a_project_file_can_ask_for_workers(project):
    project(SPAWN)
    seamless.config.init(workdir=os.getcwd())
    assert has_spawned()
    assert direct(pid_of_step)(1) != os.getpid()


def test_no_process_is_started_before_a_step_is_to_be_executed(project):
    project(SPAWN)
    seamless.config.init(workdir=os.getcwd())
    assert worker.worker_pids() == []
    assert worker._spawned.executor._workers is None


def test_the_workers_go_with_the_stage_that_asks_for_them(project):
    project("- execution: process\n- persistent: false\n- stage many:\n  - execution: spawn\n")
    seamless.config.set_stage("many", workdir=os.getcwd())
    assert direct(pid_of_step)(1) != os.getpid()
    seamless.config.set_stage(None)
    assert not has_spawned()
    assert direct(pid_of_step)(2) == os.getpid()


def test_the_configuration_leaves_workers_alone_that_the_program_has_spawned(project):
    project("- execution: process\n- persistent: false\n")
    spawn(1)
    seamless.config.init(workdir=os.getcwd())
    assert has_spawned()
    worker.shutdown_workers()


# --- pools of their own -------------------------------------------------------------------------


def request_for(step, *arguments, **envelope):
    handle = delayed(step)(*arguments)
    tf = handle.construct()
    request = ExecutionRequest(handle._tf_dict, tf, Envelope(name="step", **envelope), Buffers(), None)
    return request, handle


def test_a_pool_executes_a_request_and_adds_the_result_to_its_buffers(pool):
    request, handle = request_for(add, 1, 2)
    answer = pool(1).execute(request)
    assert answer.result == Buffer(3, "mixed").get_checksum()
    assert request.buffers.added[answer.result].content == b"3\n"
    assert answer.mode == "spawn"
    assert not has_spawned()


def test_pools_exist_beside_each_other(pool):
    first, second = pool(1), pool(1)
    for one in (first, second):
        request, handle = request_for(pid_of_step, id(one))
        answer = one.execute(request)
        assert int(request.buffers.added[answer.result].content) in one.pids()


def test_a_request_can_be_submitted_and_waited_for(pool):
    workers = pool(2)
    requests = [request_for(add, i, 1) for i in range(5)]
    futures = [workers.submit(request) for request, _ in requests]
    found = [future.result(60).result for future in futures]
    assert found == [Buffer(i + 1, "mixed").get_checksum() for i in range(5)]


def test_the_exception_of_a_future_is_that_of_the_step(pool):
    def fails():
        print("said")
        raise ValueError("no")

    request, handle = request_for(fails)
    error = pool(1).submit(request).exception(60)
    assert isinstance(error, StepError)
    assert "ValueError: no" in str(error)
    assert error.stdout == b"said\n"


def test_a_request_can_be_canceled(pool):
    def endless():
        while True:
            pass

    workers = pool(1)
    request, handle = request_for(endless)
    future = workers.submit(request)
    support.eventually(workers.pids)
    request.canceled.set()
    assert isinstance(future.exception(60), TransformationError)
    request, handle = request_for(add, 2, 2)
    assert workers.execute(request).result == Buffer(4, "mixed").get_checksum()


def test_a_closed_pool_refuses_and_says_so(pool):
    workers = pool(1)
    workers.close()
    request, handle = request_for(add, 1, 2)
    with pytest.raises(TransformationError, match="shut down"):
        workers.execute(request)


def test_a_pool_without_workers_is_refused():
    from seamless.transformer.workers.pool import WorkerPool

    with pytest.raises((ValueError, UsageError), match="at least 1"):
        WorkerPool(0)
