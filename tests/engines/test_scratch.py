"""Results whose bytes are nowhere: whoever needs them gets them, because the step is executed again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.places import ENGINES, Engine
from tests.integration.dask_place import DaskPlace
from tests.integration.place import Place

PROGRAM = """
import sys
import seamless, seamless.config
from seamless import Checksum
from seamless.transformer import delayed

@delayed
def producer(n, counter):
    with open(counter, "a") as f:
        f.write("ran\\n")
    return "x" * n

@delayed
def length(text, extra):
    return len(text) + extra

seamless.config.init()
"""
SIZE = 50_000

pytestmark = [
    pytest.mark.timeout(200),
    pytest.mark.parametrize(
        "place", [each.parameter for each in ENGINES if each.name in ("spawn", "jobserver", "dask")], indirect=True
    ),
]


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place of one engine, for all tests."""
    engine: Engine = request.param
    with engine.begun(tmp_path_factory.mktemp(engine.name) / "place") as place:
        yield place


def run(place: Place, text: str, name: str) -> list[str]:
    return place.run(sys.executable, place.write(f"{name}.py", PROGRAM + text)).splitlines()


def buffer(place: Place, checksum: str) -> Path:
    return place.data / checksum[:2] / checksum


def produced(place: Place, counter: Path, name: str) -> str:
    """Have the producer executed by a program of its own; return the checksum of its result, which is stored."""
    (checksum,) = run(place, f"tf = producer({SIZE}, {str(counter)!r})\nprint(tf.compute())\n", name)
    assert buffer(place, checksum).exists() and counter.read_text() == "ran\n"
    return checksum


def test_a_scratch_result_reaches_its_consumer(place: Place, tmp_path: Path) -> None:
    counter = tmp_path / "count"
    made = f"producer.scratch = True\ntf = producer({SIZE + 1}, {str(counter)!r})\n"
    value, checksum = run(place, made + "print(length(tf, 1).run(), tf.result_checksum, sep='\\n')\n", "scratch")
    assert value == str(SIZE + 2)
    # Dask workers have only the stores in common: what another one has made must be there for the consumer.
    assert isinstance(place, DaskPlace) or not buffer(place, checksum).exists()


def test_a_scratch_result_that_is_known_is_made_again_for_a_later_consumer(place: Place, tmp_path: Path) -> None:
    counter = tmp_path / "count"
    made = f"producer.scratch = True\ntf = producer({SIZE + 2}, {str(counter)!r})\n"
    assert run(place, made + "print(length(tf, 2).run())\n", "scratch_first") == [str(SIZE + 4)]
    assert run(place, made + "print(length(tf, 3).run())\n", "scratch_later") == [str(SIZE + 5)]


def test_a_result_that_was_evicted_is_made_again_for_a_consumer(place: Place, tmp_path: Path) -> None:
    counter = tmp_path / "count"
    checksum = produced(place, counter, "evicted")
    buffer(place, checksum).unlink()
    text = f"print(length(producer({SIZE}, {str(counter)!r}), 6).run())\n"
    assert run(place, text, "evicted_consumer") == [str(SIZE + 6)]


def test_a_consumer_of_a_checksum_whose_bytes_were_evicted_has_them_made_where_it_runs(
    place: Place, tmp_path: Path
) -> None:
    counter = tmp_path / "count"
    checksum = produced(place, counter, "named")
    buffer(place, checksum).unlink()
    text = f"length.allow_input_fingertip = True\nprint(length(Checksum({checksum!r}), 7).run())\n"
    assert run(place, text, "named_consumer") == [str(SIZE + 7)]


def test_a_hit_without_bytes_is_no_error(place: Place, tmp_path: Path) -> None:
    counter = tmp_path / "count"
    checksum = produced(place, counter, "hit")
    buffer(place, checksum).unlink()
    text = f"print(len(producer({SIZE}, {str(counter)!r}).run()))\n"
    assert run(place, text, "hit_again") == [str(SIZE)]
