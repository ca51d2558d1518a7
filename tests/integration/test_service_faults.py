"""What goes wrong under commands and programs whose data is in services: nothing is lost, nothing wrong is served.

Here the commands have their services launched and meet the fault; each time one clear message at most, and the next
call works without anybody repairing anything. Single parts are tested where they belong:

- uploads cut short, too long, or under a wrong checksum: tests/services/hashserver/test_faults.py
  (a_body_cut_short_stores_nothing, more_bytes_than_announced_are_no_part_of_the_buffer,
  a_correct_upload_is_kept_beside_a_wrong_one, a_body_over_the_limit_is_refused) and tests/remote/test_buffer_client.py
  (an_upload_that_was_cut_off_begins_again, bytes_that_were_damaged_on_the_way_to_the_server_are_sent_again);
- a server killed under load: tests/services/database/test_load.py (nothing_acknowledged_is_lost_...),
  tests/services/hashserver/test_faults.py (kill_during_an_upload_leaves_nothing_visible, what_was_acknowledged_...),
  tests/remote/test_with_real_servers.py (a_server_that_is_killed_during_an_upload_has_all_of_it_or_nothing);
- full disks, damaged files and 200 clients of one server: the same files;
- records of dead, foreign and recycled processes: tests/launcher/test_recovery.py; toy services that are launched
  together: tests/launcher/test_concurrency.py.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seamless.checksum import Checksum
from seamless.remote.buffer_client import HashserverClient
from seamless.remote.database_client import DatabaseClient
from tests.helpers import disk
from tests.integration.place import DEADLINE, PROGRAM, Place, eventually

RESULT = Checksum.of(b"a\nb\n").hex()
Require = Callable[[object, str], None]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Return the place of a user whose services are killed in the end."""
    place = Place(tmp_path)
    yield place
    place.kill()


def assert_whole(place: Place) -> None:
    """See that every stored buffer is what its name says, that no upload was left, and that the database is sound."""
    for path in place.data.rglob("??/*"):
        assert path.name == Checksum.of(path.read_bytes()).hex(), path
    connection = sqlite3.connect(place.data / "seamless.db")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


# --- killed servers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["hashserver", "database"])
def test_a_server_killed_while_a_step_runs_costs_neither_its_result_nor_a_second_run(
    service: str, place: Place
) -> None:
    place.run("seamless-run", "cat a.txt")
    (state,) = place.states(service)
    line = place.counted(f"kill -9 {state['pid']}; sort a.txt")
    for _ in range(2):
        assert place.run("seamless-run", "-i", "a.txt", "-c", line) == "a\nb\n"
    assert place.ran == 1
    assert len(place.pids()) == 2
    assert_whole(place)


BETWEEN = """
import os, signal
from seamless.session import session

seamless.config.init()
store, victims = session.buffer_stores[-1], [int(pid) for pid in sys.argv[2:]]
put = type(store).put

def put_and_kill(self, items):
    items = list(items)
    put(self, items)
    if any(bytes(data).strip() == b"42" for _, data in items):
        while victims:
            os.kill(victims.pop(), signal.SIGKILL)

type(store).put = put_and_kill
print(step(21, sys.argv[1]))
import seamless
seamless.close()
"""
PLAIN = """
seamless.config.init()
print(step(21, sys.argv[1]))
import seamless
seamless.close()
"""


@pytest.mark.parametrize("victims", [["database"], ["hashserver", "database"]])
def test_a_server_killed_between_buffer_and_result_is_started_again_in_time(victims: list[str], place: Place) -> None:
    place.run("seamless-init")
    pids = [pid for service in victims for pid in place.pids(service)]
    place.write("between.py", PROGRAM + BETWEEN)
    place.write("plain.py", PROGRAM + PLAIN)
    assert place.run("python", "between.py", place.counter, *pids) == "42\n"
    assert not set(pids) & set(place.pids()), "they were killed"
    assert place.run("python", "plain.py", place.counter) == "42\n"
    assert place.ran == 1


