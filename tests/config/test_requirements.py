"""What must hold between values: errors, warnings, and nothing where nothing is wrong."""

from __future__ import annotations

import pytest

from tests.config.conftest import HPC, WS, Project

JOB = "jobserver: {network_interface: localhost, port_start: 1000, port_end: 1100}"
DASK = "daskserver: {network_interface: localhost, port_start: 2000, port_end: 2100}"
STORE = "hashserver: {bufferdir: /b}, database: {database_dir: /d}"
BOTH = f"c: {{type: local, workers: 2, frontends: [{{hostname: h, {STORE}, {JOB}, {DASK}}}]}}\n"


@pytest.fixture
def clusters(project: Project) -> Project:
    project.clusters(HPC + WS)
    return project


def codes(project: Project, **options: str) -> list[str]:
    return [warning.code for warning in project.resolve(check=True, **options).warnings]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]\n", ["no-execution-command", "no-cluster-no-persistence"]),
        ("- execution: process\n", ["no-cluster-no-persistence"]),
        ("- execution: spawn\n- persistent: false\n", []),
        ("- project: p\n- cluster: hpc\n", ["no-execution-command"]),
        ("- project: p\n- cluster: hpc\n- execution: process\n", []),
        ("- cluster: hpc\n- execution: process\n- persistent: false\n", []),
        ("- cluster: hpc\n- execution: remote\n- persistent: false\n", []),
        ("- project: p\n- cluster: ws\n- execution: remote\n", []),
    ],
)
def test_choices_that_were_made_for_the_user_are_told(clusters: Project, text: str, expected: list[str]) -> None:
    clusters.write(text)
    assert codes(clusters) == expected


def test_the_default_of_execution_is_told_with_its_reason(clusters: Project) -> None:
    clusters.write("- project: p\n- cluster: hpc\n")
    (warning,) = clusters.resolve(check=True).warnings
    assert "defaults to 'remote' because a cluster is defined" in str(warning)
    assert "falls back to 'process'" not in str(warning)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("- execution: remote\n", "seamless.yaml:1:3: execution is 'remote', but no cluster is selected"),
        ("- persistent: true\n", "seamless.yaml:1:3: persistent is true, but no cluster is selected"),
        (
            "- project: p\n- cluster: nope\n- execution: process\n",
            "seamless.yaml:2:3: cluster 'nope' is not defined; clusters: hpc, ws",
        ),
        ("- cluster: hpc\n", "seamless.yaml:1:3: No project defined"),
        (
            "- project: p\n- cluster: hpc\n- execution: remote\n- remote: jobserver\n",
            "seamless.yaml:4:3: no frontend of cluster 'hpc' offers a jobserver; it offers: daskserver",
        ),
        (
            "- cluster: ws\n- execution: remote\n- persistent: false\n",
            "seamless.yaml:3:3: remote execution without persistence is pure Dask, and pure Dask needs a daskserver",
        ),
    ],
)
def test_what_cannot_work_is_an_error(clusters: Project, text: str, complaint: str) -> None:
    clusters.write(text)
    assert complaint in clusters.error(check=True)


def test_a_cluster_that_offers_both_needs_a_word(project: Project) -> None:
    project.clusters(BOTH)
    project.write("- project: p\n- cluster: c\n- execution: remote\n")
    error = project.error(check=True)
    assert "cluster 'c': frontend 'h' offers both jobserver and daskserver" in error
    assert "'- remote: jobserver' or '- remote: daskserver' in seamless.profile.yaml" in error
    project.write("- remote: jobserver\n", "seamless.profile.yaml")
    assert project.resolve(check=True).remote_effective == "jobserver"


def test_frontends_that_offer_different_backends_need_a_word(project: Project) -> None:
    project.clusters(f"c: {{type: local, workers: 2, frontends: [{{hostname: a, {JOB}}}, {{hostname: b, {DASK}}}]}}\n")
    project.write("- project: p\n- cluster: c\n- execution: remote\n")
    assert "cluster 'c' offers different backends (jobserver on 'a', daskserver on 'b')" in project.error(check=True)
    project.write("- project: p\n- cluster: c\n- execution: process\n")
    assert project.resolve(check=True).remote_effective is None


