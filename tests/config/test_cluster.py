"""Definitions of clusters: what is accepted, what is refused and where, and templates of queues."""

from __future__ import annotations

import pytest

from seamless.config.cluster import Cluster
from seamless.config.errors import ConfigurationError
from tests.config.conftest import HPC, Project

PORTS = "network_interface: localhost, port_start: 1000, port_end: 1100"


def definition(project: Project, text: str) -> Cluster:
    """Return the cluster c with this definition."""
    project.clusters(f"c: {text}\n")
    cluster = project.resolve().clusters["c"]
    assert isinstance(cluster, Cluster)
    return cluster


def complaints(project: Project, text: str) -> list[str]:
    return [finding.message for finding in definition(project, text).findings]


def frontend(fields: str) -> str:
    return f"{{frontends: [{{{fields}}}]}}"


@pytest.mark.parametrize("frontends", ["[login]", "[null]", "[{}, 3]", "login", "{a: b}"])
def test_a_frontend_that_is_no_mapping_is_told_when_its_cluster_is_selected(project: Project, frontends: str) -> None:
    project.clusters(f"c: {{frontends: {frontends}}}\n")
    project.write("- project: p\n- cluster: c\n")
    with pytest.raises(ConfigurationError, match="clusters.c.frontends.* expects a"):
        project.resolve(check=True)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("3", "clusters.c expects a mapping, found 3 (an integer)"),
        ("{}", "clusters.c: 'frontends' is missing"),
        ("{frontends: null}", "clusters.c: 'frontends' is missing"),
        ("{frontends: []}", "clusters.c.frontends is empty; expected at least 1 item"),
        ("{frontends: [login]}", "clusters.c.frontends[0] expects a mapping, found 'login'"),
        ("{frontends: [null]}", "clusters.c.frontends[0] expects a mapping, found nothing (null)"),
        ("{frontends: [{}], tunel: true}", "clusters.c: unknown field 'tunel' (did you mean 'tunnel'?)"),
        ("{frontends: [{}], tunnel: 1}", "clusters.c.tunnel expects true or false, found 1 (an integer)"),
        ("{frontends: [{}], workers: 0}", "clusters.c.workers expects an integer of at least 1, found 0"),
        ("{frontends: [{}], type: pbs}", "clusters.c.type must be one of: local, slurm, oar; found 'pbs'"),
        ("{frontends: [{}], default_queue: q}", "'default_queue' 'q' is not among its queues; queues: none"),
        ("{frontends: [{}], 3: x}", "clusters.c: expected a string as the key, found 3"),
        (frontend("hostname: me@host"), "'me@host' is not a host name or IP address"),
        (frontend("hostname: -x"), "'-x' is not a host name"),
        (frontend("hostname: '::zz'"), "'::zz' is not a host name"),
        (frontend("ssh_hostname: '-oProxyCommand=x'"), "is not a host name or an alias"),
        (frontend("hashserver: {}"), "clusters.c.frontends[0].hashserver: 'bufferdir' is missing"),
        (frontend("hashserver: {bufferdir: buf}"), "expected an absolute path or one that begins with '~/'"),
        (frontend("hashserver: {bufferdir: ~me/buf}"), "expected an absolute path or one that begins with '~/'"),
        (frontend("hashserver: {bufferdir: /a b}"), "a directory must not contain ' '"),
        (frontend("hashserver: {bufferdir: /a/../b}"), "a directory must not contain '..'"),
        (frontend("hashserver: {bufferdir: /$X/b}"), "write variables as ${NAME}, found '/$X/b'"),
        (frontend("database: {database_dir: '/a;b'}"), "a directory must not contain ';'"),
        (frontend("hashserver: {bufferdir: /b, port_start: 5}"), "must both be set or both be omitted"),
        (frontend("hashserver: {bufferdir: /b, port_start: 0, port_end: 3}"), "expects an integer from 1 to 65535"),
        (frontend("hashserver: {bufferdir: /b, port_start: 9, port_end: 3}"), "'port_start' 9 is above 'port_end' 3"),
        (frontend("jobserver: {}"), "jobserver: 'network_interface' is missing"),
        (frontend("jobserver: {network_interface: localhost}"), "jobserver: 'port_start' is missing"),
        (
            frontend("daskserver: {network_interface: localhost, port_start: 7, port_end: 7}"),
            "two ports are needed (scheduler and dashboard), found one: 7",
        ),
        (frontend(f"daskserver: {{{PORTS}, pure_dask: true}}"), "write '- persistent: false' in seamless.yaml"),
        (frontend(f"daskserver: {{{PORTS}, conda: x}}"), "the conda environment of a daskserver is that of the queue"),
        (frontend("hashserver: {bufferdir: /b, conda: x, image: /i.sif}"), "'conda' and 'image' exclude each other"),
    ],
)
def test_a_mistake_in_a_definition_is_found(project: Project, text: str, complaint: str) -> None:
    assert any(complaint in found for found in complaints(project, text))


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ("walltime: 12:00:00", "found 12:00:00 (an integer); write it in quotes: '12:00:00'"),
        ("walltime: '1:00'", "expected a walltime 'HH:MM:SS', 'D-HH:MM:SS' or such as '10m', found '1:00'"),
        ("walltime: '60'", "expected a walltime 'HH:MM:SS', 'D-HH:MM:SS' or such as '10m', found '60'"),
        ("walltime: '00:00:00'", "expected a walltime above 0"),
        ("memory: 64", "expects an amount of memory such as '32000MB' or '64GiB', found 64 (an integer)"),
        ("memory: 12 parsecs", "expected an amount of memory"),
        ("memory: 0GB", "expected more than 0 bytes"),
        ("lifetime: 0m", "expected a duration above 0"),
        ("target_duration: ten", "expected a duration such as '10m'"),
        ("cores: 1.5", "expects an integer of at least 1, found 1.5 (a number)"),
        ("maximum_jobs: 0", "expects an integer of at least 1, found 0"),
        ("exclusive: 'no'", "expects true or false"),
        ("{exclusive: true, job_cores: 3}", "'job_cores' and 'exclusive' exclude each other"),
        ("dask_resources: {GPU: many}", "dask_resources.GPU expects a number of at least 0"),
        ("extra_dask_config: {a.b: 3}", "expects a string (quote numbers), found 3"),
        ("job_extra_directives: --x", "expects a list, found '--x'"),
        ('job_extra_directives: ["--x\\n--y"]', "of one line"),
        ("job_script_prologue: [3]", "job_script_prologue[0] expects a string"),
        ("memry: 1G", "unknown field 'memry' (did you mean 'memory'?)"),
        ("{job-cores: 1, job_cores: 2}", "the field 'job_cores' is there twice"),
        ("conda: -x", "it must not begin with '-'"),
    ],
)
def test_a_mistake_in_a_queue_is_found(project: Project, fields: str, complaint: str) -> None:
    queue = fields if fields.startswith("{") else f"{{{fields}}}"
    found = complaints(project, f"{{frontends: [{{}}], queues: {{q: {queue}}}}}")
    assert any(complaint in message for message in found)


