"""The jobs of a cluster made by dask-jobqueue: begun, counted, given back, and replaced where that makes sense.

`Jobs.tick` is called once a second in one thread. What a job was ended by decides about the next ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from seamless.services.dask.batch import ENDED, BatchError, Limits, State, next_limits
from seamless.services.dask.demand import Snapshot, wanted_jobs
from seamless.services.dask.lacking import Lack, Lacking
from seamless.services.dask.parameters import Parameters

_QUERY_SECONDS = 5.0  # between two questions to the batch system
_BARREN = 3  # jobs in a row that have ended with no worker that has lasted, after which no more are begun
_SETTLED_SECONDS = 30.0  # after which a worker counts as one that works
_LEAVING_SECONDS = 2.0  # in which workers say what they are executing
_PAUSE_SECONDS = 300.0  # until they are again


class Jobs:
    """The jobs of one cluster.

    `batch`: the batch system, None if it cannot be asked. `apply`: makes parameters hold for the next jobs.
    `steering`: what workers and steps are told.
    """

    def __init__(
        self,
        cluster: Any,
        parameters: Parameters,
        batch: Any,
        *,
        user: str,
        apply: Callable[[Parameters], None],
        say: Callable[[str], None],
        steering: Any,
        interval: float = 30.0,
        wait_count: int = 10,
        now: Callable[[], float] = time.monotonic,
    ):
        self._cluster, self.parameters, self._batch, self._user = cluster, parameters, batch, user
        self._apply, self._say, self._steering, self._now = apply, say, steering, now
        self._patience = interval * wait_count  # seconds for which jobs that are not needed are kept
        self._surplus_since: float | None = None
        self._queried = float("-inf")
        self._limits: Limits | None = None
        self._seen: dict[Any, float] = {}  # names of jobs that have had a worker, and since when
        self._lived: dict[Any, float] = {}  # and for how many seconds, at the last look
        self._begun: dict[Any, Parameters] = {}  # by job, with what it was begun
        self._executing: dict[Any, dict[str, float]] = {}  # by job, what it was executing at the last look
        self._leaving: dict[Any, float] = {}  # jobs that begin nothing more, and since when
        self._lacking = Lacking()
        self._barren = 0
        self._paused_until = float("-inf")
        self._complaint = ""

    def tick(self, snapshot: Snapshot) -> None:
        """Look at the jobs, and begin, replace or end some."""
        present = self._present(snapshot)
        for name in present:
            self._lived[name] = self._now() - self._seen.setdefault(name, self._now())
            if self._lived[name] >= _SETTLED_SECONDS:
                self._barren = 0
        self._executing |= self._executed(snapshot)
        self._remove_ended(present)
        self._steering.answer(lambda worker, key: self._lacks_memory(worker, key, snapshot))
        self._let_go(snapshot)
        # Others take the place of jobs that begin nothing more.
        wanted = min(wanted_jobs(self.parameters, snapshot) + len(self._leaving), self.parameters.maximum_jobs)
        have = len(self._cluster.worker_spec)
        if wanted > have:
            self._surplus_since = None
            self._grow(wanted)
        elif wanted < have:
            self._shrink(snapshot, wanted)
        else:
            self._surplus_since = None

    # --- more ---------------------------------------------------------------------------------

    def _grow(self, wanted: int) -> None:
        if self._now() < self._paused_until:
            return
        if self._barren >= _BARREN:
            self._barren = 0
            self._paused_until = self._now() + _PAUSE_SECONDS
            self._say(
                f"{_BARREN} jobs in a row have ended without a worker that lasted; no more are begun for "
                f"{_PAUSE_SECONDS / 60:g} minutes. Look at their output, and at the settings of the queue"
            )
            return
        self._cluster.scale(jobs=wanted)
        for name in self._specs():
            self._begun.setdefault(name, self.parameters)

    # --- fewer --------------------------------------------------------------------------------

    def _shrink(self, snapshot: Snapshot, wanted: int) -> None:
        if self._surplus_since is None:
            self._surplus_since = self._now()
        if self._now() - self._surplus_since < self._patience:
            return
        busy = {name for worker, tasks in snapshot.workers.items() if tasks for name in [self._job_of(worker)]}
        present = self._present(snapshot)
        specs = list(self._cluster.worker_spec)
        # First those that have not begun, then those that do nothing; what works is left alone.
        candidates = [name for name in specs if name not in present] + [n for n in specs if n in present - busy]
        leaving = candidates[: len(specs) - wanted]
        if not leaving:
            return
        self._end(leaving, snapshot)

    def _end(self, leaving: list[Any], snapshot: Snapshot) -> None:
        workers = [worker for worker in snapshot.workers if self._job_of(worker) in leaving]
        if workers:
            self._steering.retire(workers)
        for name in leaving:
            self._forget(name)
        self._correct()

    # --- too little memory for one step -------------------------------------------------------

    def _lacks_memory(self, worker: str, key: str, snapshot: Snapshot) -> str:
        """Return "" if a step is to be tried again that has run out of memory in its job, which goes on; else why not.

        Then that job gets nothing more to do, and is given back when it has done what it is doing.
        """
        name = self._job_of(worker)
        reason = self._draw("memory", {key: 0.0}, name).get(key, "")
        if not reason and name is not None:
            self._leaving.setdefault(name, self._now())
            self._steering.drain({worker, *(each for each in snapshot.workers if self._job_of(each) == name)})
        return reason

    def _let_go(self, snapshot: Snapshot) -> None:
        executed = self._executed(snapshot)
        leaving = [
            name
            for name, since in self._leaving.items()
            if not executed.get(name) and self._now() - since >= _LEAVING_SECONDS
        ]
        if leaving:
            self._end(leaving, snapshot)

    # --- what has ended -----------------------------------------------------------------------

    def _remove_ended(self, present: set[Any]) -> None:
        silent = {n: j for n, j in dict(self._cluster.workers).items() if n not in present and n in self._specs()}
        if not silent or self._now() - self._queried < _QUERY_SECONDS:
            return
        self._queried = self._now()
        states = self._states({name: job.job_id for name, job in silent.items() if getattr(job, "job_id", None)})
        removed = False
        for name, job in silent.items():
            state = states.get(name) if getattr(job, "job_id", None) else "failed"
            if state in ENDED:
                self._note(name, state)
                self._forget(name)
                removed = True
        if removed:
            self._correct()

    def _states(self, jobs: dict[Any, str]) -> dict[Any, State]:
        if not jobs:
            return {}
        if self._batch is None:
            return {name: "unknown" for name in jobs if name in self._seen}
        try:
            found = self._batch.states(list(jobs.values()), self._user)
        except BatchError as exc:
            self._complain(f"the batch system does not answer: {exc}")
            return {}
        self._complaint = ""
        return {name: found[number] for name, number in jobs.items()}

    def _note(self, name: Any, state: State) -> None:
        """Draw conclusions from the end of a job."""
        lasted = self._now() - self._seen.get(name, self._now())
        executing = self._executing.get(name, {})
        if lasted < _SETTLED_SECONDS and not executing and state not in ("node", "canceled"):
            self._barren += 1
        if state == "memory" or state == "walltime":
            self._steering.fail(self._draw(state, executing, name))
        elif state == "done" and executing and self._begun_with(name).lifetime is not None:
            # A worker has ended in order, because it had lived long enough, but with steps that had not.
            self._steering.fail(self._draw("walltime", executing, name))
        elif state == "node":
            self._say(next_limits(self.parameters, state, Limits())[1])

    def _draw(self, lack: Lack, executing: Mapping[str, float], name: Any) -> Mapping[str, str]:
        """Give the next jobs more, as far as that is possible; return the steps for which no job is large enough."""
        found = self._lacking.consequence(
            lack, executing, self._begun_with(name), self.parameters, self._queue_limits(), self._lived.get(name)
        )
        if found.text:
            self._say(found.text)
        if found.parameters is not self.parameters:
            self.parameters = found.parameters
            self._apply(found.parameters)
        return found.hopeless

    def _begun_with(self, name: Any) -> Parameters:
        return self._begun.get(name, self.parameters)

    def _queue_limits(self) -> Limits:
        if self._limits is None and self._batch is not None:
            try:
                self._limits = self._batch.limits()
            except BatchError as exc:
                self._complain(f"the limits of the queue are not known: {exc}")
        return self._limits or Limits()

    def _complain(self, text: str) -> None:
        if text != self._complaint:
            self._complaint = text
            self._say(text)

    # --- parts --------------------------------------------------------------------------------

    def _specs(self) -> dict[Any, Any]:
        return dict(self._cluster.worker_spec)

    def _present(self, snapshot: Snapshot) -> set[Any]:
        """Return the names of the jobs that have a worker."""
        return {name for worker in snapshot.workers if (name := self._job_of(worker)) is not None}

    def _job_of(self, worker: str) -> Any:
        """Return the name of the job that a worker belongs to: workers are named after it, or after its number."""
        for name, job in dict(self._cluster.workers).items():
            for own in (str(name), f"worker-{getattr(job, 'job_id', None)}"):
                if worker == own or (worker.startswith(own + "-") and worker[len(own) + 1 :].isdigit()):
                    return name
        return None

    def _executed(self, snapshot: Snapshot) -> dict[Any, dict[str, float]]:
        """Return what each job that has a worker is executing."""
        found: dict[Any, dict[str, float]] = {}
        for worker, executing in snapshot.executing.items():
            found.setdefault(self._job_of(worker), {}).update(executing)
        return found

    def _forget(self, name: Any) -> None:
        for known in (self._executing, self._begun, self._leaving, self._seen, self._lived):
            known.pop(name, None)
        self._cluster.worker_spec.pop(name, None)

    def _correct(self) -> None:
        """Have the cluster end the jobs that are not wanted any more."""
        self._cluster.scale(jobs=len(self._cluster.worker_spec))
