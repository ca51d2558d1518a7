"""Activation: which stores are active afterwards, and what stays if it fails."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import seamless.config as config
from seamless import Buffer
from seamless.config.activation import Activation
from seamless.session import session
from tests.config.conftest import HPC, WS, Project


def store() -> Any:
    """Return something that can be told from any other store, and is never asked."""
    return SimpleNamespace(writable=False)


class Backends:
    """Notes what is to be activated; makes stores that say for which service they are."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.failure: Exception | None = None

    def activate(self, config: Any, launch: dict[str, dict[str, Any]]) -> None:
        if self.failure is not None:
            raise self.failure
        self.calls.append((launch["hashserver"]["key"], launch["database"]["workdir"]))
        session.activate([store()], [store()])


@pytest.fixture
def backends(project: Project, monkeypatch: pytest.MonkeyPatch) -> Backends:
    """Two clusters, a project file that executes here, and clients that are only noted."""
    from seamless.config.context import context

    project.clusters(HPC + WS)
    project.write("- project: p\n- cluster: ws\n- execution: process\n")
    config.set_workdir(project.root)
    fake = Backends()
    monkeypatch.setattr(context, "activation", Activation(fake))
    return fake


def test_a_persistent_cluster_has_its_stores_activated(backends: Backends) -> None:
    config.init()
    assert backends.calls == [("hashserver-ws-rw-p", "/data/db/p")]
    assert config.describe()["active"] == ["buffer", "database"]
    assert len(session.buffer_stores) == len(session.result_stores) == 1


def test_another_substage_keeps_the_stores_and_another_stage_replaces_them(backends: Backends) -> None:
    config.set_stage("a")
    config.set_stage("a", "gpu")
    config.set_stage("a")
    assert len(backends.calls) == 1
    config.set_stage("b")
    config.set_stage("a")
    assert [key for key, _ in backends.calls] == [
        "hashserver-ws-rw-p--STAGE-a", "hashserver-ws-rw-p--STAGE-b", "hashserver-ws-rw-p--STAGE-a",
    ]  # fmt: skip


def test_another_definition_of_the_same_cluster_is_activated(project: Project, backends: Backends) -> None:
    config.init()
    project.clusters(WS.replace("/data/db", "/other"))
    config.set_stage()
    assert backends.calls[-1] == ("hashserver-ws-rw-p", "/other/p")


def test_stores_that_the_program_has_put_in_their_place_are_replaced(backends: Backends) -> None:
    config.init()
    session.activate((), ())
    config.set_stage()
    assert len(backends.calls) == 2


def test_what_is_not_called_for_is_deactivated(project: Project, backends: Backends) -> None:
    config.init()
    project.write("- cluster: ws\n- execution: process\n- persistent: false\n")
    config.set_stage()
    assert (session.buffer_stores, session.result_stores) == ((), ())
    assert config.describe()["active"] == []


def test_a_failed_activation_leaves_the_stores_and_the_configuration(project: Project, backends: Backends) -> None:
    config.init()
    before, stores = config.describe(), session.buffer_stores
    backends.failure = config.ConfigurationError("no")
    with pytest.raises(config.ConfigurationError, match="no"):
        config.set_stage("b")
    assert (config.describe(), session.buffer_stores) == (before, stores)


def test_a_store_that_no_frontend_has_is_an_error_before_anything_is_changed(
    project: Project, backends: Backends
) -> None:
    project.clusters("ws: {frontends: [{hashserver: {bufferdir: /b}}]}\n")
    with pytest.raises(config.ConfigurationError, match="No frontend of cluster 'ws' can support a database"):
        config.init()
    assert backends.calls == []


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("- project: p\n- cluster: ws\n", r"'remote' \(the default, because cluster 'ws' is selected\)"),
        (
            "- project: p\n- cluster: ws\n- execution: remote\n",
            r"seamless.yaml:3:3: execution is 'remote', but this ver",
        ),
    ],
)
def test_where_this_version_cannot_execute_is_an_error(
    project: Project, backends: Backends, monkeypatch: pytest.MonkeyPatch, text: str, complaint: str
) -> None:
    from seamless.config import activation

    monkeypatch.setattr(activation, "REMOTE_BACKENDS", ())
    project.write(text)
    with pytest.raises(config.ConfigurationError, match=complaint) as caught:
        config.init()
    assert "'- execution: process'" in str(caught.value)
    assert backends.calls == []
    config.resolve()


@pytest.mark.usefixtures("quiet")
def test_a_cluster_that_only_stores_cannot_execute(project: Project, backends: Backends) -> None:
    project.clusters("only: {frontends: [{hashserver: {bufferdir: /b}, database: {database_dir: /d}}]}\n")
    project.write("- project: p\n- cluster: only\n")
    with pytest.raises(config.ConfigurationError, match="no frontend offers a jobserver or a daskserver"):
        config.init()
    assert backends.calls == []


