"""What goes wrong: broken uploads, damaged files, full disks, crowds, locks, deaths."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from seamless.compression_utils import compress_bytes
from tests.helpers import disk

ABSENT = "5ad3" + 60 * "0"
StartServer = Callable[..., Any]


# --- uploads that break ---------------------------------------------------------------------------


def test_a_client_that_goes_away_leaves_nothing(server: Any, tools: Any, data: bytes) -> None:
    name = tools.sha(data)
    connection = server.begin_put(name, 10_000_000, 3_000_000 * b"x")
    connection.close()
    tools.wait_until(lambda: server.ask("/has-now", [name]) == [False])
    assert server.get(name).status == 404
    assert not [file for file in server.files() if name in file]


@pytest.mark.parametrize("length", [100, 5_000_000])
def test_a_body_cut_short_stores_nothing(server: Any, tools: Any, data: bytes, length: int) -> None:
    whole = (data * (length // len(data) + 1))[:length]
    connection = server.begin_put(tools.sha(whole), length, whole[:-1])
    connection.shutdown(socket.SHUT_WR)
    connection.close()
    tools.wait_until(lambda: server.ask("/has-now", [tools.sha(whole)]) == [False])
    assert not [file for file in server.files() if tools.sha(whole) in file]


def test_more_bytes_than_announced_are_no_part_of_the_buffer(server: Any, tools: Any, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        head = f"PUT /{tools.sha(data)} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        connection.sendall(head + data + b"and something more\r\n\r\n")
        first = http.client.HTTPResponse(connection)
        first.begin()
        assert first.status in (200, 400)
    assert server.get(tools.sha(data)).status in (200, 404)
    assert server.get(tools.sha(data)).body in (data, b"Not found")


def test_a_correct_upload_is_kept_beside_a_wrong_one(server: Any, tools: Any, data: bytes) -> None:
    name = tools.sha(data)
    wrong = server.begin_put(name, len(data), data[:-1])
    assert server.put(data)[:2] == (200, b"OK")
    wrong.sendall(b"!")
    assert tools.answer_on(wrong).status in (201, 400)
    assert server.get(name)[:2] == (200, data)


def test_a_reader_waits_for_an_upload_in_progress(server: Any, tools: Any, data: bytes) -> None:
    name = tools.sha(data)
    upload = server.begin_put(name, len(data), data[:-1])
    reader = server.begin_get(name)
    upload.sendall(data[-1:])
    assert tools.answer_on(upload).status == 200
    assert tools.answer_on(reader)[:2] == (200, data)


def test_a_reader_of_an_upload_that_fails_gets_not_found(server: Any, tools: Any, data: bytes) -> None:
    name = tools.sha(data)
    upload = server.begin_put(name, len(data), data[:-1])
    reader = server.begin_get(name)
    upload.close()
    assert tools.answer_on(reader).status == 404


def test_a_length_waits_for_an_upload_in_progress(server: Any, tools: Any, data: bytes) -> None:
    name = tools.sha(data)
    upload = server.begin_put(name, len(data), data[:-1])
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(server.ask, "/buffer-length", [name])
        tools.wait_until(lambda: server.request("GET", "/status").json["waiting"] > 0)
        upload.sendall(data[-1:])
        assert asked.result(30) == [len(data)]
    upload.close()


def test_a_reader_that_goes_away_is_forgotten(server: Any, tools: Any, data: bytes) -> None:
    name = tools.sha(data)
    server.promise(name)
    server.begin_get(name).close()
    tools.wait_until(lambda: server.request("GET", "/status").json["waiting"] == 0)


def test_kill_during_an_upload_leaves_nothing_visible(start_server: StartServer, tools: Any) -> None:
    server = start_server("--writable")
    whole = os.urandom(1 << 20) * 4
    name = tools.sha(whole)
    upload = server.begin_put(name, len(whole), whole[: 3 << 20])
    tools.wait_until(lambda: any(name in file for file in server.files()))
    server.stop(signal.SIGKILL)
    upload.close()
    again = start_server("--writable")
    assert again.get(name).status == 404
    assert again.ask("/has", [name]) == [False]
    assert again.request("GET", "/stats").json["temporary"] == 1
    assert again.put(whole).status == 200
    assert again.get(name).body == whole


def test_what_was_acknowledged_survives_a_kill(start_server: StartServer, tools: Any) -> None:
    server = start_server("--writable")
    buffers = [os.urandom(1000) for _ in range(20)]
    assert {server.put(data).status for data in buffers} == {200}
    server.stop(signal.SIGKILL)
    again = start_server()
    assert [again.get(tools.sha(data)).body for data in buffers] == buffers


def test_old_temporary_files_are_swept_at_the_start_and_young_ones_are_not(
    start_server: StartServer, tools: Any, tmp_path: Path
) -> None:
    directory = tmp_path / "buffers" / "5a"
    directory.mkdir(parents=True)
    old, young, other = directory / f"{ABSENT}-0a1b2c3d", directory / f"{ABSENT}-abcdefgh", directory / "notes.txt"
    for path in (old, young, other):
        path.write_text("x")
    for path in (old, other):
        os.utime(path, (0, 0))
    (tmp_path / "buffers" / ".HASHSERVER_PREFIX").write_text("1\n")
    server = start_server("--writable")
    tools.wait_until(lambda: server.port and not old.exists())
    assert young.exists() and other.exists()


# --- limits ---------------------------------------------------------------------------------------


def test_a_body_over_the_limit_is_refused(start_server: StartServer, tools: Any) -> None:
    server = start_server("--writable", "--max-body", "1k")
    assert server.put(1024 * b"a").status == 200
    answer = server.put(1025 * b"a")
    assert (answer.status, answer.json) == (413, {"message": "the body of a request may have at most 1024 bytes"})
    chunked = server.request("PUT", f"/{tools.sha(b'')}", iter([b"a"] * 1025), encode_chunked=True)
    assert chunked.status == 413
    assert len(server.files()) == 1


def test_compressed_bytes_must_not_become_more_than_the_limit(start_server: StartServer, tools: Any) -> None:
    server = start_server("--writable", "--max-body", "100k")
    bomb = bytes(1 << 20)
    for coding, form in (("zstd", ".zst"), ("gzip", ".gz")):
        assert server.put(compress_bytes(bomb, form), tools.sha(bomb), Content_Encoding=coding).status == 400
    assert server.files() == []


def test_a_list_over_the_limit_is_refused(start_server: StartServer) -> None:
    server = start_server("--max-batch", "3")
    assert server.ask("/has", [ABSENT] * 3) == [False] * 3
    for count in (4, 1000):
        assert server.request("POST", "/has", f"[{','.join([f'{chr(34)}{ABSENT}{chr(34)}'] * count)}]").status == 413


# --- damaged files --------------------------------------------------------------------------------


def damage(path: Path) -> None:
    """Change one bit of a file, as a disk may."""
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def test_a_damaged_buffer_is_never_sent_and_moved_aside(server: Any, tools: Any, data: bytes) -> None:
    name = tools.sha(data)
    server.put(data)
    assert server.get(name).body == data
    damage(server.path(name))
    answer = server.get(name)
    assert answer.status == 400
    assert answer.json["message"].startswith("File corruption: ")
    assert server.path(name, ".CORRUPT").exists()
    assert server.get(name).status == 404
    assert server.ask("/has", [name]) == [False]


def test_an_upload_repairs_a_damaged_buffer(server: Any, tools: Any, data: bytes) -> None:
    name = tools.sha(data)
    server.put(data)
    damage(server.path(name))
    assert server.put(data)[:2] == (200, b"OK")
    assert server.get(name)[:2] == (200, data)
    assert server.put(data).status == 201


def test_damage_before_the_start_is_found(start_server: StartServer, tools: Any, tmp_path: Path, data: bytes) -> None:
    large = data * 100_000
    for content in (data, large):
        path = tmp_path / "buffers" / tools.sha(content)[:2] / tools.sha(content)
        path.parent.mkdir(parents=True)
        path.write_bytes(content[:-1] + b"!")
    (tmp_path / "buffers" / ".HASHSERVER_PREFIX").write_text("1\n")
    server = start_server()
    for content in (data, large):
        for headers in ({"Range": "bytes=0-0"}, {}):  # a server that only reads leaves the file where it is
            assert server.get(tools.sha(content), **headers).status == 400


@pytest.mark.parametrize("form", [".zst", ".gz"])
def test_a_damaged_compressed_form_is_not_sent(server: Any, tools: Any, data: bytes, form: str) -> None:
    name, coding = tools.sha(data), {".zst": "zstd", ".gz": "gzip"}[form]
    server.put(compress_bytes(data, form), name, Content_Encoding=coding)
    path = server.path(name, form)
    path.chmod(0o644)
    path.write_bytes(compress_bytes(data + b"!", form))
    assert server.get(name, Accept_Encoding=coding).status == 400
    assert server.get(name, Accept_Encoding=coding).status == 404


def test_a_good_form_is_sent_in_place_of_a_damaged_one(server: Any, tools: Any, data: bytes) -> None:
    name = tools.sha(data)
    server.put(data)
    server.put(compress_bytes(data, ".gz"), name, Content_Encoding="gzip")
    damage(server.path(name))
    assert server.get(name, Accept_Encoding="identity")[:2] == (200, data)
    assert server.path(name, ".CORRUPT").exists()


def test_an_emptied_file_is_no_buffer(server: Any, tools: Any, data: bytes) -> None:
    name = tools.sha(data)
    server.put(data)
    server.path(name).chmod(0o644)
    server.path(name).write_bytes(b"")
    assert server.ask("/has", [name]) == [False]
    assert server.ask("/buffer-length", [name]) == [0]
    assert server.get(name).status == 400
    assert server.put(data).status == 200


def test_a_damaged_compressed_form_has_no_length(server: Any, tools: Any, data: bytes) -> None:
    name = tools.sha(data)
    path = server.path(name, ".zst")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"this is not zstd")
    other = tools.sha(data + b"!")
    server.put(data + b"!")
    assert server.ask("/buffer-length", [name, other]) == [0, len(data) + 1]


# --- disks ----------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path, require: Any) -> Iterator[Path]:
    """Return a file system of 4 MiB."""
    with disk.small_disk(tmp_path, require, 4) as place:
        yield place


def test_a_full_disk_is_said_and_nothing_is_left(small_disk: Path, start_server: StartServer, tools: Any) -> None:
    server = start_server("--writable", directory=small_disk / "b")
    assert server.put(b"small").status == 200
    large = os.urandom(5 << 20)
    free = os.statvfs(small_disk).f_bavail
    for headers, body in (({}, large), ({"Content_Encoding": "gzip"}, compress_bytes(large, ".gz"))):
        answer = server.put(body, tools.sha(large), **headers)
        assert answer.status == 507
        assert "full" in answer.json["message"]
    filler = small_disk / "filler"
    with open(filler, "wb", buffering=0) as f, pytest.raises(OSError, match="No space left"):
        while True:
            f.write(bytes(4096))
    medium = os.urandom(100_000)
    assert server.put(medium).status == 507
    assert server.files() == [tools.sha(b"small")]
    filler.unlink()
    assert free - os.statvfs(small_disk).f_bavail < 10  # pages, for subdirectories
    assert server.get(tools.sha(b"small")).body == b"small"
    assert server.put(medium).status == 200


# --- crowds ---------------------------------------------------------------------------------------


def test_two_hundred_clients_with_buffers_of_their_own_are_all_served(server: Any, tools: Any) -> None:
    def client(i: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        for j in range(5):
            data = b"client %d, buffer %d" % (i, j)
            connection.request("PUT", f"/{tools.sha(data)}", data)
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, b"OK")
            connection.request("GET", f"/{tools.sha(data)}")
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, data)
        connection.close()

    with ThreadPoolExecutor(200) as pool:
        for future in [pool.submit(client, i) for i in range(200)]:
            future.result(60)


def test_two_hundred_clients_with_the_same_buffer_all_succeed(start_server: StartServer, tools: Any) -> None:
    server = start_server("--writable", "--durability", "none")
    data = os.urandom(1 << 20)
    _ = server.port
    barrier = threading.Barrier(50)

    def client(_: int) -> int:
        barrier.wait(60)
        status = server.put(data).status
        assert server.get(tools.sha(data)).body == data
        return int(status)

    with ThreadPoolExecutor(50) as pool:
        statuses = list(pool.map(client, range(200)))
    assert set(statuses) <= {200, 201}
    assert server.files() == [tools.sha(data)]


def test_memory_does_not_grow_with_the_buffer(start_server: StartServer, tools: Any, tmp_path: Path) -> None:
    server = start_server("--writable", "--durability", "none")
    server.put(b"small")

    def peak() -> int:
        lines = Path(f"/proc/{server.popen.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024

    before = peak()
    piece = os.urandom(1 << 20)
    path = tmp_path / "large"
    with open(path, "wb") as f:
        for _ in range(128):
            f.write(piece)
    name = tools.sha(path.read_bytes())
    with open(path, "rb") as source:
        answer = server.request("PUT", f"/{name}", source, {"Content-Length": str(path.stat().st_size)})
    assert answer.status == 200
    assert len(server.get(name).body) == 128 << 20
    assert peak() - before < 32 << 20


# --- locks of other writers -----------------------------------------------------------------------


def test_a_file_that_is_being_written_by_others_is_sent_when_it_is_whole(
    start_server: StartServer, tools: Any, tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "buffers" / tools.sha(data)[:2] / tools.sha(data)
    path.parent.mkdir(parents=True)
    path.write_bytes(data[:-1])
    lock = path.with_name(path.name + ".LOCK")
    lock.touch()
    server = start_server("--writable")
    reader = server.begin_get(tools.sha(data))
    path.write_bytes(data)
    lock.unlink()
    assert tools.answer_on(reader)[:2] == (200, data)
    assert not path.with_name(path.name + ".CORRUPT").exists()


def test_a_lock_on_the_directory_delays_the_answer_that_nothing_is_there(
    start_server: StartServer, tools: Any, tmp_path: Path
) -> None:
    lock = tmp_path / "buffers" / ABSENT[:2] / ".LOCK"
    lock.parent.mkdir(parents=True)
    lock.touch()
    server = start_server("--writable")
    reader = server.begin_get(ABSENT)
    lock.unlink()
    assert tools.answer_on(reader).status == 404


def test_an_old_lock_is_ignored(start_server: StartServer, tools: Any, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "buffers" / tools.sha(data)[:2] / tools.sha(data)
    path.parent.mkdir(parents=True)
    path.write_bytes(data[:-1])
    lock = path.with_name(path.name + ".LOCK")
    lock.touch()
    os.utime(lock, (time.time() - 60, time.time() - 60))
    server = start_server("--writable", "--lock-timeout", "30")
    assert server.get(tools.sha(data)).status == 400
    assert server.get(tools.sha(data)).status == 404


def test_a_lock_does_not_delay_what_is_whole(
    start_server: StartServer, tools: Any, tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "buffers" / tools.sha(data)[:2] / tools.sha(data)
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    path.with_name(path.name + ".LOCK").touch()
    assert start_server("--writable").get(tools.sha(data)).body == data


# --- the end --------------------------------------------------------------------------------------


def test_an_upload_in_progress_keeps_an_idle_server_alive(
    start_server: StartServer, tools: Any, tmp_path: Path, data: bytes
) -> None:
    server = start_server("--writable", "--timeout", "1.5")
    upload = server.begin_put(tools.sha(data), len(data), data[:-1])
    (tmp_path / "other").mkdir()
    # Started later, and ended when more time has passed.
    clock = start_server("--timeout", "2.5", directory=tmp_path / "other")
    assert clock.popen.wait(30) == 0
    upload.sendall(data[-1:])
    assert tools.answer_on(upload).status == 200
    assert server.popen.wait(30) == 0


def test_an_upload_in_progress_is_finished_after_sigterm(start_server: StartServer, tools: Any, data: bytes) -> None:
    server = start_server("--writable")
    upload = server.begin_put(tools.sha(data), len(data), data[:-1])
    server.popen.terminate()
    tools.wait_until(lambda: "the server ends" in server.log)
    upload.sendall(data[-1:])
    assert tools.answer_on(upload).status == 200
    assert server.popen.wait(30) == 0
    assert server.path(tools.sha(data)).read_bytes() == data


def test_an_upload_that_never_ends_is_given_up_and_leaves_nothing(start_server: StartServer, tools: Any) -> None:
    server = start_server("--writable")
    upload = server.begin_put(ABSENT, 10_000_000, 2_000_000 * b"x")
    assert server.stop() == 0
    assert tools.answer_on(upload).status == 503
    assert server.files() == []
    assert "Traceback" not in server.log


def test_a_waiting_reader_is_told_that_the_server_ends(start_server: StartServer, tools: Any) -> None:
    server = start_server("--writable")
    server.promise(ABSENT)
    reader = server.begin_get(ABSENT)
    server.popen.terminate()
    answer = tools.answer_on(reader)
    assert (answer.status, answer.json) == (503, {"message": "the server is shutting down"})
    assert server.popen.wait(30) == 0
