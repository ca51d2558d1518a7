"""A probe of a Dask cluster is made on each of its machines, once."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seamless.config.embedded import activate_embedded
from seamless.transformer.buckets import machine
from seamless.transformer.buckets.probe import refresh
from seamless.transformer.recording.mode import RecordMode, recording
from tests.integration.dask_place import DaskPlace, end

pytest.importorskip("distributed")

ALL = ["node", "environment", "node_env", "queue", "queue_node"]
OWN = ["node", "node_env", "queue_node"]  # that each machine has

# Two of the three Dask workers are on another machine, as far as they know.
ELSEWHERE = """
from seamless.remote import daskserver_remote

def go_elsewhere():
    from seamless.transformer.buckets import machine
    machine.hostname = lambda: "elsewhere"

client = daskserver_remote.client().client
client.wait_for_workers(3)
client.run(go_elsewhere, workers=sorted(client.run(os.getpid))[:2])
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskPlace]:
    place = DaskPlace(tmp_path_factory.mktemp("dask"), queue=", maximum_jobs: 3")
    place.write("seamless.profile.yaml", "- cluster: ws\n- execution: remote\n- persistent: true\n- record: true\n")
    place.run(sys.executable, place.program(ELSEWHERE, "elsewhere.py"))
    yield place
    end(place)


def probed(place: DaskPlace, *options: str) -> list[tuple[str, str, str]]:
    """Return the kind, the state and the label of each bucket, in the order of the report."""
    done = place.attempt("seamless-probe", "-v", *options)
    assert done.returncode == 0, done.stderr
    lines = [line.split(": ", 2) for line in done.stderr.splitlines()]
    return [(kind, text.partition(" (")[0], text.partition(" (")[2][:-1]) for _, kind, text in lines]


def test_each_machine_is_probed_once_and_what_they_share_is_made_once(place: DaskPlace) -> None:
    found = probed(place)
    assert Counter(kind for kind, _, _ in found) == Counter(ALL + OWN)
    assert {label for kind, _, label in found if kind == "node"} == {machine.hostname(), "elsewhere"}
    assert {state for _, state, _ in found} == {"refreshed"}
    assert {state for _, state, _ in probed(place)} == {"up to date"}


def test_with_force_all_of_them_are_made_anew_and_hold_afterwards(place: DaskPlace) -> None:
    probed(place)
    forced = probed(place, "--force")
    assert Counter(kind for kind, state, _ in forced if state == "refreshed") == Counter(ALL + OWN)
    assert {state for _, state, _ in probed(place)} == {"up to date"}


def test_what_another_machine_has_just_made_is_not_made_again_even_with_force(tmp_path: Path) -> None:
    store: Any = activate_embedded(directory=str(tmp_path / "cache"))
    recording.mode = RecordMode(True, "c", "q", None, "daskserver", {"cores": 4})
    refresh(store.buffers, store.results, None)
    again = refresh(store.buffers, store.results, None, force=True, shared_is_new=True)
    assert [probe.kind for probe in again if probe.refreshed] == OWN
