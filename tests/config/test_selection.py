"""Manual selections: checked like commands, effective at once, without any file."""

from __future__ import annotations

from typing import Any

import pytest

import seamless.config as config
from tests.config.conftest import HPC, Project

VALUES: dict[str, Any] = {
    "cluster": "hpc", "project": "p", "subproject": "a/b", "stage": "s", "substage": "x", "execution": "spawn",
    "remote": "jobserver", "persistent": True, "record": True, "node": "n1", "nparallel": 3,
}  # fmt: skip
WRONG: dict[str, Any] = {
    "cluster": "a/b", "project": 3, "subproject": "a//b", "stage": "a--b", "substage": "STAGE-", "execution": "x",
    "remote": "dask", "persistent": 1, "record": "yes", "node": " ", "nparallel": 0, "queue": "",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(VALUES))
def test_a_selected_value_is_the_current_one(name: str) -> None:
    getattr(config, f"select_{name}")(VALUES[name])
    described = config.describe()
    assert described["state"][name] == VALUES[name]
    assert described["origin"][name] == "manual"
    getattr(config, f"select_{name}")(None)
    assert config.describe()["origin"][name] == "default"


@pytest.mark.parametrize("name", sorted(WRONG))
def test_a_wrong_value_is_refused_and_changes_nothing(name: str) -> None:
    before = config.describe()
    with pytest.raises(config.ConfigurationError):
        getattr(config, f"select_{name}")(WRONG[name])
    assert config.describe() == before


def test_the_getters_give_what_was_selected() -> None:
    for name, value in VALUES.items():
        getattr(config, f"select_{name}")(value)
    assert (config.get_selected_cluster(), config.get_selected_project()) == ("hpc", "p")
    assert config.get_selected_subproject() == "a/b"
    assert (config.get_stage(), config.get_substage()) == ("s", "x")
    assert (config.get_execution(), config.get_remote()) == ("spawn", "jobserver")
    assert (config.get_persistent(), config.get_record(), config.get_node()) == (True, True, "n1")
    assert config.get_current() == ("hpc", "p", "a/b", "s", "x")
    assert config.get_current("c", "q", "", "t", "") == ("c", "q", None, "t", None)


def test_get_current_needs_cluster_and_project() -> None:
    with pytest.raises(config.ConfigurationError, match="No cluster defined"):
        config.get_current()
    config.select_cluster("c")
    with pytest.raises(config.ConfigurationError, match="No project defined"):
        config.get_current()


@pytest.mark.usefixtures("no_launch")
def test_a_queue_is_looked_for_as_soon_as_the_clusters_are_known(project: Project) -> None:
    project.clusters(HPC)
    project.write("- project: p\n- execution: process\n")
    config.set_workdir(project.root)
    with pytest.raises(config.ConfigurationError, match="without selecting a cluster first"):
        config.select_queue("highmem")
    config.select_cluster("hpc")
    config.select_queue("nope")
    with pytest.raises(config.ConfigurationError, match="cluster 'hpc' has no queue 'nope'"):
        config.init()
    config.select_queue("highmem")
    config.init()
    assert config.get_queue() == "highmem"
    with pytest.raises(config.ConfigurationError, match="has no queue 'nope'"):
        config.select_queue("nope")
    config.select_queue(None)
    assert config.get_queue() is None


def test_a_queue_is_forgotten_with_its_cluster() -> None:
    config.select_cluster("a")
    config.select_queue("q")
    config.select_cluster("a")
    assert config.get_queue() == "q"
    config.select_cluster("b")
    assert config.get_queue() is None


@pytest.mark.usefixtures("no_launch")
def test_the_backend_of_any_cluster_can_be_asked_for(project: Project) -> None:
    project.clusters(HPC)
    project.write("- execution: process\n- persistent: false\n")
    config.init(workdir=project.root)
    assert config.check_remote_redundancy("hpc") == "daskserver"
    with pytest.raises(config.ConfigurationError, match="is not defined"):
        config.check_remote_redundancy("nope")
