"""The dashboard of a store whose steps reach it through services of this machine: seen running, seen failed."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.place import DEADLINE, Place, eventually

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.kill()


def test_a_step_that_uses_services_is_shown_while_it_runs_and_when_it_has_failed(place: Place) -> None:
    gate = place.root / "gate"
    os.mkfifo(gate)
    place.run("seamless-init")
    server = place.start("seamless-dashboard", "--insecure", "--directory", place.data)
    assert server.stdout is not None
    address = server.stdout.readline().strip()

    def overview() -> dict[str, Any]:
        with urllib.request.urlopen(f"{address}api/overview", timeout=DEADLINE) as answer:
            return dict(json.load(answer))

    try:
        assert overview()["running"] == overview()["failures"] == []
        run = place.start("seamless-run", f"cat a.txt; read line < {gate}; echo fig is missing >&2; exit 3")
        (running,) = eventually(lambda: overview()["running"])
        assert (running["title"][:9], running["pid"], running["host"]) == ("cat a.txt", run.pid, os.uname().nodename)
        gate.write_text("go on\n")
        assert run.communicate(timeout=DEADLINE) and run.returncode == 3
        (failed,) = eventually(lambda: overview()["failures"])
        assert (failed["exit_status"], failed["stderr"], failed["pid"]) == (3, "fig is missing\n", run.pid)
        assert failed["tf_checksum"] == running["tf_checksum"]
        assert eventually(lambda: overview()["running"] == [])
    finally:
        server.terminate()
        server.communicate(timeout=DEADLINE)
