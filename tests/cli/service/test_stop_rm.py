"""`seamless-service-stop` and `seamless-service-rm`: which services they mean, and what they leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cli.service.conftest import Command, Place

KEY = "hashserver-ws-rw-thesis"


def dead(place: Place, key: str, **meta: Any) -> None:
    """Record a service whose process is gone, on both sides."""
    fields = {"service": key.partition("-")[0], "cluster": "ws", "mode": "rw", "project": "thesis", **meta}
    place.record(key, status="running", pid=2**30, port=1, meta=fields)
    place.record(key, "client", hostname="localhost", port=1, meta=fields)


# --- which ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["stop", "rm"])
def test_a_service_or_a_cluster_must_be_named(place: Place, command: Command, name: str) -> None:
    result = command(name, "--project", "thesis")
    assert result.status == 2
    assert "--service or --cluster is required" in result.err


@pytest.mark.parametrize("name", ["stop", "rm"])
def test_a_cluster_without_services_is_said_to_have_none(place: Place, command: Command, name: str) -> None:
    result = command(name, "--cluster", "ws")
    assert (result.status, result.out) == (0, "")
    assert "no such service of cluster 'ws'" in result.err


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        ([], ["database-ws-rw-p", "hashserver-ws-rw-thesis"]),
        (["--project", "p"], ["database-ws-rw-p"]),
        (["--project", "other"], []),
    ],
)
def test_a_whole_cluster_is_narrowed_by_further_options(
    place: Place, command: Command, arguments: list[str], keys: list[str]
) -> None:
    dead(place, KEY)
    dead(place, "database-ws-rw-p", project="p")
    dead(place, "database-other-rw-p", cluster="other")
    result = command("stop", "--cluster", "ws", *arguments)
    assert result.status == 0
    assert result.out == "".join(f"{key}: already gone\n" for key in keys)


# --- stop -----------------------------------------------------------------------------------------


def test_what_is_not_recorded_need_not_be_stopped(place: Place, command: Command) -> None:
    assert command("stop", "--service", "hashserver") == (0, f"{KEY}: missing state\n", "")


def test_the_connection_of_a_stopped_service_is_stale(place: Place, command: Command) -> None:
    dead(place, KEY)
    assert command("stop", "--service", "hashserver") == (0, f"{KEY}: already gone\n", "")
    assert [place.state(KEY, side)["status"] for side in ("server", "client")] == ["stale", "stale"]  # type: ignore[index]


def test_a_state_that_cannot_be_used_is_an_error_and_the_others_are_stopped(place: Place, command: Command) -> None:
    dead(place, "database-ws-rw-thesis")
    dead(place, KEY)
    place.record("database-ws-rw-thesis", status="running", pid=-1)
    result = command("stop", "--cluster", "ws", "--json")
    assert result.status == 1
    assert [(row["key"], row["outcome"]) for row in result.rows] == [
        ("database-ws-rw-thesis", "error"),
        (KEY, "already gone"),
    ]
    assert "invalid PID" in result.err


def test_a_dry_run_prints_the_helper_and_stops_nothing(place: Place, command: Command) -> None:
    dead(place, KEY)
    assert command("stop", "--service", "hashserver", "--dry-run") == (0, f"rhl-stop {KEY}\n", "")
    (row,) = command("stop", "--cluster", "ws", "--dry-run", "--json").rows
    assert row == {"command": ["rhl-stop", KEY], "dry_run": True}
    assert place.state(KEY)["status"] == "running"  # type: ignore[index]


def test_the_service_of_the_cache_is_found_by_its_record(place: Place, command: Command) -> None:
    key = "hashserver-__SEAMLESS_CACHE__-rw-__TOPLEVEL__"
    place.record(key, status="running", pid=2**30, workdir="/c/__TOPLEVEL__")
    result = command("stop", "--service", "hashserver", "--project", "SEAMLESS_CACHE")
    assert result == (0, f"{key}: already gone\n", "")


# --- rm -------------------------------------------------------------------------------------------


def test_both_records_are_removed(place: Place, command: Command) -> None:
    dead(place, KEY)
    result = command("rm", "--service", "hashserver")
    assert result.status == 0
    assert result.out.splitlines() == [f"removed {place.base}/{side}/{KEY}.json" for side in ("server", "client")]
    assert (place.state(KEY), place.state(KEY, "client")) == (None, None)
    assert command("rm", "--service", "hashserver").out == f"{KEY}: not found\n"


@pytest.mark.parametrize(("flag", "kept"), [("--client", "server"), ("--server", "client")])
def test_one_record_can_be_removed(place: Place, command: Command, flag: str, kept: str) -> None:
    dead(place, KEY)
    (row,) = command("rm", "--cluster", "ws", flag, "--json").rows
    assert row == {"key": KEY, "removed": [f"{place.base}/{flag[2:]}/{KEY}.json"]}
    assert place.state(KEY, kept) is not None


def test_the_record_of_a_running_service_stays_unless_forced(place: Place, command: Command) -> None:
    place.record_alive(KEY, meta={"service": "hashserver", "cluster": "ws"})
    result = command("rm", "--service", "hashserver")
    assert result.status == 1
    assert "runs (pid" in result.err
    assert place.state(KEY) is not None
    assert command("rm", "--service", "hashserver", "--force").status == 0
    assert place.state(KEY) is None


def test_a_connection_to_another_machine_can_be_removed(place: Place, command: Command) -> None:
    place.record("database-hpc-rw-p", "client", hostname="login.hpc.example", port=1, meta={"cluster": "hpc"})
    assert command("rm", "--cluster", "hpc", "--client").status == 0
    assert place.state("database-hpc-rw-p", "client") is None


def test_a_dry_run_prints_the_helpers_and_removes_nothing(place: Place, command: Command) -> None:
    dead(place, KEY)
    result = command("rm", "--service", "hashserver", "--dry-run")
    assert result == (0, f"rhl-rm --server {KEY}\nrhl-rm --client {KEY}\n", "")
    assert place.state(KEY) is not None