def test_all_mistakes_of_a_definition_are_found_at_once(project: Project) -> None:
    found = complaints(project, "{frontends: [{hostname: 3}], tunnel: x, queues: {q: {cores: x}, 'b d': {}}}")
    assert len(found) == 4


def test_what_is_null_counts_as_absent(project: Project) -> None:
    cluster = definition(project, "{type: null, queues: null, frontends: [{hashserver: null, hostname: null}]}")
    assert cluster.usable
    assert (cluster.type, cluster.frontends, cluster.queues) == (None, [{}], {})


@pytest.mark.parametrize("host", ["login.hpc.example", "10.0.0.5", "fe80::1", "localhost", "a.b.", "one"])
def test_host_names_and_addresses_are_accepted(project: Project, host: str) -> None:
    assert definition(project, frontend(f"hostname: '{host}'")).usable


@pytest.mark.parametrize("alias", ["my_alias", "me@login.example", "hpc-login"])
def test_aliases_of_ssh_are_accepted(project: Project, alias: str) -> None:
    assert definition(project, frontend(f"hostname: h, ssh_hostname: {alias}")).usable


def test_the_name_of_a_cluster_follows_the_rule(project: Project) -> None:
    project.clusters("a--b: {frontends: [{}]}\n")
    (finding,) = project.resolve().clusters["a--b"].findings
    assert "cluster cannot contain '--'" in finding.message


# --- queues ---------------------------------------------------------------------------------------


def test_a_template_is_copied_and_what_is_written_wins(project: Project) -> None:
    project.clusters(HPC)
    queue = project.resolve().clusters["hpc"].queues["highmem"]
    assert queue == {"conda": "w", "walltime": "01:00:00", "cores": 4, "memory": "128000MB", "maximum_jobs": 20}


def test_templates_can_be_chained_and_null_unsets(project: Project) -> None:
    queues = "{a: {cores: 1, tmpdir: /a}, b: {TEMPLATE: a, cores: 2}, c: {TEMPLATE: b, tmpdir: null}}"
    cluster = definition(project, f"{{frontends: [{{}}], queues: {queues}}}")
    assert cluster.queues["c"] == {"cores": 2}


def test_fields_of_a_queue_may_be_written_with_hyphens(project: Project) -> None:
    cluster = definition(project, "{frontends: [{}], queues: {q: {job-cores: 2, unknown-task-duration: 1m}}}")
    assert cluster.queues["q"] == {"job_cores": 2, "unknown_task_duration": "1m"}


@pytest.mark.parametrize(
    ("queues", "complaint"),
    [
        ("{a: {TEMPLATE: b}}", "queue 'a' has an unknown TEMPLATE 'b'; queues before it: none"),
        ("{a: {TEMPLATE: b}, b: {}}", "a template must be defined before the queue that uses it"),
        ("{standard: {}, a: {TEMPLATE: standrd}}", "(did you mean 'standard'?)"),
        ("{a: {TEMPLATE: a}}", "unknown TEMPLATE 'a'"),
    ],
)
def test_an_unknown_template_is_told(project: Project, queues: str, complaint: str) -> None:
    found = complaints(project, f"{{frontends: [{{}}], queues: {queues}}}")
    assert any(complaint in message for message in found)


def test_an_image_takes_the_place_of_the_conda_environment_of_the_template(project: Project) -> None:
    queues = "{a: {conda: x}, b: {TEMPLATE: a, image: /i.sif}, c: {TEMPLATE: b, conda: y}}"
    cluster = definition(project, f"{{frontends: [{{}}], queues: {queues}}}")
    assert (cluster.queues["b"], cluster.queues["c"]) == ({"image": "/i.sif"}, {"conda": "y"})


def test_a_wrong_template_is_pointed_at(project: Project) -> None:
    project.clusters("c:\n  frontends: [{}]\n  queues:\n    q: {TEMPLATE: x}\n")
    (finding,) = project.resolve().clusters["c"].findings
    assert finding.place is not None
    assert (finding.place.line, finding.place.column) == (4, 19)
