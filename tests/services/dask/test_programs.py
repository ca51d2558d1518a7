"""Programs whose steps are executed by a LocalCluster: what they print meanwhile, their end, and full records."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.dask_place import DaskPlace, end
from tests.integration.place import eventually, words_of

pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskPlace]:
    """A place whose programs write full records; the machine of its Dask worker has been probed."""
    place = DaskPlace(tmp_path_factory.mktemp("dask"))
    place.write("seamless.profile.yaml", "- cluster: ws\n- execution: remote\n- persistent: true\n- record: true\n")
    place.probed = place.attempt("seamless-probe", "-v")  # type: ignore[attr-defined]
    yield place
    wrappers = place.pids("daskserver")
    for pid in wrappers:
        os.kill(pid, signal.SIGTERM)
    eventually(lambda: not any(words_of(pid) for pid in wrappers))
    place.kill()


def test_a_probe_is_made_where_steps_are_executed(place: DaskPlace) -> None:
    done = place.probed  # type: ignore[attr-defined]
    assert done.returncode == 0, done.stderr
    made = [line.split(": ")[1] for line in done.stderr.splitlines() if "refreshed" in line]
    assert made == ["node", "environment", "node_env", "queue", "queue_node"]
    assert "refreshed" not in place.attempt("seamless-probe", "-v").stderr


def test_a_step_has_a_full_record_of_its_dask_worker(place: DaskPlace) -> None:
    tf = json.loads(place.run("seamless-run", "--json", "echo recorded"))["tf_checksum"]
    record = json.loads(place.run("seamless-record", "--json", tf))
    assert (record["execution_mode"], record["remote_target"]) == ("remote", "daskserver")
    assert record["execution_envelope"]["requested_cluster"] == "ws"
    assert record["freshness"]["required_bucket_labels"]["queue"] == "ws/main/daskserver"
    assert all(record[kind] for kind in ("node", "environment", "node_env", "queue", "queue_node"))
    assert record["started_at"] and record["pid"]


def test_a_program_without_records_has_minimal_ones_from_the_same_workers(place: DaskPlace) -> None:
    program = (
        "seamless.config.select_record(False)\ntf = where(7, os.devnull)\ntf.run()\nprint(tf.transformation_checksum)\n"
    )
    tf = place.run(sys.executable, place.program(program, "minimal.py")).strip()
    assert "checksum_fields" not in json.loads(place.run("seamless-record", "--json", tf))


def test_output_is_there_while_the_step_goes_on(place: DaskPlace, tmp_path: Path) -> None:
    go = tmp_path / "go"
    program = f"""
@delayed
def talk(go):
    import os, time
    print("first", flush=True)
    while not os.path.exists(go):
        time.sleep(0.01)
    print("second", flush=True)
    return 1

talk.direct_print = True
tf = talk({str(go)!r})
tf.run()
"""
    running = place.start(sys.executable, "-u", place.program(program, "talk.py"))
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == "first\n"
        go.touch()
        out, err = running.communicate(timeout=60)
    finally:
        running.kill()
        running.communicate()
    assert (out, running.returncode, err) == ("second\n", 0, "")


CANCEL = """
from seamless.transformer.execution import seam
import threading, time

@delayed
def endless(mark):
    import time
    open(mark, "w").close()
    time.sleep(1000)

tf = endless({mark!r}).start()
while not os.path.exists({mark!r}):
    time.sleep(0.01)
print(seam.executor.cancel(tf.construct()))
tf.compute()
print(tf.status, seam.executor.cancel(tf.construct()))
seamless.close()
"""


def test_a_step_is_canceled_for_everybody_and_the_program_ends_in_silence(place: DaskPlace, tmp_path: Path) -> None:
    done = place.attempt(sys.executable, place.program(CANCEL.format(mark=str(tmp_path / "mark")), "cancel.py"))
    assert (done.stdout.splitlines(), done.stderr) == (["True", "Status: canceled False"], "")


WAITING = """
import time
from seamless.transformer.execution import seam

@delayed
def busy(i, mark, go):
    import os, time
    open(f"{{mark}}{{i}}", "w").close()
    while not os.path.exists(go):
        time.sleep(0.01)
    return i

held = [busy(i, {mark!r}, {go!r}).start() for i in (1, 2)]
while not all(os.path.exists({mark!r} + str(i)) for i in (1, 2)):
    time.sleep(0.01)
late = busy(3, {mark!r}, {go!r}).start()
while not seam.executor.cancel(late.construct()):
    time.sleep(0.05)
late.compute()
print(late.status)
open({go!r}, "w").close()
print([tf.run() for tf in held], os.path.exists({mark!r} + "3"))
seamless.close()
"""


def test_a_step_that_waits_for_a_worker_can_be_canceled(place: DaskPlace, tmp_path: Path) -> None:
    text = WAITING.format(mark=str(tmp_path / "mark"), go=str(tmp_path / "go"))
    done = place.attempt(sys.executable, place.program(text, "waiting.py"))
    assert (done.stdout.splitlines(), done.stderr) == (["Status: canceled", "[1, 2] False"], "")


GROUPED = """
import time
from seamless.transformer import dask_groups

dask_groups.SHORT = 1000.0  # seconds: whatever this machine is doing, the steps are short

@delayed
def busy(i, mark, go):
    import os, time
    open(f"{{mark}}{{i}}", "w").close()
    while not os.path.exists(go):
        time.sleep(0.01)
    return i

@delayed
def short(i):
    return i * 10

short(1).run()  # from now on its code is known
held = [busy(i, {mark!r}, {go!r}).start() for i in (1, 2)]
while not all(os.path.exists({mark!r} + str(i)) for i in (1, 2)):
    time.sleep(0.01)
late = [short(2).start(), short(3).start()]
print(late[0].construct(), flush=True)
late[0].compute()
print(late[0].status, flush=True)
open({go!r}, "w").close()
print([tf.run() for tf in held], late[1].run())
seamless.close()
"""


def test_a_short_step_that_waits_in_a_group_is_canceled_by_the_command(tmp_path: Path) -> None:
    place = DaskPlace(tmp_path / "place")
    try:
        text = GROUPED.format(mark=str(tmp_path / "mark"), go=str(tmp_path / "go"))
        running = place.start(sys.executable, place.program(text, "grouped.py"))
        try:
            assert running.stdout is not None
            tf = running.stdout.readline().strip()
            eventually(lambda: "dask: canceled" in place.attempt("seamless-cancel", tf).stdout)
            out, err = running.communicate(timeout=100)
        finally:
            running.kill()
            running.communicate()
    finally:
        end(place)
    assert (out.splitlines(), err) == (["Status: canceled", "[1, 2] 30"], "")
