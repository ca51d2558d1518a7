"""Clients that are handed down: by a call, or by the environment."""

from __future__ import annotations

import json
from typing import Any

import pytest

import seamless.config as config
from seamless.session import session
from tests.config.conftest import Project

CLIENTS: dict[str, list[dict[str, Any]]] = {
    "database": [{"readonly": False, "url": "http://127.0.0.1:1", "remote_url": "http://inside:1"}],
    "buffer": [{"readonly": False, "url": "http://127.0.0.1:2", "remote_url": "http://inside:2"}],
}


def urls() -> list[str]:
    return [store.url for store in (*session.buffer_stores, *session.result_stores)]  # type: ignore[attr-defined]


def test_clients_that_are_set_are_the_active_ones(project: Project) -> None:
    config.set_remote_clients(CLIENTS)
    assert urls() == ["http://127.0.0.1:2", "http://127.0.0.1:1"]
    config.init(workdir=project.root)
    collected = config.collect_remote_clients("any")
    assert [entry["url"] for entry in collected["database"] + collected["buffer"]] == [
        "http://127.0.0.1:1", "http://127.0.0.1:2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "call",
    [
        lambda: config.set_stage("s"),
        lambda: config.set_substage("s"),
        lambda: config.load("s"),
        lambda: config.set_workdir("/"),
        lambda: config.select_stage("s"),
        lambda: config.select_substage("s"),
    ],
)
def test_after_that_stage_and_directory_are_frozen(call: Any) -> None:
    config.set_remote_clients(CLIENTS)
    with pytest.raises(RuntimeError, match="after set_remote_clients"):
        call()


@pytest.mark.usefixtures("no_launch", "quiet")
def test_after_initialization_no_clients_can_be_set(project: Project) -> None:
    config.init(workdir=project.root)
    with pytest.raises(RuntimeError, match="after initialization"):
        config.set_remote_clients(CLIENTS)


@pytest.mark.parametrize(
    "clients",
    [{"database": [{"readonly": True}]}, {"buffer": [{"readonly": True}]}, {"database": {}}, {"buffer": [3]}],
)
def test_an_entry_without_an_address_is_refused(clients: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        config.set_remote_clients({**clients, "database": clients.get("database", []) or [3]})


def test_the_environment_hands_clients_down(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.set_remote_clients_from_env() is False
    monkeypatch.setenv("SEAMLESS_REMOTE_CLIENTS", json.dumps(CLIENTS))
    project.write("- broken: 1\n")
    config.init(workdir=project.root)
    assert urls() == ["http://inside:2", "http://inside:1"]


def test_the_cache_directory_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("SEAMLESS_REMOTE_CLIENTS", json.dumps(CLIENTS))
    monkeypatch.setenv("SEAMLESS_CACHE", str(tmp_path))
    assert config.set_remote_clients_from_env() is False


@pytest.mark.parametrize("text", ["", "{", "[1"])
def test_malformed_clients_are_an_error(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SEAMLESS_REMOTE_CLIENTS", text)
    with pytest.raises(config.ConfigurationError, match="SEAMLESS_REMOTE_CLIENTS is not JSON"):
        config.set_remote_clients_from_env()


@pytest.mark.parametrize("text", ["3", "[]", '"x"', "null"])
def test_clients_that_are_no_mapping_are_an_error(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SEAMLESS_REMOTE_CLIENTS", text)
    with pytest.raises(ValueError):
        config.set_remote_clients_from_env()


def test_a_dask_scheduler_cannot_be_used_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAMLESS_REMOTE_CLIENTS", json.dumps(CLIENTS))
    monkeypatch.setenv("SEAMLESS_DASK_SCHEDULER", "tcp://x:1")
    with pytest.raises(config.ConfigurationError, match="SEAMLESS_DASK_SCHEDULER"):
        config.set_remote_clients_from_env(include_dask=True)
    assert config.set_remote_clients_from_env() is True


def test_without_any_client_nothing_is_collected() -> None:
    assert config.collect_remote_clients("c") == {"database": [], "buffer": []}
