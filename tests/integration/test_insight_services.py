"""Looking into a store, and clearing it, while its services run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.place import Place

pytest.importorskip("uvicorn")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.kill()


def test_a_store_is_cleared_while_its_services_run_and_nothing_is_lost(place: Place) -> None:
    line = place.counted("sort a.txt > b.txt")
    place.run("seamless-run", "-i", "a.txt", "-c", line)
    services = place.pids()
    explained = json.loads(place.run("seamless-explain", "--json", "b.txt.CHECKSUM"))
    assert explained["state"] == "cached"
    row = json.loads(place.run("seamless-gc", "--yes", "--json", "--max-size", "0", "--grace", "0"))
    assert (row["store"], row["removed"]) == ("fruit", 2)
    (place.work / "b.txt").unlink()
    place.run("seamless-run", "-i", "a.txt", "-c", line)
    assert (place.work / "b.txt").read_text() == "a\nb\n"
    assert (place.ran, place.pids()) == (2, services)


def test_results_of_services_are_exported_imported_and_verified(place: Place) -> None:
    place.run("seamless-run", "sort a.txt > b.txt")
    place.run("seamless-export", "-o", "b.tar.zst", "b.txt.CHECKSUM")
    place.write("seamless.yaml", "- project: vegetable\n")
    done = json.loads(place.run("seamless-import", "--json", "b.tar.zst"))
    assert done["new_steps"] == 1
    assert json.loads(place.run("seamless-run", "--json", "sort a.txt > b.txt"))["cached"] is True
    assert place.run("seamless-verify", "b.txt.CHECKSUM").startswith("same")