def test_a_program_killed_between_buffer_and_result_is_as_if_it_had_never_run(place: Place) -> None:
    place.run("seamless-init")
    place.write("between.py", PROGRAM + BETWEEN.replace("sys.argv[2:]", "[os.getpid()]"))
    place.write("plain.py", PROGRAM + PLAIN)
    assert place.attempt("python", "between.py", place.counter).returncode == -signal.SIGKILL
    for ran in (2, 2):
        assert place.run("python", "plain.py", place.counter) == "42\n"
        assert place.ran == ran
    assert_whole(place)


def test_an_upload_goes_on_when_the_hashserver_is_killed_in_the_middle(place: Place) -> None:
    place.run("seamless-init")
    data = os.urandom(1 << 20) * 80
    (place.work / "large").write_bytes(data)
    process = place.start("seamless-upload", "-y", "large")
    try:
        eventually(
            lambda: [p for p in place.data.rglob("??/*-????????") if p.stat().st_size] or process.poll() is not None
        )
        assert process.poll() is None, "it was too quick to be disturbed"
        killed = place.kill("hashserver")
        _, err = process.communicate(timeout=DEADLINE)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, err
    assert len(place.pids("hashserver")) == 1 and place.pids("hashserver") != killed
    (place.work / "large").unlink()
    place.run("seamless-download", "-y", "large")
    assert (place.work / "large").read_bytes() == data


def test_without_servers_that_can_be_started_there_is_one_message_and_nothing_is_executed(place: Place) -> None:
    line = place.counted("sort a.txt")
    place.run("seamless-run", "-i", "a.txt", "-c", line)
    place.kill("database")
    database = place.data / "seamless.db"
    database.rename(place.root / "aside")
    database.mkdir()
    for tried in (line, place.counted("tac a.txt")):
        message = place.refused("seamless-run", "-i", "a.txt", "-c", tried)
        assert str(database) in message and message.count("cannot be launched") == 1, message
    assert place.ran == 1
    database.rmdir()
    (place.root / "aside").rename(database)
    assert place.run("seamless-run", "-i", "a.txt", "-c", line) == "a\nb\n"
    assert place.ran == 1


# --- full disks -----------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path, require: Require) -> Iterator[Path]:
    """Return a file system of 1 MiB."""
    with disk.small_disk(tmp_path, require, 1) as place:
        yield place


@pytest.mark.parametrize("service", ["hashserver", "database"])
def test_a_full_disk_behind_a_server_is_one_message_and_room_is_all_it_needs(
    service: str, place: Place, small_disk: Path
) -> None:
    place.cluster(**{"bufferdir" if service == "hashserver" else "database_dir": small_disk})  # type: ignore[arg-type]
    known = place.counted("sort a.txt")
    assert place.run("seamless-run", "-i", "a.txt", "-c", known) == "a\nb\n"
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError):
        while True:
            file.write(bytes(1 << 12))
    new = place.counted("seq 60000; tac a.txt")
    message = place.refused("seamless-run", "-i", "a.txt", "-c", new)
    assert "no space left" in message.lower() and len(message.splitlines()) <= 2, message
    ran = place.ran
    assert place.run("seamless-run", "-i", "a.txt", "-c", known) == "a\nb\n", "what is there is still served"
    filler.unlink()
    output = "".join(f"{i}\n" for i in range(1, 60001)) + "a\nb\n"
    for _ in range(2):
        assert place.run("seamless-run", "-i", "a.txt", "-c", new) == output
    assert place.ran == ran + 1


# --- damaged data ---------------------------------------------------------------------------------------


def damage(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"x" * path.stat().st_size)


def test_a_damaged_result_on_the_server_is_computed_again_and_stored_again(place: Place) -> None:
    line = place.counted("sort a.txt")
    place.run("seamless-run", "-i", "a.txt", "-c", line)
    damage(place.data / RESULT[:2] / RESULT)
    done = place.attempt("seamless-run", "-i", "a.txt", "-c", line)
    assert (done.returncode, done.stdout) == (0, "a\nb\n"), done.stderr
    assert RESULT in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
    done = place.attempt("seamless-run", "-i", "a.txt", "-c", line)
    assert (done.returncode, done.stdout, done.stderr) == (0, "a\nb\n", "")
    assert place.ran == 2


