"""The check of everything that is written, also of what is not used now."""

from __future__ import annotations

from typing import Any

import pytest

from seamless.config.checking import check_files, check_workdir
from tests.config.conftest import HPC, WS, Project

CLEAN = "- project: p\n- cluster: ws\n- execution: process\n"


def found(project: Project) -> list[tuple[str, str]]:
    return [(finding.severity, finding.message) for finding in check_workdir(str(project.root))]


def test_a_configuration_without_mistakes_has_no_findings(project: Project) -> None:
    project.clusters(HPC + WS)
    project.write(CLEAN + "- stage big:\n  - cluster: hpc\n  - queue: highmem\n  - execution: remote\n")
    assert found(project) == []


def test_a_stage_that_cannot_work_is_found(project: Project) -> None:
    project.clusters(HPC + WS)
    project.write(CLEAN + "- stage big:\n  - cluster: hpc\n  - queue: hihgmem\n- substage x:\n  - queue: q\n")
    errors = [message for severity, message in found(project) if severity == "error"]
    assert errors == [
        "cluster 'hpc' has no queue 'hihgmem' (did you mean 'highmem'?); queues of 'hpc': standard, highmem",
        "Cannot select queue 'q': cluster 'ws' has no queues",
        "cluster 'hpc' has no queue 'q'; queues of 'hpc': standard, highmem",
    ]


def test_a_choice_that_is_left_open_is_a_warning_with_its_stage(project: Project) -> None:
    project.clusters(WS)
    project.write("- project: p\n- stage s:\n  - cluster: ws\n- execution: process\n")
    assert found(project) == [
        ("warning", "no cluster; running without persistence. Select a cluster, or write '- persistent: false'")
    ]
    project.write("- project: p\n- persistent: false\n- stage s:\n  - nparallel: 1\n")
    assert {message.rpartition(" so")[2] for _, message in found(project)} == {"", " (stage 's')"}


@pytest.mark.parametrize(
    ("text", "severity", "complaint"),
    [
        ("c: {frontends: []}", "error", "clusters.c.frontends is empty"),
        ("c: {frontends: [{hashserver: {bufferdir: /b}}]}", "warning", "has a hashserver, but no database"),
        ("c: {frontends: [{database: {database_dir: /b}}]}", "warning", "has a database, but no hashserver"),
        (
            "c: {frontends: [{jobserver: {network_interface: 0.0.0.0, port_start: 1, port_end: 2}}]}",
            "error",
            "a jobserver needs 'workers'",
        ),
        (
            "c: {workers: 1, frontends: [{jobserver: {network_interface: 0.0.0.0, port_start: 1, port_end: 2}}]}",
            "warning",
            "the jobserver listens on every interface of its host; an address of the internal network",
        ),
        (
            "c: {workers: 1, frontends: [{jobserver: "
            "{network_interface: 0.0.0.0, insecure: true, port_start: 1, port_end: 2}}]}",
            "warning",
            "listens on every interface of its host and asks for no token",
        ),
        (
            "c: {type: slurm, frontends: [{daskserver: {network_interface: x, port_start: 1, port_end: 2}}]}",
            "error",
            "a daskserver needs a queue",
        ),
        (
            "c: {type: slurm, frontends: [{daskserver: {network_interface: x, port_start: 1, port_end: 2}}], "
            "queues: {q: {cores: 1, memory: 1G}}}",
            "error",
            "queue 'q' needs 'walltime'",
        ),
        (
            "c: {frontends: [{hashserver: {bufferdir: /b, port_start: 1, port_end: 5}, "
            "database: {database_dir: /d, port_start: 5, port_end: 9}}]}",
            "warning",
            "the ports 5-9 of the database overlap with 1-5 of the hashserver on the same host",
        ),
    ],
)
def test_a_doubtful_cluster_is_found_although_nobody_selects_it(
    project: Project, text: str, severity: str, complaint: str
) -> None:
    project.clusters(text + "\n")
    assert any(severity == kind and complaint in message for kind, message in found(project))


def test_ports_on_different_hosts_do_not_overlap(project: Project) -> None:
    ports = "port_start: 1, port_end: 5"
    project.clusters(
        f"c: {{frontends: [{{hostname: a, hashserver: {{bufferdir: /b, {ports}}}}}, "
        f"{{hostname: b, database: {{database_dir: /d, {ports}}}}}]}}\n"
    )
    project.write("- execution: process\n- persistent: false\n")
    assert found(project) == []


def test_two_files_of_the_directory_that_define_one_cluster_are_named(project: Project) -> None:
    cluster = "c: {frontends: [{hostname: h}]}\n"
    project.clusters(cluster)
    project.write("- execution: process\n- persistent: false\n")
    project.clusters(cluster, "clusters/a.yaml")
    assert found(project) == []
    project.clusters(cluster, "clusters/b.yaml")
    ((severity, message),) = found(project)
    assert severity == "warning"
    assert "clusters/a.yaml:1:1" in message


def test_a_mistake_is_told_once_however_many_stages_meet_it(project: Project) -> None:
    project.clusters("c: {frontends: [{}], tunel: 1}\n")
    project.write("- project: p\n- cluster: c\n- execution: process\n- stage a: []\n- stage b: []\n")
    assert [message for _, message in found(project)] == ["clusters.c: unknown field 'tunel' (did you mean 'tunnel'?)"]


@pytest.mark.parametrize(
    ("name", "text", "complaints"),
    [
        ("seamless.yaml", "- projct: x\n", ["unknown command 'projct' (did you mean 'project'?)"]),
        ("list.yaml", "- stage a:\n  - recrd: x\n", ["unknown command 'recrd' (did you mean 'record'?)"]),
        ("mapping.yaml", "c: {}\n", ["clusters.c: 'frontends' is missing"]),
        ("number.yaml", "3\n", ["expected a mapping from names to clusters, found 3 (an integer)"]),
        ("empty.yaml", "", []),
        ("good.yaml", "- cluster: unknown\n- queue: q\n", []),
    ],
)
def test_a_single_file_is_checked_by_itself(project: Project, name: str, text: str, complaints: list[str]) -> None:
    path = project.write(text, name)
    assert [finding.message for finding in check_files([path])] == complaints


def test_a_file_that_is_not_there_is_a_finding(project: Project) -> None:
    findings: list[Any] = check_files(["nowhere.yaml"])
    assert "cannot be read" in findings[0].message
