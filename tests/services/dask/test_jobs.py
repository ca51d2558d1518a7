"""How many jobs there are, and what follows from the way in which one has ended; with a cluster that is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from seamless.services.dask.batch import Limits, Oar, Slurm, next_limits, oar_states, slurm_states
from seamless.services.dask.demand import Snapshot, clients_of, wanted_jobs
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


class Lab:
    """Jobs of a cluster, with a clock that stands still."""

    def __init__(self, parameters: Parameters = FOUR) -> None:
        self.cluster, self.batch, self.clock = Cluster(), Batch(), 0.0
        self.said: list[str] = []
        self.applied: list[Parameters] = []
        self.retired: list[str] = []
        self.jobs = Jobs(
            self.cluster, parameters, self.batch, user="me", apply=self.applied.append, say=self.said.append,
            retire=self.retired.extend, interval=1.0, wait_count=10, now=lambda: self.clock,
        )  # fmt: skip

    def tick(self, tasks: int = 0, workers: dict[str, int] | None = None, seconds: float = 10.0) -> int:
        self.clock += seconds
        self.jobs.tick(Snapshot((600.0,) * tasks, tasks, 1, workers or {}))
        return len(self.cluster.worker_spec)


def test_jobs_grow_at_once_with_what_is_to_be_done_up_to_the_maximum() -> None:
    lab = Lab()
    assert [lab.tick(0), lab.tick(1), lab.tick(4), lab.tick(100)] == [0, 1, 2, 4]


def test_jobs_that_are_not_needed_are_given_back_after_a_while_idle_ones_only() -> None:
    lab = Lab()
    lab.tick(4)
    workers = {"worker-101": 0, "worker-102": 1}
    assert [lab.tick(1, workers, 1), lab.tick(1, workers, 5), lab.tick(1, workers, 6)] == [2, 2, 1]
    assert (lab.retired, list(lab.cluster.worker_spec)) == (["worker-101"], ["cluster-2"])


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
    lab.tick(1)
    lab.tick(1, {"worker-101": 1})
    lab.batch.said["101"] = how
    lab.tick(1)
    assert [(each.memory, each.walltime) for each in lab.applied] == [(memory, walltime)]
    assert len(lab.said) == 1


@pytest.mark.parametrize(("executed", "walltime"), [(1900.0, ["01:30:00"]), (900.0, [])])
def test_a_step_for_which_a_worker_did_not_live_long_enough_gets_one_that_does(
    executed: float, walltime: list[str]
) -> None:
    lab = Lab(replace(FOUR, lifetime=3300.0))
    lab.tick(1)
    lab.jobs.tick(Snapshot((600.0,), 1, 1, {"worker-101": 1}, {"worker-101": executed}))
    lab.batch.said["101"] = "done"
    lab.tick(1)
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
