"""What a step asks of a Dask worker: it begins where there is as much, and is refused where there never is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from seamless.transformer import delayed
from seamless.transformer.resources import check_resources, wanted_of
from tests.integration.dask_place import DaskPlace, end

pytest.importorskip("distributed")


def test_a_step_that_says_nothing_takes_one_place() -> None:
    assert wanted_of({}, {"S": 4.0}) == {"S": 1}


def test_more_cores_than_there_are_is_all_of_them() -> None:
    assert wanted_of({"resources": {"cores": 3}}, {"S": 4.0}) == {"S": 3}
    assert wanted_of({"resources": {"cores": 9}}, {"S": 4.0}) == {"S": 4.0}


def test_what_no_worker_has_as_much_of_is_refused() -> None:
    with pytest.raises(ValueError, match="asks for GPU: 2, and a worker has 1"):
        wanted_of({"resources": {"GPU": 2}}, {"S": 4.0, "GPU": 1.0})


@pytest.mark.parametrize("wrong", [{"cores": 0}, {"cores": 1.5}, {"GPU": "1"}, {"GPU": True}, {"S": 1}, {"": 1}, "GPU"])
def test_what_is_no_amount_of_a_resource_is_refused_where_it_is_set(wrong: Any) -> None:
    with pytest.raises(ValueError, match="resources"):
        check_resources(wrong)
    with pytest.raises(ValueError, match="resources"):
        delayed("a + 1").resources = wrong


def test_resources_are_outside_the_identity_and_can_be_taken_back() -> None:
    step = delayed("a + 1")
    step.celltypes.a = "int"
    before = step(a=1).construct()
    step.resources = {"GPU": 1}
    assert step.resources == step.meta["resources"] == {"GPU": 1}
    assert step(a=1).construct() == before
    step.resources = {}
    assert "resources" not in step.meta


PROGRAM = """
import time
from seamless.remote import daskserver_remote
mark, go = {mark!r}, {go!r}
client = daskserver_remote.client().client

def waiting(dask_worker):
    return len(dask_worker.state.constrained)

@delayed
def on_gpu(i, mark, go):
    import os, time
    os.mkdir(mark + "lock")  # fails if there is another one
    open(mark + str(i), "w").close()
    while not os.path.exists(go):
        time.sleep(0.01)
    os.rmdir(mark + "lock")
    return i

on_gpu.resources = {{"GPU": 1}}
first = on_gpu(1, mark, go).start()
while not os.path.exists(mark + "1"):
    time.sleep(0.01)
print(where(4, os.devnull).run()["x"])  # on the other place
second = on_gpu(2, mark, go).start()
while not any(client.run(waiting).values()):
    time.sleep(0.01)
open(go, "w").close()
print(first.run(), second.run())
greedy = where.copy()
greedy.resources = {{"GPU": 2}}
tf = greedy(5, os.devnull)
tf.compute()
print(tf.exception.strip())
seamless.close()
"""


def test_steps_that_share_one_device_come_one_after_the_other_and_leave_places_to_others(tmp_path: Path) -> None:
    place = DaskPlace(tmp_path / "place", queue=", dask_resources: {GPU: 1}")
    try:
        program = PROGRAM.format(mark=str(tmp_path / "mark"), go=str(tmp_path / "go"))
        done = place.attempt(sys.executable, place.program(program))
    finally:
        end(place)
    assert done.stdout.splitlines()[:2] == ["8", "1 2"], done.stderr
    assert "queue 'main': the step asks for GPU: 2, and a worker has 1" in done.stdout
