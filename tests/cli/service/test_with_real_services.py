"""From launch to removal with the real servers, by the commands alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.service.conftest import Command, Place


def test_services_are_launched_listed_stopped_cleared_and_forgotten(place: Place, command: Command) -> None:
    assert command("init", "-q").status == 0
    listed = command("ps", "--server", "--persistent", "--json").rows
    assert {(row["service"], row["process"]) for row in listed} == {("hashserver", "running"), ("database", "running")}
    assert [row["persistent"] for row in listed if row["service"] == "database"] == ["populated"]
    assert "is running in" in command("clear", "--service", "database").err
    assert "listening" in command("logs", "--service", "hashserver").out
    stopped = command("stop", "--cluster", "ws", "--json")
    assert [(row["key"], row["outcome"]) for row in stopped.rows] == [
        ("database-ws-rw-thesis", "stopped"),
        ("hashserver-ws-rw-thesis", "stopped"),
    ]
    assert {row["process"] for row in command("ps", "--json").rows} == {"stale"}
    assert command("clear", "--service", "database").status == 0
    assert command("clear", "--service", "hashserver").status == 0
    assert command("rm", "--cluster", "ws").status == 0
    assert command("ps", "--json").rows == []
