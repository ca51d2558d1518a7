"""Launch dicts: keys, directories, commands, and what makes two of them different services."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from seamless.config import ConfigurationError
from seamless.config.description import launch_dict
from seamless.config.meta import fingerprint
from tests.config.conftest import HPC, WS, Project

SCOPE = {"project": "p", "subproject": "a/b"}
STAGE: dict[str, str] = {"stage": "prod", "substage": "gpu"}


@pytest.fixture
def config(project: Project) -> Any:
    project.clusters(HPC + WS)
    return project.resolve(manual={**SCOPE, "cluster": "hpc", "queue": "highmem"}, **STAGE)


@pytest.mark.parametrize(
    ("service", "mode", "key", "workdir"),
    [
        ("hashserver", "rw", "hashserver-hpc-rw-p--a--b--STAGE-prod", "/scratch/buf/p/a/b/STAGE-prod"),
        ("database", "rw", "database-hpc-rw-p--a--b--STAGE-prod", "/scratch/db/p/a/b/STAGE-prod"),
        ("hashserver", "ro", "hashserver-hpc-ro-p--a--b--STAGE-prod", "/scratch/buf/p/a/b/STAGE-prod"),
        ("daskserver", "rw", "daskserver-hpc-rw-p--a--b--STAGE-prodSUBSTAGE-gpu", "/tmp"),
        ("pure_daskserver", "rw", "pure-daskserver-hpc-highmem", "/tmp"),
    ],
)
def test_key_and_directory_follow_from_the_scope(config: Any, service: str, mode: str, key: str, workdir: str) -> None:
    launch = launch_dict(config, service, mode)
    assert (launch["key"], launch["workdir"]) == (key, workdir)


def test_a_jobserver_has_the_substage_in_its_key_and_in_its_logs(config: Any) -> None:
    launch = launch_dict(config, "jobserver", cluster="ws")
    assert launch["key"] == "jobserver-ws-rw-p--a--b--STAGE-prodSUBSTAGE-gpu"
    assert launch["log_file"] == "~/.remote-http-launcher/logs/ws/p/a/b/STAGE-prodSUBSTAGE-gpu/jobserver.log"
    assert launch["file_parameters"] == {"database": [], "buffer": [], "record": False}


def test_a_substage_without_a_stage_changes_no_key(project: Project) -> None:
    project.clusters(HPC)
    config = project.resolve(manual={"project": "p", "cluster": "hpc"}, substage="gpu")
    assert launch_dict(config, "daskserver")["key"] == "daskserver-hpc-rw-p"


def test_arguments_come_before_what_is_configured_and_empty_ones_mean_none(config: Any) -> None:
    launch = launch_dict(config, "database", cluster="ws", project="q", subproject="", stage="")
    assert launch["key"] == "database-ws-rw-q"
    assert launch["meta"]["subproject"] is None
    assert launch["meta"]["stage"] is None


def test_the_queue_of_another_cluster_does_not_count(project: Project) -> None:
    project.clusters(HPC + HPC.replace("hpc:", "other:"))
    config = project.resolve(manual={"project": "p", "cluster": "hpc", "queue": "highmem"})
    assert launch_dict(config, "daskserver")["meta"]["queue"] == "highmem"
    assert launch_dict(config, "daskserver", cluster="other")["meta"]["queue"] == "standard"


def test_the_meta_block_says_for_what_a_service_is(config: Any) -> None:
    meta = launch_dict(config, "pure_daskserver")["meta"]
    fields = ("service", "cluster", "mode", "project", "subproject", "stage", "substage", "queue")
    assert [meta[field] for field in fields] == [
        "pure-daskserver", "hpc", "rw", None, None, None, None, "highmem",
    ]  # fmt: skip
    storage = launch_dict(config, "hashserver", "ro")["meta"]
    assert [storage[field] for field in fields] == ["hashserver", "hpc", "ro", "p", "a/b", "prod", None, None]
    assert {"user", "client_host", "workdir", "seamless_version", "created", "fingerprint"} <= set(meta)
    json.dumps(meta)


@pytest.mark.parametrize(
    ("service", "options", "complaint"),
    [
        ("hashserver", {"mode": "w"}, "mode of a hashserver must be 'ro' or 'rw', not 'w'"),
        ("jobserver", {}, "No frontend of cluster 'hpc' can support a jobserver"),
        ("database", {"frontend_name": "x"}, "No frontend of cluster 'hpc' with name 'x' can support a database"),
        ("database", {"cluster": "nope"}, "cluster 'nope' is not defined; clusters: hpc, ws"),
        ("database", {"project": "a--b"}, "project cannot contain '--'"),
        ("database", {"project": "a@b"}, "no service can be started for a name with '@'"),
        ("pure_daskserver", {"queue": "highmen"}, "has no queue 'highmen'"),
        ("pure_daskserver", {"cluster": "ws"}, "no queue is chosen and there is no 'default_queue'"),
        ("storage", {}, "there is no service 'storage'"),
    ],
)
def test_what_cannot_be_launched_is_an_error(config: Any, service: str, options: Any, complaint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        launch_dict(config, service, **options)
    assert complaint in str(caught.value)


def test_without_cluster_or_project_nothing_is_launched(project: Project) -> None:
    project.clusters(HPC)
    with pytest.raises(ConfigurationError, match="No cluster defined"):
        launch_dict(project.resolve(), "hashserver")
    with pytest.raises(ConfigurationError, match="No project defined"):
        launch_dict(project.resolve(manual={"cluster": "hpc"}), "hashserver")


def storage(project: Project, fields: str, *, cluster: str = "", **options: Any) -> Any:
    project.clusters(f"c:\n  frontends:\n  - {{{fields}}}\n{cluster}")
    return launch_dict(project.resolve(manual={"project": "p", "cluster": "c"}), "hashserver", **options)


def test_this_machine_has_no_host_in_the_dict(project: Project) -> None:
    fields = "hostname: h, ssh_hostname: s, hashserver: {bufferdir: /b}"
    assert storage(project, fields)["hostname"] == "h"
    local = storage(project, fields, cluster="  tunnel: true\nlocal_cluster: c\n")
    assert {"hostname", "ssh_hostname", "tunnel"}.isdisjoint(local)
    assert {"hostname", "tunnel"}.isdisjoint(
        storage(project, "hashserver: {bufferdir: /b}", cluster="  tunnel: true\n")
    )


def test_a_directory_keeps_its_tilde_and_loses_a_last_slash(project: Project) -> None:
    launch = storage(project, "hashserver: {bufferdir: ~/buf/}")
    assert launch["workdir"] == "~/buf/p"
    assert launch["command"] == "hashserver --status-file {status_file} --timeout 600 ~/buf/p --writable"


def test_variables_are_replaced_on_this_machine_only(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRATCH", "/scratch/my dir")
    directory = "hashserver: {bufferdir: '${SCRATCH}/buf'}"
    launch = storage(project, directory)
    assert launch["workdir"] == "/scratch/my dir/buf/p"
    assert shlex.split(launch["command"])[-2] == "/scratch/my dir/buf/p"
    assert storage(project, f"hostname: localhost, {directory}")["workdir"] == "/scratch/my dir/buf/p"
    with pytest.raises(ConfigurationError, match="is not known on 'h'"):
        storage(project, f"hostname: h, {directory}")
    monkeypatch.delenv("SCRATCH")
    with pytest.raises(ConfigurationError, match="needs the variable SCRATCH"):
        storage(project, directory)


def test_a_service_without_a_token_is_launched_only_if_that_is_written(project: Project) -> None:
    assert "insecure" not in storage(project, "hashserver: {bufferdir: /b, insecure: false}")
    assert storage(project, "hashserver: {bufferdir: /b, insecure: true}")["insecure"] is True


def test_an_image_takes_the_place_of_the_conda_environment(project: Project) -> None:
    digest = "9a" * 32
    launch = storage(project, f"hashserver: {{bufferdir: /b, image: {{path: /i.sif, sha256: {digest}, nv: true}}}}")
    assert launch["image"] == {
        "runtime": "auto", "path": "/i.sif", "sha256": digest, "binds": [], "env": {}, "options": ["--nv"],
    }  # fmt: skip
    assert launch["meta"]["image"] == {"path": "/i.sif", "sha256": digest}
    assert "conda" not in launch


def test_a_daskserver_has_the_image_of_the_scheduler_and_that_of_the_workers(project: Project) -> None:
    text = HPC.replace("port_end: 60399}", "port_end: 60399, image: /s.sif}").replace("conda: w", "image: /w.sif")
    project.clusters(text)
    launch = launch_dict(project.resolve(manual={"project": "p", "cluster": "hpc"}), "daskserver")
    assert (launch["image"]["path"], launch["submit"]) == ("/s.sif", "proxy")
    assert launch["file_parameters"]["image"]["path"] == "/w.sif"
    assert "conda" not in launch


def test_how_a_scheduler_in_an_image_submits_is_handed_on(project: Project) -> None:
    fields = "port_end: 60399, image: /s.sif, submit: bind, submit_binds: [/etc/slurm]}"
    project.clusters(HPC.replace("port_end: 60399}", fields))
    launch = launch_dict(project.resolve(manual={"project": "p", "cluster": "hpc"}), "daskserver")
    assert (launch["submit"], launch["submit_binds"]) == ("bind", ["/etc/slurm"])


def test_a_scheduler_that_submits_from_the_host_runs_there(project: Project) -> None:
    fields = "port_end: 60399, image: /s.sif, submit: host}"
    project.clusters(HPC.replace("port_end: 60399}", fields))
    launch = launch_dict(project.resolve(manual={"project": "p", "cluster": "hpc"}), "daskserver")
    assert "image" not in launch and "submit" not in launch
    assert launch["conda"]


def test_a_jobserver_needs_the_number_of_workers(project: Project) -> None:
    project.clusters(WS.replace("workers: 3", "tunnel: false"))
    with pytest.raises(ConfigurationError, match="a jobserver needs 'workers'"):
        launch_dict(project.resolve(manual={"project": "p", "cluster": "ws"}), "jobserver")


def test_a_fingerprint_differs_where_the_service_does() -> None:
    launch = {"command": "x", "workdir": "/w", "file_parameters": {"database": [1], "record": False}, "image": {"a": 1}}
    own = fingerprint(launch)
    assert len(own) == 16
    same = {**launch, "hostname": "h", "tunnel": True, "log_file": "l", "meta": {"created": "now"}}
    assert fingerprint({**same, "file_parameters": {"database": [2], "buffer": [3], "record": False}}) == own
    for change in ({"workdir": "/v"}, {"image": {"a": 2}}, {"conda": "c"}, {"file_parameters": {"record": True}}):
        assert fingerprint({**launch, **change}) != own


def test_the_same_service_gives_the_same_dict(config: Any) -> None:
    assert launch_dict(config, "hashserver") == launch_dict(config, "hashserver")


def test_the_cache_directory_may_have_any_name(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = project.root / "a {b} 'c'"
    monkeypatch.setenv("SEAMLESS_CACHE", str(directory))
    command = launch_dict(project.resolve(), "hashserver")["command"]
    filled = command.replace("{status_file}", "S").replace("{{", "{").replace("}}", "}")
    assert shlex.split(filled)[-2] == f"{directory}/__TOPLEVEL__"
