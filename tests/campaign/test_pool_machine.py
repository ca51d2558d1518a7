"""A pool of workers through any sequence of steps, cancellations, time limits, kills and closings, against a model."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from seamless.cache.access import Buffers
from seamless.errors import TransformationError
from seamless.transformer import delayed
from seamless.transformer.execution import ExecutionAnswer, ExecutionRequest
from seamless.transformer.outcome import Envelope
from seamless.transformer.workers.pool import WorkerPool
from tests.campaign.effort import examples
from tests.transformer.workers.support import eventually, gate, is_alive, pids_in

SIZE = 2
DEADLINE = 60.0  # seconds for a future
LIMIT = 0.2  # seconds for a step that never ends


def double(x: int) -> int:
    return 2 * x


def refuse(x: int) -> int:
    raise ValueError(f"not {x}")


class Waiting:
    """A step that waits for its gate: where it leaves the pids of the processes in which it has begun."""

    def __init__(self, directory: Path, number: int) -> None:
        self.gate, self.begun = directory / f"gate{number}", directory / f"begun{number}"
        self.kills = 0
        self.future: Future[ExecutionAnswer]
        self.request: ExecutionRequest

    def running(self) -> int | None:
        """Return the process in which it is executed now, or None if it waits for a worker."""
        pids = pids_in(self.begun)
        return pids[-1] if len(pids) > self.kills else None


class Pool(RuleBasedStateMachine):
    """What has been asked for, and what must come of it."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="seamless-test-"))
        self.steps = {f.__name__: delayed(f) for f in (double, refuse, gate)}
        self.number = 0
        self.waiting: list[Waiting] = []
        self.handles: list[Any] = []
        self.processes: set[int] = set()
        self.pool = WorkerPool(SIZE)

    def request(self, name: str, *arguments: Any, timeout: float | None = None) -> ExecutionRequest:
        handle = self.steps[name](*arguments)
        self.handles.append(handle)  # which keep the inputs in memory
        tf = handle.construct()
        envelope = Envelope(name=name, timeout=timeout)
        return ExecutionRequest(handle._tf_dict, tf, envelope, Buffers(), None)

    def note(self) -> None:
        nursery = self.pool.nursery()
        self.processes |= {*self.pool.pids(), *([nursery] if nursery is not None else [])}

    # --- what may happen ------------------------------------------------------------------------

    @precondition(lambda self: len(self.waiting) < SIZE)
    @rule(count=st.integers(1, 4), x=st.integers(0, 9))
    def steps_at_once(self, count: int, x: int) -> None:
        requests = [self.request("double", x + i) for i in range(count)]
        for i, future in enumerate([self.pool.submit(request) for request in requests]):
            answer = future.result(DEADLINE)
            data = requests[i].buffers.added[answer.result].get_value("mixed")
            assert data == 2 * (x + i)

    @precondition(lambda self: len(self.waiting) < SIZE)
    @rule(x=st.integers(0, 9))
    def a_step_that_fails(self, x: int) -> None:
        error = self.pool.submit(self.request("refuse", x)).exception(DEADLINE)
        assert isinstance(error, TransformationError) and f"not {x}" in str(error)

    @precondition(lambda self: len(self.waiting) < SIZE)
    @rule()
    def a_step_that_takes_too_long(self) -> None:
        self.number += 1
        request = self.request("gate", str(self.directory / f"never{self.number}"), timeout=LIMIT)
        error = self.pool.submit(request).exception(DEADLINE)
        assert isinstance(error, TransformationError) and "Timeout" in str(error)

    @precondition(lambda self: len(self.waiting) < SIZE + 2)
    @rule()
    def a_step_that_waits(self) -> None:
        self.number += 1
        step = Waiting(self.directory, self.number)
        step.request = self.request("gate", str(step.gate), str(step.begun))
        step.future = self.pool.submit(step.request)
        if len(self.waiting) < SIZE:
            self.begins(step)
        self.waiting.append(step)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def a_gate_opens(self, data: st.DataObject) -> None:
        step = self.choose(data)
        step.gate.touch()
        if step.running() is None:  # it waits for a worker, which another one has
            for other in self.waiting:
                other.gate.touch()
        answer = step.future.result(DEADLINE)
        assert step.request.buffers.added[answer.result].get_value("mixed") == "through"
        self.settle()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def somebody_cancels(self, data: st.DataObject) -> None:
        step = self.choose(data)
        step.request.canceled.set()
        error = step.future.exception(DEADLINE)
        assert isinstance(error, TransformationError) and "canceled" in str(error), error
        self.settle()

    @precondition(lambda self: any(step.running() for step in self.waiting))
    @rule()
    def a_worker_is_killed(self) -> None:
        step = next(step for step in self.waiting if step.running())
        os.kill(step.running() or 0, signal.SIGKILL)
        step.kills += 1
        if step.kills == 1:
            self.begins(step)  # once more
        else:
            error = step.future.exception(DEADLINE)
            assert "tried 2 times" in str(error)
            self.waiting.remove(step)
            self.settle()

    @rule()
    def idle_workers_are_killed(self) -> None:
        """Nobody loses anything by that."""
        busy = {step.running() for step in self.waiting}
        self.note()
        # With all workers at work, a new one may be about to take over a step.
        idle = set(self.pool.pids()) - busy if len(self.waiting) < SIZE else set()
        for pid in idle:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: not idle.intersection(self.pool.pids()))

    @rule()
    def all_is_closed_and_opened_again(self) -> None:
        self.note()
        self.pool.close()
        for step in self.waiting:
            assert isinstance(step.future.exception(DEADLINE), TransformationError)
        self.waiting.clear()
        assert [pid for pid in self.processes if is_alive(pid)] == []
        self.processes.clear()
        self.pool = WorkerPool(SIZE)

    # --- what always holds ----------------------------------------------------------------------

    @invariant()
    def nobody_has_ended_who_should_wait(self) -> None:
        assert [step for step in self.waiting if step.future.done()] == []

    @invariant()
    def there_are_not_more_processes_than_wanted(self) -> None:
        self.note()
        assert len(self.pool.pids()) <= SIZE

    def begins(self, step: Waiting) -> None:
        """Wait until a step is being executed."""
        eventually(lambda: step.running() or step.future.done())
        assert step.running(), step.future.exception(0)

    def choose(self, data: st.DataObject) -> Waiting:
        step = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(step)
        return step

    def settle(self) -> None:
        """Forget steps whose gates were opened on the way, and wait until as many run as can."""
        for step in [one for one in self.waiting if one.gate.exists()]:
            step.future.result(DEADLINE)
            self.waiting.remove(step)
        wanted = min(SIZE, len(self.waiting))
        eventually(lambda: sum(step.running() is not None for step in self.waiting) >= wanted)

    def teardown(self) -> None:
        self.note()
        self.pool.close()
        deadline = time.monotonic() + DEADLINE
        while [pid for pid in self.processes if is_alive(pid)]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        shutil.rmtree(self.directory)


TestPool = Pool.TestCase
TestPool.settings = examples(8, steps=15)
