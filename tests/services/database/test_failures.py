"""Failures that clients report: kept beside the database, for people to look at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from seamless.stores.failures import failures

if TYPE_CHECKING:
    from .conftest import Server, Start

TF = "a" * 64
SAID = {"error": "no", "stderr": "fig is missing\n", "command": "cat fig", "exit_status": 3, "host": "node1", "pid": 7}


def test_a_failure_is_noted_beside_the_database(server: Server, database: Path) -> None:
    assert server.put("failure", TF, value=SAID) == (200, "OK")
    (noted,) = failures(str(database.parent))
    assert noted.pop("time") > 1e9
    assert noted == {"tf_checksum": TF, **SAID}


def test_a_failure_is_no_result(server: Server) -> None:
    server.put("failure", TF, value=SAID)
    assert server.get("transformation", TF) == (404, "ERROR: Unknown key")


def test_what_is_kept_of_a_failure_is_bounded(server: Server, database: Path) -> None:
    long = dict.fromkeys(("error", "stderr", "command", "host"), "x" * 100000)
    assert server.put("failure", TF, value=long) == (200, "OK")
    (noted,) = failures(str(database.parent))
    assert max(len(noted[name]) for name in long) == 4000


@pytest.mark.parametrize(
    "wrong",
    [
        {"checksum": "x"},
        {"value": "no"},
        {"value": {"error": 1}},
        {"value": {"exit_status": "3"}},
        {"value": {"pid": True}},
    ],
)
def test_a_malformed_failure_is_refused(refusing: Server, wrong: dict[str, Any]) -> None:
    answer = refusing.put("failure", **{"checksum": TF, "value": SAID, **wrong})
    assert answer.status == 400 and answer.text.startswith("ERROR: Malformed")


def test_a_server_that_only_reads_notes_nothing(server: Server, start: Start, database: Path) -> None:
    server.stop()
    assert start(database).put("failure", TF, value=SAID) == (405, "ERROR: Database server is read-only")
    assert failures(str(database.parent)) == []