def jobserver_keys() -> list[str]:
    """Return the keys of the active clients of jobservers."""
    from seamless.remote import jobserver_remote

    return [client.config()["key"] for client in jobserver_remote.active.clients]


def test_a_configuration_that_executes_elsewhere_has_its_jobserver_activated(
    project: Project, backends: Backends
) -> None:
    from seamless.transformer.execution import seam

    project.write("- project: p\n- cluster: ws\n- execution: remote\n")
    config.init()
    assert config.describe()["active"] == ["buffer", "database", "jobserver"]
    assert getattr(seam.executor, "remote", False)
    assert jobserver_keys() == ["jobserver-ws-rw-p"]


def test_another_substage_has_another_jobserver_and_the_same_stores(project: Project, backends: Backends) -> None:
    project.write("- project: p\n- cluster: ws\n- execution: remote\n")
    config.set_stage("a")
    config.set_stage("a", "gpu")
    assert jobserver_keys() == ["jobserver-ws-rw-p--STAGE-aSUBSTAGE-gpu"]
    config.set_stage("a")
    assert jobserver_keys() == ["jobserver-ws-rw-p--STAGE-a"]
    assert len(backends.calls) == 1


def test_a_stage_that_executes_here_has_no_jobserver(project: Project, backends: Backends) -> None:
    from seamless.transformer.execution import seam

    project.write("- project: p\n- cluster: ws\n- execution: remote\n- stage b:\n  - execution: process\n")
    config.set_stage("a")
    assert jobserver_keys() == ["jobserver-ws-rw-p--STAGE-a"]
    config.set_stage("b")
    assert jobserver_keys() == []
    assert seam.executor is seam.in_process


def test_without_a_cluster_stores_of_the_program_stay(project: Project) -> None:
    project.write("- execution: process\n- persistent: false\n")
    stores = (store(),)
    session.activate(stores, ())
    config.init(workdir=project.root)
    assert session.buffer_stores == stores


def test_the_cache_directory_is_opened_in_process(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEAMLESS_CACHE", str(tmp_path / "cache"))
    config.init(workdir=project.root)
    checksum = Buffer(b"data").get_checksum()
    session.buffer_stores[0].put([(checksum, b"data")])
    assert (tmp_path / "cache" / "__TOPLEVEL__" / checksum.hex()[:2] / checksum.hex()).read_bytes() == b"data"
    stores = session.buffer_stores
    config.set_stage(None, None)
    assert session.buffer_stores is stores
    config.select_project("p")
    config.set_stage("s")
    assert (tmp_path / "cache" / "p" / "STAGE-s" / ".HASHSERVER_PREFIX").exists()
    assert config.describe()["active"] == ["buffer", "database"]


# --- SEAMLESS_NO_LAUNCH -------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["1", "true", "yes", "on"])
def test_without_launching_what_would_be_active_is_only_noted(
    project: Project, backends: Backends, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("SEAMLESS_NO_LAUNCH", value)
    project.write("- execution: spawn\n", "seamless.profile.yaml")
    config.init()
    assert config.describe()["active"] == ["buffer", "database", "spawn:3"]
    assert backends.calls == []
    with pytest.raises(config.ConfigurationError, match="SEAMLESS_NO_LAUNCH is set"):
        session.ensure_active()
    monkeypatch.delenv("SEAMLESS_NO_LAUNCH")
    project.write("[]\n", "seamless.profile.yaml")
    config.set_stage()
    assert len(backends.calls) == 1
    session.ensure_active()


@pytest.mark.parametrize("value", ["", "0", "false", "no", " "])
def test_a_value_that_means_no_forbids_nothing(backends: Backends, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SEAMLESS_NO_LAUNCH", value)
    config.init()
    assert len(backends.calls) == 1


def test_without_launching_no_cache_directory_is_made(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_launch: None
) -> None:
    monkeypatch.setenv("SEAMLESS_CACHE", str(tmp_path / "cache"))
    config.init(workdir=project.root)
    assert config.describe()["active"] == ["buffer", "database"]
    assert not (tmp_path / "cache").exists()


def test_a_pool_has_the_workers_of_the_cluster_else_of_this_machine(project: Project, no_launch: None) -> None:
    project.clusters("c: {workers: 5, frontends: [{}]}\nm: {workers: 7, frontends: [{}]}\n")
    project.write("- execution: spawn\n- persistent: false\n")
    assert project.resolve(manual={"cluster": "c"}).active() == ["spawn:5"]
    count = project.resolve().pool_size()
    assert count >= 1
    project.clusters("local_cluster: m\n", "clusters/local.yaml")
    assert project.resolve().active() == ["spawn:7"]
