"""The parameters of a daskserver that a queue gives."""

from __future__ import annotations

from typing import Any

import pytest

from seamless.config import ConfigurationError
from seamless.config.cluster import Cluster
from seamless.config.queue_parameters import queue_parameters


def parameters(type_: str, queue: dict[str, Any], *, cluster: dict[str, Any] | None = None, **options: Any) -> Any:
    definition = {"type": type_, "queues": {"q": queue}, **(cluster or {})}
    return queue_parameters(Cluster("c", definition), "q", **options)


def test_names_on_the_wire_are_as_the_wrapper_expects_them() -> None:
    queue = {
        "walltime": "01:00:00", "cores": 2, "job_cores": 4, "memory": "1G", "tmpdir": "/t", "partition": "p",
        "project": "a", "job_script_prologue": ["x"], "worker_threads": 3, "processes": 2,
        "unknown_task_duration": "1m", "target_duration": "2m", "lifetime_stagger": "3m", "lifetime": "4m",
        "dask_resources": {"G": 1}, "interactive": True, "maximum_jobs": 5, "extra_dask_config": {"a": "b"},
        "conda": "not sent",
    }  # fmt: skip
    hyphens = ("unknown_task_duration", "target_duration", "lifetime_stagger", "dask_resources")
    expected = {name.replace("_", "-") if name in hyphens else name: value for name, value in queue.items()}
    del expected["conda"]
    assert parameters("slurm", queue, record=False) == {**expected, "record": False}


def test_whole_nodes_are_asked_for_once() -> None:
    queue = {"exclusive": True, "memory": "1G", "job_extra_directives": ["--exclusive", "-x"]}
    assert parameters("slurm", queue)["job_extra_directives"] == ["--exclusive", "-x"]
    assert parameters("slurm", {"exclusive": True})["job_extra_directives"] == ["--exclusive"]
    assert parameters("oar", {"exclusive": True})["resource_spec"] == "/nodes=1"


def test_an_exclusive_queue_with_cores_has_neither_job_cores_nor_directive() -> None:
    sent = parameters("slurm", {"exclusive": True, "cores": 8})
    assert sent == {"exclusive": True, "cores": 8}


def test_a_local_queue_takes_the_cores_of_the_cluster() -> None:
    assert parameters("local", {}, cluster={"workers": 6})["cores"] == 6
    assert parameters("local", {"cores": 2}, cluster={"workers": 6})["cores"] == 2
    assert parameters("local", {"exclusive": True}, cluster={"workers": 6}) == {"exclusive": True, "cores": 6}


@pytest.mark.parametrize(
    ("type_", "queue", "complaint"),
    [
        ("slurm", {}, "'cores' is required when 'exclusive' is not set"),
        ("local", {}, "'cores' is required when 'exclusive' is not set"),
        ("local", {"exclusive": True}, "'cores' is required for local cluster exclusive mode"),
    ],
)
def test_cores_that_nobody_knows_are_an_error(type_: str, queue: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        parameters(type_, queue)


def test_pure_dask_has_threads_and_no_record() -> None:
    assert parameters("slurm", {"cores": 4}, pure=True) == {"cores": 4, "worker_threads": 2, "pure_dask": True}
    local = parameters("local", {"worker_threads": 5}, cluster={"workers": 3}, pure=True)
    assert local == {"cores": 3, "worker_threads": 5, "maximum_jobs": 3, "pure_dask": True}
    whole = parameters("slurm", {"exclusive": True}, pure=True)
    assert (whole["exclusive"], whole["job_extra_directives"]) == (True, ["--exclusive"])


def test_a_walltime_with_a_unit_is_written_as_batch_systems_read_it() -> None:
    queue = {"cores": 1, "walltime": "90m"}
    assert parameters("slurm", queue)["walltime"] == parameters("oar", queue)["walltime"] == "01:30:00"
    assert parameters("local", queue)["walltime"] == "90m"


def test_days_of_a_walltime_are_hours_for_oar() -> None:
    queue = {"cores": 1, "walltime": "2-01:30:00"}
    assert parameters("oar", queue)["walltime"] == "49:30:00"
    assert parameters("slurm", queue)["walltime"] == "2-01:30:00"


# --- nodes ----------------------------------------------------------------------------------------


def test_slurm_gets_the_node_as_a_directive() -> None:
    sent = parameters("slurm", {"cores": 1, "job_extra_directives": ["--qos=x"]}, node="n[1-3],m2")
    assert sent["job_extra_directives"] == ["--qos=x", "--nodelist=n[1-3],m2"]


@pytest.mark.parametrize("type_", ["local", None])
def test_nodes_cannot_be_chosen_elsewhere(type_: Any) -> None:
    with pytest.raises(ConfigurationError, match="Node selection is not supported for cluster type"):
        parameters(type_, {"cores": 1}, node="n1")


@pytest.mark.parametrize("node", ["n1'; x", "n 1", "-n", "n1 OR 1=1", 'n"1'])
def test_what_is_no_name_of_a_node_reaches_no_batch_system(node: str) -> None:
    for type_ in ("slurm", "oar"):
        with pytest.raises(ConfigurationError, match="is not the name of a node"):
            parameters(type_, {"cores": 1}, node=node)


OAR = {"memory_per_core_property_name": "mem_core"}


def test_oar_gets_one_condition_with_the_memory_of_a_core() -> None:
    sent = parameters("oar", {"cores": 3, "memory": "10GiB"}, cluster=OAR, node="n1")
    assert sent["job_extra_directives"] == ["-p \"host='n1' AND mem_core>=3414\""]
    assert sent["memory_per_core_property_name"] == "not_applicable"


def test_without_a_node_oar_gets_the_name_of_the_property() -> None:
    sent = parameters("oar", {"cores": 3, "memory": "10GiB"}, cluster=OAR)
    assert sent == {"cores": 3, "memory": "10GiB", "memory_per_core_property_name": "mem_core"}


def test_oar_without_the_property_gets_only_the_node() -> None:
    assert parameters("oar", {"cores": 3}, node="n1")["job_extra_directives"] == ["-p \"host='n1'\""]
    whole = parameters("oar", {"exclusive": True, "memory": "4GiB"}, cluster=OAR, node="n1")
    assert whole["job_extra_directives"] == ["-p \"host='n1'\""]


def test_own_conditions_for_oar_are_joined() -> None:
    queue = {"cores": 1, "memory": "1GiB", "job_extra_directives": ["-t night", '-p "a=1 or a=2"', "-p", "b='x'"]}
    sent = parameters("oar", queue, cluster=OAR, node="n1")
    expected = "-p \"host='n1' AND mem_core>=1024 AND (a=1 or a=2) AND b='x'\""
    assert sent["job_extra_directives"] == ["-t night", expected]


def test_the_cores_of_the_job_count_for_its_memory() -> None:
    sent = parameters("oar", {"cores": 1, "job_cores": 4, "memory": "4GiB"}, cluster=OAR, node="n1")
    assert "mem_core>=1024" in sent["job_extra_directives"][0]


def test_the_list_of_directives_of_the_definition_is_not_changed() -> None:
    queue = {"exclusive": True, "job_extra_directives": ["-x"]}
    parameters("slurm", queue, node="n")
    assert queue["job_extra_directives"] == ["-x"]
