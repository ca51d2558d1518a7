"""The quota: uploads that do not fit are refused with a clear text; everything else goes on."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seamless.compression_utils import compress_bytes
from seamless.errors import StoreFullError
from seamless.services.hashserver.quota import Quota, Room
from seamless.stores.served import ServedDirectory
from seamless.stores.upload import PayloadError

StartServer = Callable[..., Any]
KIB = 1 << 10


class Place:
    """A place that is measured, and a clock that is set by hand."""

    def __init__(self, limit: int):
        self.bytes, self.time, self.measurements = 0, 0.0, 0
        self.quota = Quota(limit, self.measure, where="/data", now=lambda: self.time)

    def measure(self) -> int:
        self.measurements += 1
        return self.bytes


# --- the arithmetic -------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused_with_what_to_do() -> None:
    place = Place(100)
    place.bytes = 60
    place.quota.reserve(40)
    with pytest.raises(StoreFullError) as caught:
        place.quota.reserve(1)
    assert str(caught.value) == (
        "no room for 1 more bytes in /data: its quota of 100 bytes (--quota) is exhausted, 100 are in use; "
        "delete buffers there, or raise the quota"
    )


def test_an_upload_that_fails_gives_its_room_back() -> None:
    place = Place(100)
    with pytest.raises(ZeroDivisionError), Room(place.quota) as room:
        room.grow(30)
        room.grow(30)
        raise ZeroDivisionError
    assert place.quota.used == 0


def test_an_upload_that_is_stored_keeps_its_room() -> None:
    place = Place(100)
    with Room(place.quota) as room:
        room.grow(30)
        room.keep()
    assert place.quota.used == 30


def test_without_a_quota_there_is_always_room() -> None:
    with Room(None) as room:
        room.grow(1 << 60)
        room.keep()


def test_what_others_have_deleted_is_noticed_after_a_while() -> None:
    place = Place(100)
    place.bytes = 100
    for time, room in [(0.0, False), (5.0, False), (15.0, True)]:
        place.time = time
        if room:
            place.quota.reserve(1)
        else:
            with pytest.raises(StoreFullError):
                place.quota.reserve(1)
            place.bytes = 0
    assert place.measurements == 2


def test_what_was_counted_before_a_measurement_is_not_counted_twice() -> None:
    place = Place(100)
    place.quota.reserve(50)
    place.bytes = 50
    place.quota.measure()
    assert place.quota.used == 50


def test_one_thread_measures_at_a_time() -> None:
    going, may_end = threading.Event(), threading.Event()

    def measure() -> int:
        going.set()
        may_end.wait(20)
        return 10

    quota = Quota(100, measure, where="/data")
    thread = threading.Thread(target=quota.measure)
    thread.start()
    going.wait(20)
    quota.reserve(50)
    may_end.set()
    thread.join(20)
    assert quota.used == 60


# --- the server -----------------------------------------------------------------------------------


def refusal(answer: Any) -> str:
    assert answer.status == 507, answer
    return str(answer.json["message"])


@pytest.mark.parametrize("size", [40 * KIB, 400 * KIB], ids=["small", "large"])
def test_what_is_too_much_is_refused_and_what_is_there_is_served(
    start_server: StartServer, tools: Any, size: int
) -> None:
    server = start_server("--writable", "--quota", str(2 * size + 100))
    first, second, third = (os.urandom(size) for _ in range(3))
    assert (server.put(first).status, server.put(second).status) == (200, 200)
    assert f"its quota of {2 * size + 100} bytes (--quota) is exhausted" in refusal(server.put(third))
    assert server.get(tools.sha(first)).body == first
    assert server.put(second).status == 201
    assert server.put(b"few").status == 200
    assert server.get(tools.sha(third)).status == 404
    found = server.request("GET", "/status").json
    assert (found["quota_bytes"], found["used_bytes"]) == (2 * size + 100, 2 * size + 3)
    assert len(server.files()) == 3


def test_a_body_of_unknown_length_is_refused_when_it_has_become_too_long(start_server: StartServer, tools: Any) -> None:
    server = start_server("--writable", "--quota", "3M")
    pieces = [os.urandom(KIB << 10) for _ in range(5)]

    def put(count: int) -> Any:
        body = b"".join(pieces[:count])
        return server.request("PUT", f"/{tools.sha(body)}", iter(pieces[:count]), encode_chunked=True)

    try:
        assert refusal(put(5))
    except ConnectionError:  # it may hang up while the client is still sending
        pass
    tools.wait_until(lambda: server.request("GET", "/status").json["used_bytes"] == 0)
    assert server.files() == []
    assert put(2).status == 200


def test_an_upload_that_breaks_takes_nothing_of_the_quota(start_server: StartServer, tools: Any, data: bytes) -> None:
    server = start_server("--writable", "--quota", "1M")
    assert server.put(bytes(KIB * 500), tools.sha(data)).status == 400
    server.begin_put(tools.sha(data), KIB * 900, b"x").close()
    tools.wait_until(lambda: server.request("GET", "/status").json["used_bytes"] == 0)
    assert server.put(os.urandom(KIB * 1000)).status == 200


def test_what_is_there_at_the_start_counts(start_server: StartServer, tmp_path: Path) -> None:
    first = start_server("--writable")
    first.put(os.urandom(900 * KIB))
    first.stop()
    assert refusal(start_server("--writable", "--quota", "1M").put(os.urandom(200 * KIB)))


def test_metrics_tell_the_quota(start_server: StartServer) -> None:
    server = start_server("--writable", "--quota", "1M")
    server.put(b"12345")
    text = server.request("GET", "/metrics").body.decode()
    assert "quota_bytes 1.048576e+06" in text and "used_bytes 5" in text


def test_a_client_says_that_there_is_no_space(start_server: StartServer) -> None:
    from seamless.checksum import Checksum
    from seamless.remote.buffer_client import HashserverClient

    server = start_server("--writable", "--quota", "10", SEAMLESS_TOKEN="secret")
    client = HashserverClient(f"http://127.0.0.1:{server.port}", readonly=False, token="secret")
    data = b"more than ten bytes"
    with pytest.raises(StoreFullError, match="has no space left.*its quota of 10 bytes"):
        client.put([(Checksum.of(data), data)])


# --- compressed uploads -----------------------------------------------------------------------------


@pytest.mark.parametrize("form", [".zst", ".gz"])
def test_a_compressed_upload_may_not_become_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tools: Any, form: str
) -> None:
    from seamless.checksum import Checksum

    monkeypatch.setattr("seamless.compression_utils.ANY_SIZE", 100_000)
    served = ServedDirectory(tmp_path, writable=True)
    bomb = bytes(1 << 20)
    for ratio, fits in [(2.0, False), (1e6, True)]:
        served.max_ratio = ratio
        coming = served.upload(Checksum.of(bomb), form)
        coming.write(compress_bytes(bomb, form))
        try:
            if fits:
                assert coming.finish() == len(bomb)
            else:
                with pytest.raises(PayloadError):
                    coming.finish()
        finally:
            coming.abort()


def test_up_to_a_gibibyte_any_ratio_will_do(start_server: StartServer, tools: Any) -> None:
    server = start_server("--writable", "--max-ratio", "1")
    zeros = bytes(4 << 20)
    assert server.put(compress_bytes(zeros, ".gz"), tools.sha(zeros), Content_Encoding="gzip").status == 200


@pytest.mark.parametrize("word", ["0", "nan", "-3"])
def test_a_ratio_that_cannot_be_is_refused(start_server: StartServer, word: str) -> None:
    server = start_server("--writable", f"--max-ratio={word}")
    assert server.popen.wait(30) == 2
    assert "the ratio of decompression must be a number of at least 1" in server.log
    assert json.dumps(server.files()) == "[]"
