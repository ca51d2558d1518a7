"""Evaluation: which value wins, what is forgotten, and what a stage changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.config.conftest import HPC, WS, Project


@pytest.fixture
def clusters(project: Project) -> Project:
    project.clusters(HPC + WS)
    return project


def test_later_commands_win(project: Project) -> None:
    project.write("- nparallel: 1\n- record: true\n- nparallel: 2\n")
    config = project.resolve()
    assert (config.nparallel, config.record) == (2, True)


def test_commands_beat_manual_selections_and_overrides_beat_commands(project: Project) -> None:
    project.write("- execution: spawn\n- record: true\n")
    manual: dict[str, Any] = {"execution": "process", "nparallel": 4, "project": "m"}
    config = project.resolve(manual=manual, overrides={"record": False})
    assert (config.execution, config.nparallel, config.record) == ("spawn", 4, False)
    assert config.origins()["execution"] == "seamless.yaml:1:3"
    assert config.origins()["nparallel"] == "manual"
    assert config.origins()["record"] == "override"
    assert config.origins()["node"] == "default"


def test_a_command_may_set_a_value_back_to_none(clusters: Project) -> None:
    clusters.write("- cluster: hpc\n- node: n1\n- cluster: null\n- node\n")
    config = clusters.resolve(manual={"cluster": "ws"})
    assert (config.cluster, config.node) == (None, None)
    assert config.origins()["cluster"] == "seamless.yaml:3:3"


def test_a_queue_is_forgotten_when_another_cluster_is_selected(clusters: Project) -> None:
    clusters.write("- cluster: hpc\n- queue: highmem\n- cluster: hpc\n")
    assert clusters.resolve().queue == "highmem"
    clusters.write("- cluster: ws\n- cluster: hpc\n", "seamless.profile.yaml")
    assert clusters.resolve().queue is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("- queue: q\n", "seamless.yaml:1:10: Cannot select queue 'q' without selecting a cluster first"),
        ("- queue: q\n- cluster: hpc\n", "move the command 'cluster' (seamless.yaml:2:3) before it"),
        ("- cluster: ws\n- queue: q\n", "Cannot select queue 'q': cluster 'ws' has no queues"),
        (
            "- cluster: hpc\n- queue: highmen\n",
            "cluster 'hpc' has no queue 'highmen' (did you mean 'highmem'?); queues of 'hpc': standard, highmem",
        ),
        ("- cluster: hpcc\n- queue: q\n", "seamless.yaml:1:3: cluster 'hpcc' is not defined (did you mean 'hpc'?)"),
    ],
)
def test_a_queue_that_is_not_there_is_told(clusters: Project, text: str, complaint: str) -> None:
    clusters.write(text)
    assert complaint in clusters.error()


def test_a_cluster_may_be_selected_before_the_command_that_defines_it(project: Project) -> None:
    project.write("- cluster: c\n- queue: q\n- clusters: {c: {frontends: [{}], queues: {q: {}}}}\n")
    assert project.resolve().queue == "q"


def test_a_clusters_command_replaces_a_definition_of_the_home(clusters: Project) -> None:
    clusters.write("- clusters: {ws: {frontends: [{}], workers: 9}}\n")
    assert clusters.resolve().clusters["ws"].workers == 9


def test_clusters_of_an_active_block_count_and_those_of_another_do_not(project: Project) -> None:
    block = "  - clusters: {c: {frontends: [{}]}, local_cluster: c}\n"
    project.write(f"- stage a:\n{block}- stage b:\n{block.replace('c:', 'd:').replace(': c', ': d')}")
    assert sorted(project.resolve(stage="a").clusters) == ["c"]
    assert project.resolve(stage="b").local_cluster == "d"
    assert project.resolve().local_cluster is None


def test_blocks_count_for_their_stage_only(project: Project) -> None:
    project.write(
        """
        - project: p
        - stage a:
          - nparallel: 1
          - stage a:
            - record: true
          - stage b:
            - nparallel: 99
        - stage 1:
          - nparallel: 7
        - substage gpu:
          - node: n1
        - stage b:
          - substage gpu:
            - node: n2
        """
    )
    assert (project.resolve(stage="a").nparallel, project.resolve(stage="a").record) == (1, True)
    assert project.resolve(stage="1").nparallel == 7
    assert project.resolve().nparallel is None
    assert project.resolve(stage="a", substage="gpu").node == "n1"
    assert project.resolve(stage="b", substage="gpu").node == "n2"
    assert project.resolve(stage="b").node is None


@pytest.mark.parametrize("name", ["a/b", "a--b", "STAGE-x", "a b", 3])
def test_a_stage_with_a_wrong_name_is_refused(project: Project, name: Any) -> None:
    assert "stage" in project.error(stage=name)
    assert "substage" in project.error(substage=name)


def test_an_empty_stage_is_none(project: Project) -> None:
    config = project.resolve(stage="", substage="")
    assert (config.stage, config.substage) == (None, None)


def test_overrides_replace_stage_and_cluster_and_drop_the_queue(clusters: Project) -> None:
    clusters.write("- cluster: hpc\n- queue: highmem\n- stage s:\n  - nparallel: 5\n")
    config = clusters.resolve(overrides={"stage": "s", "cluster": "ws"})
    assert (config.stage, config.nparallel, config.cluster, config.queue) == ("s", 5, "ws", None)
    assert clusters.resolve(overrides={"queue": "standard"}).queue == "standard"
    assert "has no queue 'x'" in clusters.error(overrides={"queue": "x"})
    assert clusters.resolve(overrides={"subproject": None, "project": "x"}).project == "x"


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        ({"quue": "x"}, "there is nothing called 'quue' to be set (did you mean 'queue'?)"),
        ({"project": "a--b"}, "project cannot contain '--'"),
        ({"nparallel": "3"}, "nparallel expects an integer of at least 1, found '3'"),
        ({"persistent": 1}, "persistent expects true or false, found 1 (an integer)"),
        ({"project": ["x"]}, "project expects a string, found a list"),
    ],
)
def test_a_wrong_override_is_told(project: Project, overrides: dict[str, Any], complaint: str) -> None:
    assert complaint in project.error(overrides=overrides)


def test_an_evaluation_leaves_no_trace_in_the_next_one(clusters: Project) -> None:
    clusters.write(
        """
        - stage a:
          - cluster: hpc
          - project: p
          - subproject: s
          - nparallel: 3
          - clusters: {local_cluster: hpc}
        """
    )
    before = clusters.resolve()
    clusters.resolve(stage="a")
    assert clusters.resolve() == before


# --- SEAMLESS_CACHE -----------------------------------------------------------------------------


@pytest.fixture
def cache(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = project.root / "cache"
    monkeypatch.setenv("SEAMLESS_CACHE", f" {directory} ")
    return directory


def test_with_a_cache_directory_no_file_is_read(project: Project, cache: Path) -> None:
    project.write("- [broken\n")
    project.clusters("[broken\n")
    config = project.resolve(check=True)
    assert (config.cluster, config.project, config.execution) == ("__SEAMLESS_CACHE__", "__TOPLEVEL__", "process")
    assert (config.persistent, config.local_cluster, config.warnings) == (True, "__SEAMLESS_CACHE__", ())
    assert config.origins()["cluster"] == "SEAMLESS_CACHE"
    assert config.cache == str(cache)


def test_a_project_that_was_selected_is_kept_with_a_cache_directory(project: Project, cache: Path) -> None:
    assert project.resolve(manual={"project": "p", "cluster": "x"}).state()["project"] == "p"
    config = project.resolve(overrides={"project": "o"}, stage="s")
    assert (config.project, config.stage, config.cluster) == ("o", "s", "__SEAMLESS_CACHE__")


def test_a_cluster_cannot_be_chosen_with_a_cache_directory(project: Project, cache: Path) -> None:
    assert "cluster 'x' cannot be chosen while SEAMLESS_CACHE is set" in project.error(overrides={"cluster": "x"})