def test_a_damaged_buffer_on_the_server_is_not_downloaded_and_is_repaired_by_an_upload(place: Place) -> None:
    place.run("seamless-upload", "-y", "a.txt")
    (place.root / "a.txt").write_bytes((place.work / "a.txt").read_bytes())
    name = Checksum.of(b"b\na\n").hex()
    damage(place.data / name[:2] / name)
    (place.work / "a.txt").unlink()
    assert name in place.refused("seamless-download", "a.txt")
    assert not (place.work / "a.txt").exists()
    shutil.copy(place.root / "a.txt", place.work)
    place.run("seamless-upload", "-y", "--dest-repair", "a.txt")
    (place.work / "a.txt").unlink()
    place.run("seamless-download", "a.txt")
    assert (place.work / "a.txt").read_text() == "b\na\n"


# --- many at once -----------------------------------------------------------------------------------------


def test_two_hundred_clients_of_both_servers_all_get_the_one_result(place: Place) -> None:
    place.run("seamless-init")
    entries = place.clients()
    tf, failures = Checksum.of(b"transformation"), []
    ready = threading.Barrier(200)

    def client(i: int) -> None:
        try:
            buffer, database = entries["buffer"][0], entries["database"][0]
            buffers = HashserverClient(buffer["url"], token=buffer["token"], readonly=False)
            results = DatabaseClient(database["url"], token=database["token"], readonly=False)
            own, shared = b"%d\n" % i, b"shared\n" * 1000
            ready.wait(DEADLINE)
            buffers.put([(Checksum.of(own), own), (Checksum.of(shared), shared)])
            results.set_result(tf, Checksum.of(own))
            found = results.get_result(tf)
            assert found is not None and Checksum.of(buffers.get(found) or b"") == found
            results.set_result(Checksum.of(own), Checksum.of(shared))
            assert results.get_result(Checksum.of(own)) == Checksum.of(shared)
            buffers.close()
            results.close()
        except BaseException as exc:  # noqa: BLE001 - the main function of a thread; asserted on below
            failures.append(exc)

    threads = [threading.Thread(target=client, args=(i,)) for i in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert failures == []
    assert_whole(place)


def test_commands_that_start_together_have_one_pair_of_servers(place: Place) -> None:
    line = place.counted("sort a.txt")
    processes = [place.start("seamless-run", "-i", "a.txt", "-c", line) for _ in range(4)]
    try:
        said = [process.communicate(timeout=DEADLINE) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [(process.returncode, out) for process, (out, _) in zip(processes, said, strict=True)] == [(0, "a\nb\n")] * 4
    assert len(place.pids()) == 2
    assert place.run("seamless-run", "-i", "a.txt", "-c", line) == "a\nb\n"


# --- ports and records --------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["hashserver", "database"])
def test_a_port_in_use_is_one_message_and_is_taken_as_soon_as_it_is_free(service: str, place: Place) -> None:
    line = place.counted("sort a.txt")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        fixed = f", network_interface: 127.0.0.1, port_start: {port}, port_end: {port}"
        place.cluster(**{"buffers" if service == "hashserver" else "results": fixed})  # type: ignore[arg-type]
        message = place.refused("seamless-run", "-i", "a.txt", "-c", line)
        assert f"{port}-{port}" in message and message.count("cannot be launched") == 1, message
        assert place.ran == 0
    assert place.run("seamless-run", "-i", "a.txt", "-c", line) == "a\nb\n"
    assert place.ran == 1


@pytest.mark.parametrize("service", ["hashserver", "database"])
def test_the_server_of_another_project_on_the_recorded_port_gets_and_gives_nothing(service: str, place: Place) -> None:
    line = place.counted("sort a.txt")
    place.run("seamless-run", "-i", "a.txt", "-c", line)
    (state,) = place.states(service)
    place.kill(service)
    foreign = place.root / "foreign"
    foreign.mkdir()
    served = foreign if service == "hashserver" else foreign / "seamless.db"
    command = ["hashserver" if service == "hashserver" else "seamless-database", served, "--writable", "--insecure"]
    other = place.start(*command, "--host", "127.0.0.1", "--port", state["port"])
    try:
        eventually(lambda: other.poll() is not None or answers(state["port"]))
        assert other.poll() is None, other.communicate()
        assert place.run("seamless-run", "-i", "a.txt", "-c", line) == "a\nb\n"
        assert place.ran == 1, "the result of the own server is found"
        assert place.run("seamless-run", "-i", "a.txt", "-c", place.counted("tac a.txt")) == "a\nb\n"
    finally:
        other.kill()
        other.communicate()
    assert list(foreign.rglob("??/*")) == []
    if service == "database":
        connection = sqlite3.connect(served)
        assert connection.execute("SELECT count(*) FROM transformation").fetchall() == [(0,)]
        connection.close()
    assert len(place.pids(service)) == 1


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture
def innocent() -> Iterator[int]:
    """Return the pid of a process that has nothing to do with any service, and see that it lives on."""
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"])
    yield process.pid
    alive = process.poll() is None
    process.kill()
    process.wait()
    assert alive, "a process was killed that is no service"


@pytest.mark.parametrize("text", ["{", '{"pid": PID, "port": 1, "status": "running"}', None])
def test_whatever_has_become_of_the_records_of_a_launch_the_next_call_works(
    text: str | None, place: Place, innocent: int
) -> None:
    line = place.counted("sort a.txt")
    place.run("seamless-run", "-i", "a.txt", "-c", line)
    place.kill()
    for path in (*place.records.glob("*.json"), *(place.records.parent / "client").glob("*.json")):
        if text is None:
            path.unlink()
        else:
            path.write_text(text.replace("PID", str(innocent)))
    for number in (1, 2):
        assert place.run("seamless-run", "-i", "a.txt", "-c", line) == "a\nb\n"
        assert place.ran == number
        line = place.counted("tac a.txt")
    assert len(place.pids()) == 2


# --- clocks ---------------------------------------------------------------------------------------------------

CLOCK = """
import os, time
_time, _time_ns = time.time, time.time_ns
_offset = int(os.environ["CLOCK_OFFSET"])
time.time = lambda: _time() + _offset
time.time_ns = lambda: _time_ns() + _offset * 10**9
"""


@pytest.mark.parametrize("offset", [-120, 120])
def test_a_client_whose_clock_is_two_minutes_off_shares_everything(offset: int, place: Place) -> None:
    (place.root / "clock").mkdir()
    (place.root / "clock" / "sitecustomize.py").write_text(CLOCK)
    off = {"PYTHONPATH": str(place.root / "clock"), "CLOCK_OFFSET": str(offset)}
    shown = place.run("python", "-c", "import time; print(time.time())", **off)
    assert abs(float(shown) - time.time() - offset) < 60
    line, other = place.counted("sort a.txt"), place.counted("tac a.txt")
    place.run("seamless-run", "-i", "a.txt", "-c", line)
    assert place.run("seamless-run", "-i", "a.txt", "-c", line, **off) == "a\nb\n"
    assert place.run("seamless-run", "-i", "a.txt", "-c", other, **off) == "a\nb\n"
    assert place.run("seamless-run", "-i", "a.txt", "-c", other) == "a\nb\n"
    assert place.ran == 2
    before = place.pids()
    for path in (place.home / ".remote-http-launcher").rglob("*.json"):
        os.utime(path, (time.time() + offset,) * 2)
    assert place.run("seamless-run", "-i", "a.txt", "-c", line) == "a\nb\n"
    assert place.pids() == before
    place.kill()
    place.run("seamless-init", **off)
    launched = place.pids()
    assert len(launched) == 2 and not set(launched) & set(before)
    assert place.run("seamless-run", "-i", "a.txt", "-c", line, **off) == "a\nb\n"
    assert place.run("seamless-run", "-i", "a.txt", "-c", line) == "a\nb\n"
    assert place.ran == 2
    assert place.pids() == launched
