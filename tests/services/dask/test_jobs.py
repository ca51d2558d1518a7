"""How many jobs there are, and what follows from the way in which one has ended; with a cluster that is none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from seamless.services.dask.batch import Limits, Oar, Slurm, next_limits, oar_states, slurm_states
from seamless.services.dask.demand import Snapshot, clients_of, snapshot, wanted_jobs
from seamless.services.dask.jobs import Jobs
from seamless.services.dask.parameters import Parameters

FOUR = Parameters(memory="1GB", cores=2, maximum_jobs=4, walltime="01:00:00")


class Cluster:
    """As much of a cluster as is looked at."""

    def __init__(self) -> None:
        self.worker_spec: dict[str, Any] = {}
        self.workers: dict[str, Any] = {}
        self.number = 0

    def scale(self, jobs: int) -> None:
        while len(self.worker_spec) < jobs:
            self.number += 1
            name = f"cluster-{self.number}"
            self.worker_spec[name] = {}
            self.workers[name] = SimpleNamespace(job_id=str(100 + self.number))
        for name in set(self.workers) - set(self.worker_spec):
            del self.workers[name]


class Batch:
    """A batch system that says what it is told."""

    def __init__(self) -> None:
        self.said: dict[str, Any] = {}
        self.queries = 0

    def states(self, jobs: Sequence[str], user: str) -> dict[str, Any]:
        self.queries += 1
        return {job: self.said.get(job, "pending") for job in jobs}

    def limits(self) -> Limits:
        return Limits(memory=3 * 10**9, walltime=5400)


class Steering:
    """Notes what workers and steps are told, and asks what it is given."""

    def __init__(self) -> None:
        self.retired: list[str] = []
        self.drained: list[str] = []
        self.failed: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []
        self.answers: list[str] = []

    def retire(self, names: Collection[str]) -> None:
        self.retired += names

    def drain(self, names: Collection[str]) -> None:
        self.drained += sorted(names)

    def fail(self, texts: Mapping[str, str]) -> None:
        self.failed |= texts

    def answer(self, lacks_memory: Callable[[str, str], str]) -> None:
        self.answers += [lacks_memory(*asked) for asked in self.asked]
        self.asked.clear()


class Lab:
    """Jobs of a cluster, with a clock that stands still."""

    def __init__(self, parameters: Parameters = FOUR) -> None:
        self.cluster, self.batch, self.clock = Cluster(), Batch(), 0.0
        self.said: list[str] = []
        self.applied: list[Parameters] = []
        self.steering = Steering()
        self.jobs = Jobs(
            self.cluster, parameters, self.batch, user="me", apply=self.applied.append, say=self.said.append,
            steering=self.steering, interval=1.0, wait_count=10, now=lambda: self.clock,
        )  # fmt: skip

    def tick(
        self,
        tasks: int = 0,
        workers: dict[str, int] | None = None,
        seconds: float = 10.0,
        executing: dict[str, dict[str, float]] | None = None,
    ) -> int:
        self.clock += seconds
        self.jobs.tick(Snapshot((600.0,) * tasks, tasks, 1, workers or {}, executing or {}))
        return len(self.cluster.worker_spec)

    def job_ends(self, how: str, executing: dict[str, float], lived: float = 3600.0) -> None:
        """Have the one job there is execute these steps in a worker that lives so long, and end."""
        self.tick(1)
        (job,) = self.cluster.workers.values()
        worker = f"worker-{job.job_id}"
        self.tick(1, {worker: 1})
        self.tick(1, {worker: 1}, lived, executing={worker: executing})
        self.batch.said[job.job_id] = how
        self.tick(1)


def test_jobs_grow_at_once_with_what_is_to_be_done_up_to_the_maximum() -> None:
    lab = Lab()
    assert [lab.tick(0), lab.tick(1), lab.tick(4), lab.tick(100)] == [0, 1, 2, 4]


def test_jobs_that_are_not_needed_are_given_back_after_a_while_idle_ones_only() -> None:
    lab = Lab()
    lab.tick(4)
    workers = {"worker-101": 0, "worker-102": 1}
    assert [lab.tick(1, workers, 1), lab.tick(1, workers, 5), lab.tick(1, workers, 6)] == [2, 2, 1]
    assert (lab.steering.retired, list(lab.cluster.worker_spec)) == (["worker-101"], ["cluster-2"])


def test_a_job_that_has_ended_in_order_is_replaced_while_there_is_work() -> None:
    lab = Lab()
    lab.tick(1, {})
    lab.tick(1, {"worker-101": 1})
    lab.batch.said["101"] = "done"
    lab.tick(1)
    assert (list(lab.cluster.worker_spec), lab.said) == (["cluster-2"], [])


def test_all_jobs_are_asked_about_in_one_query() -> None:
    lab = Lab()
    lab.tick(100)
    lab.tick(100)
    assert (len(lab.cluster.worker_spec), lab.batch.queries) == (4, 1)


@pytest.mark.parametrize(
    ("how", "memory", "walltime"),
    [("memory", "1907MiB", "01:00:00"), ("walltime", "1GB", "01:30:00")],
)
def test_what_a_job_has_lacked_the_next_ones_get_as_far_as_the_queue_allows(
    how: str, memory: str, walltime: str
) -> None:
    lab = Lab()
    lab.job_ends(how, {"step": 3500.0})
    assert [(each.memory, each.walltime) for each in lab.applied] == [(memory, walltime)]
    assert (len(lab.said), lab.steering.failed) == (1, {})


@pytest.mark.parametrize("how", ["memory", "walltime"])
def test_a_step_that_lacks_the_most_that_the_queue_allows_is_not_tried_again(how: str) -> None:
    lab = Lab()
    for _ in range(3):
        if not lab.steering.failed:
            lab.job_ends(how, {"step": 7000.0})
    assert list(lab.steering.failed) == ["step"]
    assert "the queue allows no" in lab.steering.failed["step"] and how in lab.steering.failed["step"]
    assert len(lab.applied) == (1 if how == "walltime" else 2)


def test_a_step_for_which_every_job_is_too_short_is_given_up_after_some_without_any_limit() -> None:
    lab = Lab()
    lab.batch.limits = Limits  # type: ignore[method-assign, assignment]  # nothing is known
    ends = 0
    while not lab.steering.failed and ends < 20:
        lab.job_ends("walltime", {"step": 1e9})
        ends += 1
    assert (ends, [each.walltime for each in lab.applied]) == (4, ["02:00:00", "04:00:00", "08:00:00"])
    assert "4 jobs have lacked walltime for it" in lab.steering.failed["step"]


def test_of_several_steps_none_is_given_up_before_it_has_lacked_memory_twice() -> None:
    lab = Lab(replace(FOUR, memory="3GB"))
    lab.job_ends("memory", {"innocent": 1.0, "guilty": 1.0})
    assert lab.steering.failed == {}
    lab.job_ends("memory", {"guilty": 1.0, "other": 1.0})
    assert list(lab.steering.failed) == ["guilty"]


def test_short_steps_in_a_job_that_comes_to_its_end_change_nothing() -> None:
    lab = Lab()
    lab.job_ends("walltime", {"short": 20.0})
    assert (lab.applied, lab.said, lab.steering.failed) == ([], [], {})
    lab.job_ends("walltime", {"short": 20.0})  # by chance, or because little is left of a job when it begins
    assert [each.walltime for each in lab.applied] == ["01:30:00"]


def test_a_step_that_had_all_the_time_of_a_worker_that_came_late_gets_a_longer_job() -> None:
    lab = Lab()
    lab.job_ends("walltime", {"step": 895.0}, lived=900.0)
    assert [each.walltime for each in lab.applied] == ["01:30:00"]


def test_jobs_that_lack_the_same_at_the_same_time_have_it_raised_once() -> None:
    lab = Lab()
    lab.tick(2)
    both = {"worker-101": {"a": 1.0}, "worker-102": {"b": 1.0}}
    lab.tick(2, {"worker-101": 1, "worker-102": 1}, executing=both)
    lab.batch.said |= {"101": "memory", "102": "memory"}
    lab.tick(2)
    assert [each.memory for each in lab.applied] == ["1907MiB"]


def test_a_step_that_runs_out_of_memory_in_a_job_that_lives_on_gets_another_job_with_more() -> None:
    lab = Lab()
    lab.tick(1)
    lab.steering.asked.append(("worker-101", "step"))
    two = {"worker-101": {"step": 1.0, "other": 1.0}}
    assert lab.tick(1, {"worker-101": 2}, executing=two) == 2  # one with more memory is begun at once
    assert (lab.steering.answers, lab.steering.drained) == ([""], ["worker-101"])
    assert [each.memory for each in lab.applied] == ["1907MiB"]
    lab.tick(1, {"worker-101": 1}, executing={"worker-101": {"other": 1.0}})
    assert lab.steering.retired == []
    lab.tick(1, {"worker-101": 0}, executing={"worker-101": {}})
    assert (lab.steering.retired, list(lab.cluster.worker_spec)) == (["worker-101"], ["cluster-2"])


def test_a_step_that_runs_out_of_the_most_memory_there_is_hears_so() -> None:
    lab = Lab(replace(FOUR, memory="3GB"))
    lab.tick(1)
    lab.steering.asked.append(("worker-101", "step"))
    lab.tick(1, {"worker-101": 1}, executing={"worker-101": {"step": 1.0}})
    assert "run out of memory (3GB), and the queue allows no more" in lab.steering.answers[0]
    assert (lab.steering.drained, lab.applied) == ([], [])


@pytest.mark.parametrize(("executed", "walltime"), [(1900.0, ["01:30:00"]), (900.0, [])])
def test_a_step_for_which_a_worker_did_not_live_long_enough_gets_one_that_does(
    executed: float, walltime: list[str]
) -> None:
    lab = Lab(replace(FOUR, lifetime=3300.0))
    lab.job_ends("done", {"step": executed})
    assert [each.walltime for each in lab.applied] == walltime


def test_a_lost_node_changes_nothing_for_the_next_job() -> None:
    lab = Lab()
    lab.tick(1)
    lab.batch.said["101"] = "node"
    lab.tick(1)
    assert (lab.applied, len(lab.cluster.worker_spec)) == ([], 1)


def test_jobs_that_fail_before_they_have_a_worker_are_not_begun_for_ever() -> None:
    lab = Lab()
    for number in range(101, 110):
        lab.batch.said[str(number)] = "failed"
    counts = [lab.tick(1) for _ in range(8)]
    assert (counts[-1], lab.cluster.number) == (0, 3)
    assert ["3 jobs in a row" in text for text in lab.said] == [True]


def test_a_queue_that_allows_no_more_is_told() -> None:
    same, text = next_limits(FOUR, "memory", Limits(memory=10**9))
    assert same is FOUR and "the queue allows no more" in text


def test_a_failed_job_has_no_consequences_for_the_limits() -> None:
    assert next_limits(FOUR, "failed", Limits()) == (FOUR, "")


def test_an_exclusive_queue_has_one_job_for_each_step() -> None:
    exclusive = Parameters(memory="1GB", exclusive=True, maximum_jobs=3)
    assert [wanted_jobs(exclusive, Snapshot((1.0,) * n, n)) for n in (0, 2, 9)] == [0, 2, 3]


def test_an_interactive_queue_keeps_one_job() -> None:
    assert wanted_jobs(Parameters(memory="1GB", cores=1, interactive=True), Snapshot()) == 1


def test_clients_of_workers_keep_nothing_alive() -> None:
    assert clients_of(["fire-and-forget", "Client-worker-1"]) == 0
    assert Snapshot(clients=0).idle and not Snapshot(clients=1).idle and not Snapshot((1.0,)).idle


def test_states_of_slurm_are_understood_however_they_end() -> None:
    assert slurm_states("1|CANCELLED\n2|NODE_FAIL\n3|TIMEOUT\n\nslurm_load_jobs: odd\n") == {
        "1": "canceled", "2": "node", "3": "walltime",
    }  # fmt: skip


def test_states_of_oar_are_understood_as_a_mapping_and_as_a_list() -> None:
    assert oar_states('[{"Job_Id": 3, "state": "Error", "message": "walltime exceeded"}]') == {"3": "walltime"}
    assert oar_states("") == {}


def test_the_limits_of_a_partition_are_those_of_its_largest_node() -> None:
    slurm = Slurm("main", run=lambda words: "1-00:00:00|4000\n1-00:00:00|16000+\n")
    assert slurm.limits() == Limits(memory=16000 << 20, walltime=86400)


def test_oar_is_asked_again_only_for_jobs_that_it_does_not_list() -> None:
    calls: list[list[str]] = []

    def run(words: Sequence[str]) -> str:
        calls.append(list(words))
        return '{"1": {"state": "Running"}}' if "-u" in words else '{"2": {"state": "Terminated"}}'

    assert Oar(run).states(["1", "2"], "me") == {"1": "running", "2": "done"}
    assert calls == [["oarstat", "-J", "-u", "me"], ["oarstat", "-J", "-j", "2"]]


def waiting(number: int, resources: dict[str, float] | None) -> Any:
    """Return a scheduler with so many tasks of ten minutes that wait."""
    prefix = SimpleNamespace(duration_average=600.0)
    tasks = {
        f"base-{i}": SimpleNamespace(state="queued", prefix=prefix, key=f"base-{i}", resource_restrictions=resources)
        for i in range(number)
    }
    return SimpleNamespace(tasks=tasks, workers={}, clients={})


@pytest.mark.parametrize(
    ("resources", "jobs"), [({"S": 1}, 1), ({"S": 1, "GPU": 1}, 2), ({"S": 1, "GPU": 2}, 4), ({"S": 4}, 1), (None, 1)]
)
def test_steps_that_wait_for_the_same_device_are_worth_more_jobs(resources: dict[str, float], jobs: int) -> None:
    parameters = replace(FOUR, cores=16, maximum_jobs=10, dask_resources={"GPU": 2.0})
    now = snapshot(waiting(4, resources), 60.0, parameters.resources)
    assert wanted_jobs(parameters, now) == jobs