def test_a_cluster_that_only_stores_is_told(project: Project) -> None:
    project.clusters(f"c: {{frontends: [{{{STORE}}}]}}\n")
    project.write("- project: p\n- cluster: c\n- execution: remote\n")
    (warning,) = project.resolve(check=True).warnings
    assert warning.code == "remote-without-backend"
    assert "add '- execution: process'" in str(warning)
    assert warning.where is not None
    assert warning.where.endswith("clusters.yaml:1:16")


@pytest.mark.parametrize(
    ("definition", "complaint"),
    [
        (f"c: {{type: local, frontends: [{{{JOB}}}]}}", "a jobserver needs 'workers'"),
        (f"c: {{frontends: [{{{DASK}}}]}}", "a daskserver needs 'type'"),
        (f"c: {{type: local, frontends: [{{{DASK}}}]}}", "a daskserver needs a queue"),
        (f"c: {{type: local, frontends: [{{{DASK}}}], queues: {{q: {{}}}}}}", "queues of 'c': q"),
        (
            f"c: {{type: local, frontends: [{{{DASK}}}], queues: {{q: {{}}}}, default_queue: q}}",
            "queue 'q': 'cores' is required when 'exclusive' is not set",
        ),
        (
            f"c: {{type: local, frontends: [{{{DASK}}}], queues: {{q: {{exclusive: true}}}}, default_queue: q}}",
            "'cores' is required for local cluster exclusive mode",
        ),
        (
            f"c: {{type: slurm, frontends: [{{{DASK}}}], queues: {{q: {{cores: 1, memory: 1G}}}}, default_queue: q}}",
            "queue 'q' needs 'walltime'",
        ),
        (
            f"c: {{type: oar, frontends: [{{{DASK}}}], default_queue: q, "
            "queues: {q: {cores: 1, memory: 1G, walltime: '01:00:00'}}}",
            "needs 'memory_per_core_property_name'",
        ),
        (
            f"c: {{type: slurm, frontends: [{{{DASK}}}], default_queue: q, "
            "queues: {q: {cores: 1, memory: 1G, walltime: '00:05:00', maximum_jobs: 2}}}",
            "the lifetime of a worker, walltime 00:05:00 - lifetime_stagger 4m - 1m, must be above 0",
        ),
    ],
)
def test_a_backend_that_could_not_start_is_an_error(project: Project, definition: str, complaint: str) -> None:
    project.clusters(definition + "\n")
    project.write("- project: p\n- cluster: c\n- execution: remote\n")
    assert complaint in project.error(check=True)


def test_a_single_job_has_no_lifetime(project: Project) -> None:
    project.clusters(
        f"c: {{type: slurm, frontends: [{{{DASK}}}], default_queue: q, "
        "queues: {q: {cores: 1, memory: 1G, walltime: '00:05:00'}}}\n"
    )
    project.write("- project: p\n- cluster: c\n- execution: remote\n")
    project.resolve(check=True)


def test_a_substage_without_a_stage_is_told(project: Project) -> None:
    project.write("- execution: process\n- persistent: false\n")
    assert codes(project, substage="gpu") == ["substage-without-stage"]
    assert codes(project, substage="gpu", stage="s") == []


def test_a_broken_cluster_of_the_home_disturbs_only_who_selects_it(project: Project) -> None:
    project.clusters(WS + "bad: {type: slurms, frontends: [{}]}\n")
    project.write("- project: p\n- cluster: ws\n- execution: process\n")
    (warning,) = project.resolve(check=True).warnings
    assert warning.code == "invalid-cluster"
    assert "cluster 'bad' cannot be used: clusters.bad.type must be one of: local, slurm, oar" in str(warning)
    project.write("- project: p\n- cluster: bad\n")
    assert "clusters.bad.type must be one of" in project.error(check=True)
