"""Servers that die, and what the next one makes of it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from seamless.cli.queueing import journal
from tests.cli.queueing.conftest import Place
from tests.cli.run.processes import alive, wait_for


def running_step(place: Place, name: str) -> tuple[str, Path]:
    """Return a line that notes each execution and ends when the gate is opened; and the gate."""
    gate = place.root / "gate"
    return f"echo $$ >> {place.count}; until test -e {gate}; do sleep 0.01; done; echo 1 > {name}", gate


def test_what_a_killed_server_has_done_is_not_done_again(place: Place) -> None:
    line, gate = running_step(place, "slow")
    place.submit("-c", f"echo quick >> {place.count}; echo 1 > quick")
    place.submit("-c", line)
    place.submit("cat slow > last")
    server = place.start("seamless-queue", "-q", "--workers", "2")
    wait_for(lambda: len(place.executions()) == 2 and journal.ends(f"{place.queue}.journal"))
    orphan = int(next(word for word in place.executions() if word.isdigit()))
    server.kill()
    server.wait(30)
    (place.work / "quick").unlink()
    again = place.start("seamless-queue")
    wait_for(lambda: len(place.executions()) == 3)
    assert not alive(orphan)
    gate.touch()
    place.run("seamless-queue-finish", "-q")
    assert again.wait(30) == 0
    assert place.executions().count("quick") == 1
    assert place.files() == {"a.txt", "slow", "last"}
    assert list(Path(place.environment["TMPDIR"]).iterdir()) == []


def test_the_futures_of_a_killed_server_hold_nobody_up(place: Place) -> None:
    line, gate = running_step(place, "x")
    place.submit("-c", line)
    server = place.start("seamless-queue", "-q")
    place.wait_for("x.FUTURE")
    server.kill()
    server.wait(30)
    old = 1_000_000_000
    os.utime(place.work / "x.FUTURE", (old, old))
    place.submit("cat x > y")
    gate.touch()
    assert place.finish()[0] == 0
    assert place.files() == {"a.txt", "x", "y"}


def test_a_failed_step_is_tried_again_by_the_next_server(place: Place) -> None:
    fixed = place.root / "fixed"
    place.submit("-c", f"test -e {fixed}; echo 1 > x")
    place.submit("cat x > y")
    server = place.start("seamless-queue", "-q")
    wait_for(lambda: len(journal.ends(f"{place.queue}.journal")) == 2)
    server.send_signal(signal.SIGINT)
    server.wait(30)
    fixed.touch()
    assert place.finish()[0] == 0
    assert (place.work / "y").read_text() == "1\n"


def test_the_journal_of_another_file_of_the_same_name_does_not_count(place: Place) -> None:
    place.submit("cat a.txt > x")
    place.submit("cat x > y")
    server = place.start("seamless-queue", "-q")
    wait_for(lambda: len(journal.ends(f"{place.queue}.journal")) == 2)
    server.kill()
    server.wait(30)
    place.queue.unlink()
    for name in ("x", "y"):
        (place.work / name).unlink()
        (place.work / f"{name}.CHECKSUM").unlink()
    (place.work / "a.txt").write_text("new\n")
    place.submit("cat a.txt > x")
    place.submit("cat x > y")
    assert place.finish()[0] == 0
    assert (place.work / "y").read_text() == "new\n"


def test_half_a_line_in_the_journal_is_no_obstacle(place: Place) -> None:
    path = f"{place.queue}.journal"
    Path(path).write_text('{"event": "done", "jo')
    place.submit("cat a.txt > x")
    assert place.finish()[0] == 0


def test_a_line_after_half_a_line_counts(tmp_path: Path) -> None:
    path = str(tmp_path / "journal")
    Path(path).write_text('{"event": "done", "jo')
    found = journal.acquire(path)
    assert found is not None
    found.write("done", job=1)
    assert journal.ends(path) == {1: {"event": "done", "job": 1}}
    found.close()


def test_only_one_can_hold_a_journal(tmp_path: Path) -> None:
    path = str(tmp_path / "journal")
    first = journal.acquire(path)
    assert first is not None
    assert journal.acquire(path) is None
    first.write("server", pid=5, host="h")
    assert journal.living_server(path) == {"event": "server", "pid": 5, "host": "h"}
    first.close()
    assert journal.living_server(path) is None
    second = journal.acquire(path)
    assert second is not None
    second.close()


def test_a_queue_file_that_is_taken_away_ends_the_server(place: Place) -> None:
    place.submit("cat a.txt > x")
    server = place.start("seamless-queue")
    place.wait_for("x")
    place.queue.unlink()
    server.wait(30)
    assert server.returncode == 0


def test_records_of_the_reference_are_understood(place: Place) -> None:
    place.submit("cat a.txt > x")
    record = json.loads(place.queue.read_bytes()[:-1])
    place.queue.write_bytes(json.dumps(record).encode() + b'\0{"queue_command":"EOF"}\0')
    server = place.start("seamless-queue")
    server.wait(30)
    assert server.returncode == 0
    assert (place.work / "x").exists()
