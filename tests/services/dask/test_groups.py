"""Short steps go to Dask together; what is special, long or troublesome goes alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("distributed")

from seamless.cache.access import Buffers
from seamless.transformer import dask_group_step, delayed, runner
from seamless.transformer.construct import envelope_of
from seamless.transformer.dask_groups import SHORT, Groups, _Wanted
from seamless.transformer.dask_step import cancel_waiting
from seamless.transformer.execution import ExecutionAnswer, ExecutionRequest
from seamless.transformer.outcome import Usage
from tests.integration.place import eventually

_SECONDS = 60


class Task(Future):  # type: ignore[type-arg]
    """A future of a task that nobody executes before `begin`."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__()
        self._work = work

    def begin(self) -> None:
        """Execute it in another thread."""

        def run() -> None:
            try:
                answer = self._work()
            except Exception as exc:  # noqa: BLE001  it belongs to who waits
                self.set_exception(exc)
            else:
                if not self.cancelled():
                    self.set_result(answer)

        threading.Thread(target=run, daemon=True).start()

    def release(self) -> None: ...


class Scheduler:
    """A `distributed.Client` whose workers are this process."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.submitted = threading.Semaphore(0)
        self.held = False

    def submit(self, function: Any, *arguments: Any, key: str, **more: Any) -> Task:
        task = Task(lambda: function(*arguments))
        self.tasks.append(task)
        if not self.held:
            task.begin()
        self.submitted.release()
        return task

    def run(self, function: Any, *arguments: Any, wait: bool) -> None:
        asyncio.run(function(*arguments))


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    yield Scheduler()
    runner.reset()


@pytest.fixture
def groups(scheduler: Scheduler) -> Groups:
    client: Any = SimpleNamespace(client=scheduler, most=1, shares=True)
    return Groups(client, 10)


def request_for(code: str, **inputs: Any) -> ExecutionRequest:
    step = delayed(code)
    for name, value in inputs.items():
        setattr(step.celltypes, name, "str" if isinstance(value, str) else "int")
    tf = step(**inputs)
    checksum = tf.construct()
    assert checksum is not None
    request = ExecutionRequest(tf._tf_dict or {}, checksum, envelope_of(tf._definition), Buffers())
    request.handle = tf  # type: ignore[attr-defined]  holds the inputs
    return request


def learned(groups: Groups, request: ExecutionRequest, seconds: float) -> None:
    groups.learn(request, ExecutionAnswer(request.tf, usage=Usage(wall_time_seconds=seconds)))


def executing(groups: Groups, *requests: ExecutionRequest) -> list[Future[Any]]:
    """Have them executed, the first one in a group of its own, the others in the next ones."""
    futures: list[Future[Any]] = []
    for request in requests:
        future: Future[Any] = Future()

        def run(request: ExecutionRequest = request, future: Future[Any] = future) -> None:
            future.set_result(groups.execute(request, []))

        threading.Thread(target=run, daemon=True).start()
        futures.append(future)
    return futures


def test_a_step_goes_with_others_once_its_code_is_known_to_be_short(groups: Groups) -> None:
    request = request_for("a + 1", a=1)
    assert not groups.takes(request)
    learned(groups, request, SHORT / 10)
    assert groups.takes(request) and groups.takes(request_for("a + 1", a=2))
    assert not groups.takes(request_for("a + 2", a=1))
    learned(groups, request, SHORT * 2)
    assert not groups.takes(request)


def test_what_is_special_goes_alone(groups: Groups) -> None:
    plain = request_for("a + 1", a=1)
    learned(groups, plain, SHORT / 10)
    special = [
        replace(plain, refresh=True),
        replace(plain, envelope=replace(plain.envelope, timeout=5.0)),
        replace(plain, envelope=replace(plain.envelope, direct_print=True)),
        replace(plain, envelope=replace(plain.envelope, env={"docker": "x"})),
        replace(plain, envelope=replace(plain.envelope, meta={"write_remote_job": "x"})),
    ]
    assert [groups.takes(request) for request in [plain, *special]] == [True] + [False] * 5


def test_steps_that_come_meanwhile_are_one_task_and_each_has_its_result(groups: Groups, scheduler: Scheduler) -> None:
    requests = [request_for("a + 1", a=a) for a in range(10)]
    learned(groups, requests[0], 0.001)
    scheduler.held = True
    futures = executing(groups, *requests[:2])
    for _ in range(2):
        assert scheduler.submitted.acquire(timeout=_SECONDS)
    futures += executing(groups, *requests[2:])
    gathering = groups._gathering[requests[0].transformation["code"][2]]
    while len(gathering._waiting) < 8:
        assert not any(future.done() for future in futures)
    scheduler.held = False
    first = scheduler.tasks[0]
    first.begin()  # the other one goes on, so that only one thread begins the next
    told = [future.result(_SECONDS) for future in futures[2:]]
    scheduler.tasks[1].begin()
    told += [future.result(_SECONDS) for future in futures[:2]]
    assert [one["error"] for one in told] == [None] * 10
    assert len({one["result"] for one in told}) == 10
    assert len(scheduler.tasks) == 3


def test_a_step_that_fails_fails_alone(groups: Groups, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_group_step, "is_starved", lambda outcome, killed: False)  # asks the Dask worker
    good, bad = request_for("10 // a", a=5), request_for("10 // a", a=0)
    learned(groups, good, 0.001)
    one, other = [future.result(_SECONDS) for future in executing(groups, good, bad)]
    assert one["error"] is None and "ZeroDivisionError" in other["error"]


def test_when_a_task_fails_each_of_its_steps_goes_alone(groups: Groups, scheduler: Scheduler) -> None:
    request = request_for("a + 1", a=1)
    learned(groups, request, 0.001)
    scheduler.held = True
    (future,) = executing(groups, request)
    assert scheduler.submitted.acquire(timeout=_SECONDS)
    scheduler.tasks[0].set_exception(OSError("the worker has died"))
    assert future.result(_SECONDS) is None
    assert not groups.takes(request)


def test_who_is_slow_is_not_waited_for_and_goes_on(
    groups: Groups, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_group_step, "_SECONDS", 0.01)
    code = "import os, time\nwhile not os.path.exists(go):\n    time.sleep(0.01)\nresult = 1\n"
    request = request_for(code, go=str(tmp_path / "go"))
    learned(groups, request, 0.001)
    (future,) = executing(groups, request)
    assert future.result(_SECONDS) is None
    assert not groups.takes(request)
    (tmp_path / "go").touch()
    outcome = runner.run_transformation(request.transformation, request.tf, request.envelope)
    assert outcome.error is None and not outcome.canceled


def test_when_a_step_is_canceled_its_group_is_given_up(groups: Groups, scheduler: Scheduler) -> None:
    request = request_for("a + 1", a=1)
    learned(groups, request, 0.001)
    scheduler.held = True
    (future,) = executing(groups, request)
    assert scheduler.submitted.acquire(timeout=_SECONDS)
    request.canceled.set()
    assert future.result(_SECONDS) is None
    assert scheduler.tasks[0].cancelled()


def test_a_step_that_is_canceled_while_its_group_is_executed_ends_there(
    groups: Groups, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_group_step, "_SECONDS", _SECONDS)
    code = "import os, time\nopen(mark, 'w').close()\nwhile not os.path.exists(go):\n    time.sleep(0.01)\nresult = 1\n"
    request = request_for(code, mark=str(tmp_path / "mark"), go=str(tmp_path / "go"))
    learned(groups, request, 0.001)
    (future,) = executing(groups, request)
    eventually((tmp_path / "mark").exists)
    (submission,) = [each for group in dask_group_step._groups.values() for each in group.values()]
    request.canceled.set()
    assert future.result(_SECONDS) is None
    eventually(submission.canceled.is_set)
    (tmp_path / "go").touch()


@pytest.fixture
def connection() -> Iterator[Any]:
    """The client of a real scheduler that has no workers: what it is sent waits."""
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as cluster:
        with Client(cluster, set_as_default=False) as client:
            yield client


def test_a_step_of_a_group_that_nobody_has_begun_is_found_by_others_who_cancel_it(connection: Any) -> None:
    groups = Groups(SimpleNamespace(client=connection, most=1, shares=True), 10)  # type: ignore[arg-type]
    requests = [request_for("a + 1", a=a) for a in range(3)]
    told: Future[Any] = Future()
    round_of_all = [_Wanted(request, []) for request in requests]
    threading.Thread(target=lambda: told.set_result(groups._send(round_of_all)), daemon=True).start()
    wanted = requests[1].tf.hex()
    eventually(lambda: connection.run_on_scheduler(cancel_waiting, wanted, connection.id))
    assert told.result(_SECONDS) == [None] * 3  # the others are sent alone
    assert [request.canceled.is_set() for request in requests] == [False, True, False]


def test_a_step_in_no_group_is_not_found(connection: Any) -> None:
    groups = Groups(SimpleNamespace(client=connection, most=1, shares=True), 10)  # type: ignore[arg-type]
    request, other = request_for("a + 1", a=1), request_for("a + 1", a=2)
    told: Future[Any] = Future()
    threading.Thread(target=lambda: told.set_result(groups._send([_Wanted(request, [])])), daemon=True).start()
    eventually(lambda: connection.run_on_scheduler(_tasks))
    assert not connection.run_on_scheduler(cancel_waiting, other.tf.hex(), connection.id)
    assert connection.run_on_scheduler(cancel_waiting, request.tf.hex(), connection.id)
    assert told.result(_SECONDS) == [None]


def _tasks(dask_scheduler: Any) -> int:
    return len(dask_scheduler.tasks)
