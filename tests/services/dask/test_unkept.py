"""A result that a Dask worker could not keep is known to all workers as soon as there are stores again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.integration.dask_place import DaskPlace, end

pytest.importorskip("distributed")

# The step is executed by the first worker, which then has no room for it. What it has given is wanted by the second.
PROGRAM = """
import time
from seamless.remote import daskserver_remote

mark, go = {mark!r}, {go!r}

@delayed
def step(mark, go):
    import os, time
    print("executed")
    with open(mark, "a") as f:
        f.write(os.environ["SEAMLESS_DASK_WORKER_PID"] + "\\n")
    while not os.path.exists(go):
        time.sleep(0.01)
    return 42

def hold(path):
    while not os.path.exists(path):
        time.sleep(0.01)

def spoil():
    from seamless.errors import StoreError
    from seamless.session import session

    def full(*_, **__):
        raise StoreError("no room here")

    for store in session.writable_result_stores():
        store.keep = store.set_result = full

where(1, os.devnull).run()  # the workers are those of Seamless now
client = daskserver_remote.client().client
client.wait_for_workers(2)
first, second = client.run(os.getpid)
held = [client.submit(hold, go + "2", workers=[second], resources={{"S": 1}}, pure=False)]
while not any(client.processing()[second]):
    time.sleep(0.01)
tf = step(mark, go).start()
while not os.path.exists(mark) or not open(mark).read():
    time.sleep(0.01)
client.run(spoil, workers=[first])
held.append(client.submit(hold, go + "1", workers=[first], resources={{"S": 1}}, pure=False))
while len(client.processing()[first]) < 2:
    time.sleep(0.01)
open(go + "2", "w").close()
open(go, "w").close()
print(tf.run(), open(mark).read().split() == [str(client.run(os.getpid)[first])])
open(go + "1", "w").close()
client.gather(held)
seamless.close()
"""


def test_another_worker_does_not_execute_again_what_one_could_not_keep(tmp_path: Path) -> None:
    place = DaskPlace(tmp_path / "place", workers=1, queue=", maximum_jobs: 2")
    try:
        program = PROGRAM.format(mark=str(tmp_path / "mark"), go=str(tmp_path / "go"))
        done = place.attempt(sys.executable, place.program(program))
    finally:
        end(place)
    assert (done.stdout, done.stderr) == ("42 True\n", "")
