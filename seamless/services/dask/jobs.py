"""The jobs of a cluster made by dask-jobqueue: begun, counted, given back, and replaced where that makes sense.

`Jobs.tick` is called once a second in one thread. What a job was ended by decides about the next ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from seamless.services.dask.batch import ENDED, BatchError, Limits, State, next_limits
from seamless.services.dask.demand import Snapshot, wanted_jobs
from seamless.services.dask.parameters import Parameters

_QUERY_SECONDS = 5.0  # between two questions to the batch system
_BARREN = 3  # jobs in a row that have ended with no worker that has lasted, after which no more are begun
_SETTLED_SECONDS = 30.0  # after which a worker counts as one that works
_MOST_OF_LIFE = 0.5  # of a worker: a step that has taken as much when the worker ends needs a longer life
_PAUSE_SECONDS = 300.0  # until they are again


class Jobs:
    """The jobs of one cluster.

    `batch`: the batch system, None if it cannot be asked. `apply`: makes parameters hold for the next jobs. `retire`:
    has workers hand over what they hold, and end.
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
        retire: Callable[[list[str]], None],
        interval: float = 30.0,
        wait_count: int = 10,
        now: Callable[[], float] = time.monotonic,
    ):
        self._cluster, self.parameters, self._batch, self._user = cluster, parameters, batch, user
        self._apply, self._say, self._retire, self._now = apply, say, retire, now
        self._patience = interval * wait_count  # seconds for which jobs that are not needed are kept
        self._surplus_since: float | None = None
        self._queried = float("-inf")
        self._limits: Limits | None = None
        self._seen: dict[Any, float] = {}  # names of jobs that have had a worker, and since when
        self._longest: dict[Any, float] = {}  # by job, for how long its oldest task had been executed at the last look
        self._barren = 0
        self._paused_until = float("-inf")
        self._complaint = ""

    def tick(self, snapshot: Snapshot) -> None:
        """Look at the jobs, and begin, replace or end some."""
        present = self._present(snapshot)
        for name in present:
            if self._now() - self._seen.setdefault(name, self._now()) >= _SETTLED_SECONDS:
                self._barren = 0
        for worker, longest in snapshot.longest.items():
            self._longest[self._job_of(worker)] = longest
        self._remove_ended(present)
        wanted = wanted_jobs(self.parameters, snapshot)
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
        workers = [worker for worker in snapshot.workers if self._job_of(worker) in leaving]
        if workers:
            self._retire(workers)
        for name in leaving:
            self._forget(name)
        self._correct()

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
        if state == "done" and self._was_too_short(name):
            state = "walltime"
        if lasted < _SETTLED_SECONDS and state in ("failed", "done", "unknown"):
            self._barren += 1
        changed, text = next_limits(self.parameters, state, self._queue_limits() if state != "done" else Limits())
        if text:
            self._say(text)
        if changed is not self.parameters:
            self.parameters = changed
            self._apply(changed)

    def _was_too_short(self, name: Any) -> bool:
        """Tell whether a worker has ended in order, but with a step that had taken most of its life.

        Such a step would be begun again and again in jobs of the same length.
        """
        lifetime = self.parameters.lifetime
        return lifetime is not None and self._longest.get(name, 0.0) > _MOST_OF_LIFE * lifetime

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

    def _forget(self, name: Any) -> None:
        self._longest.pop(name, None)
        self._cluster.worker_spec.pop(name, None)

    def _correct(self) -> None:
        """Have the cluster end the jobs that are not wanted any more."""
        self._cluster.scale(jobs=len(self._cluster.worker_spec))
