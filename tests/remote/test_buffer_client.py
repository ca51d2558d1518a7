"""The client of a hashserver: what comes is verified, what goes arrives, whatever server it is."""

from __future__ import annotations

import gzip
import io
import os
import tracemalloc
from pathlib import Path

import pytest

from seamless.cache.protocols import BufferStore
from seamless.checksum import Checksum
from seamless.compression_utils import compress_bytes
from seamless.errors import BufferCorruptionError, StoreError, StoreReadOnlyError
from seamless.remote import buffer_client
from seamless.remote.buffer_client import BufferClient, HashserverClient
from seamless.remote.errors import ReadOnlyClientError
from tests.remote.servers import FakeHashserver, answer, says, scripted

TEXT = b"some text\n"
NAME = Checksum.of(TEXT)
ABSENT = Checksum.of(b"absent")
EMPTY = Checksum.of(b"")
BIG = os.urandom(1 << 20) * 9


def writer(server: FakeHashserver, **more) -> HashserverClient:
    return HashserverClient(server.url, readonly=False, **more)


def test_the_client_is_a_store_of_buffers(hashserver: FakeHashserver) -> None:
    assert isinstance(writer(hashserver), BufferStore)
    assert BufferClient is HashserverClient


# --- several at once ------------------------------------------------------------------------------

FEW = {Checksum.of(data): data for data in (b"", TEXT, b"x" * 1000, b"y" * 100_000)}


def test_small_buffers_are_sent_together_and_large_ones_alone(hashserver: FakeHashserver) -> None:
    hashserver.groups = True
    writer(hashserver).put(FEW.items())
    assert hashserver.stored == {checksum.hex(): data for checksum, data in FEW.items()}
    assert hashserver.grouped == [3]


def test_a_server_that_takes_no_groups_gets_one_after_the_other(hashserver: FakeHashserver) -> None:
    client = writer(hashserver)
    client.put(FEW.items())
    client.put([(Checksum.of(b"1"), b"1"), (Checksum.of(b"2"), b"2")])
    assert len(hashserver.stored) == len(FEW) + 2
    assert [path for _, path in hashserver.requests].count("/buffers") == 1


def test_wrong_bytes_among_others_are_an_error_that_names_them(hashserver: FakeHashserver) -> None:
    hashserver.groups = True
    with pytest.raises(BufferCorruptionError, match=NAME.hex()):
        writer(hashserver).put([(Checksum.of(b"1"), b"1"), (NAME, b"other")])


# --- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", TEXT, b"x" * 100_000, BIG], ids=["empty", "small", "medium", "large"])
def test_a_buffer_is_read(hashserver: FakeHashserver, data: bytes) -> None:
    checksum = Checksum.of(data)
    hashserver.stored[checksum.hex()] = data
    client = HashserverClient(hashserver.url)
    assert client.get(checksum) == data
    with client.open(checksum) as file:
        assert file.read() == data


def test_what_is_absent_is_none(hashserver: FakeHashserver) -> None:
    client = HashserverClient(hashserver.url)
    assert (client.get(ABSENT), client.open(ABSENT), client.length(ABSENT)) == (None, None, None)


@pytest.mark.parametrize("size", [len(TEXT), len(BIG)])
def test_wrong_bytes_never_leave_the_client(hashserver: FakeHashserver, size: int, tmp_path: Path) -> None:
    hashserver.stored[NAME.hex()] = BIG[:size]
    client = HashserverClient(hashserver.url)
    for read in (client.get, client.open, lambda checksum: client.copy_to(checksum, tmp_path / "copy")):
        with pytest.raises(BufferCorruptionError, match=hashserver.url) as caught:
            read(NAME)
        assert Checksum.of(BIG[:size]).hex() in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_bytes_that_were_damaged_on_their_way_are_asked_for_once_more(hashserver: FakeHashserver) -> None:
    hashserver.stored[NAME.hex()] = TEXT
    hashserver.faults = [(200, {}, b"same text\n")]
    assert HashserverClient(hashserver.url).get(NAME) == TEXT


def test_what_the_server_calls_corrupt_is_a_corrupt_buffer(hashserver: FakeHashserver) -> None:
    hashserver.faults = [(400, {}, b'{"message": "File corruption: ..."}')]
    with pytest.raises(BufferCorruptionError, match=hashserver.url):
        HashserverClient(hashserver.url).get(NAME)


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("zstd", compress_bytes(TEXT, ".zst")),
        ("gzip", gzip.compress(TEXT)),
        ("x-gzip", gzip.compress(TEXT[:3]) + gzip.compress(TEXT[3:])),
        ("identity", TEXT),
    ],
    ids=["zstd", "gzip", "gzip-members", "identity"],
)
def test_a_buffer_may_come_in_any_form(hashserver: FakeHashserver, encoding: str, data: bytes, tmp_path: Path) -> None:
    hashserver.encoded[NAME.hex()] = (encoding, data)
    client = HashserverClient(hashserver.url)
    assert client.get(NAME) == TEXT
    with client.open(NAME) as file:
        assert file.read() == TEXT
    assert client.copy_to(NAME, tmp_path / "copy") and (tmp_path / "copy").read_bytes() == TEXT


@pytest.mark.parametrize(
    "damaged",
    [gzip.compress(TEXT)[:-4], gzip.compress(TEXT) + b"x", b"", gzip.compress(b"!")],
    ids=["cut off", "followed", "empty", "other"],
)
def test_a_damaged_compressed_form_is_a_corrupt_buffer(hashserver: FakeHashserver, damaged: bytes) -> None:
    hashserver.encoded[NAME.hex()] = ("gzip", damaged)
    client = HashserverClient(hashserver.url)
    for read in (client.get, client.open):
        with pytest.raises(BufferCorruptionError):
            read(NAME)


def test_an_unknown_encoding_is_an_error_that_names_it(hashserver: FakeHashserver) -> None:
    hashserver.encoded[NAME.hex()] = ("br", b"...")
    with pytest.raises(StoreError, match="'br'"):
        HashserverClient(hashserver.url).get(NAME)


@pytest.mark.parametrize(
    "form",
    [
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nsom\r\n7\r\ne text\n\r\n0\r\n\r\n",
        b"Connection: close\r\n\r\n" + TEXT,
    ],
    ids=["chunked", "to the end"],
)
def test_a_buffer_may_come_without_its_length(form: bytes, tmp_path: Path) -> None:
    with scripted(says(b"HTTP/1.1 200 OK\r\n" + form)) as url:
        client = HashserverClient(url)
        assert client.get(NAME) == TEXT
        assert client.copy_to(NAME, tmp_path / "copy")


def test_a_download_that_is_cut_off_begins_again(tmp_path: Path) -> None:
    checksum = Checksum.of(BIG)
    cut = f"HTTP/1.1 200 OK\r\nContent-Length: {len(BIG)}\r\n\r\n".encode() + BIG[: len(BIG) // 2]
    with scripted(says(cut), says(answer(BIG))) as url:
        assert HashserverClient(url).get(checksum) == BIG
    with scripted(says(cut), says(answer(BIG))) as url:
        assert HashserverClient(url).copy_to(checksum, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == BIG


def test_a_copy_replaces_what_is_there(hashserver: FakeHashserver, tmp_path: Path) -> None:
    hashserver.stored[NAME.hex()] = TEXT
    target = tmp_path / "copy"
    target.write_text("old")
    assert HashserverClient(hashserver.url).copy_to(NAME, target)
    assert target.read_bytes() == TEXT and os.listdir(tmp_path) == ["copy"]


def test_a_copy_of_what_is_absent_leaves_the_target_alone(hashserver: FakeHashserver, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    target.write_text("old")
    assert HashserverClient(hashserver.url).copy_to(ABSENT, target) is False
    assert target.read_text() == "old"


def test_a_device_gets_only_verified_bytes_and_is_not_replaced(hashserver: FakeHashserver) -> None:
    hashserver.stored[NAME.hex()] = TEXT
    assert HashserverClient(hashserver.url).copy_to(NAME, os.devnull)
    assert not os.path.isfile(os.devnull)


# --- lists ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("posts", [True, False], ids=["ours", "reference"])
def test_existence_and_lengths_are_asked_of_either_kind_of_server(hashserver: FakeHashserver, posts: bool) -> None:
    hashserver.posts = posts
    hashserver.stored = {NAME.hex(): TEXT, EMPTY.hex(): b""}
    client = HashserverClient(hashserver.url)
    assert client.has([NAME, ABSENT, EMPTY]) == [True, False, True]
    assert client.lengths([NAME, ABSENT, EMPTY]) == [len(TEXT), None, 0]
    assert client.length(NAME) == len(TEXT)


def test_a_server_that_refuses_post_is_asked_with_post_only_once(hashserver: FakeHashserver) -> None:
    hashserver.posts = False
    client = HashserverClient(hashserver.url)
    client.has([NAME])
    client.has([NAME])
    assert [method for method, _ in hashserver.requests] == ["POST", "GET", "GET"]


def test_nothing_is_asked_about_no_checksums(hashserver: FakeHashserver) -> None:
    assert HashserverClient(hashserver.url).has([]) == []
    assert hashserver.requests == []


def test_long_lists_are_asked_in_parts(hashserver: FakeHashserver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer_client, "_BATCH", 10)
    checksums = [Checksum.of(b"%d" % i) for i in range(25)]
    hashserver.stored = {checksum.hex(): b"x" for checksum in checksums[::2]}
    assert HashserverClient(hashserver.url).has(checksums) == [i % 2 == 0 for i in range(25)]
    assert len(hashserver.requests) == 3


def test_a_list_that_is_too_long_for_the_server_is_asked_in_smaller_parts(hashserver: FakeHashserver) -> None:
    hashserver.max_batch = 3
    checksums = [Checksum.of(b"%d" % i) for i in range(10)]
    hashserver.stored = {checksum.hex(): b"x" for checksum in checksums[1:]}
    assert HashserverClient(hashserver.url).has(checksums) == [False] + [True] * 9


@pytest.mark.parametrize("body", [b"[true]", b"{}", b"nonsense"])
def test_an_answer_that_is_no_list_of_that_length_is_an_error(hashserver: FakeHashserver, body: bytes) -> None:
    hashserver.faults = [(200, {}, body)]
    with pytest.raises(StoreError, match="is there a hashserver at this address"):
        HashserverClient(hashserver.url).has([NAME, ABSENT])


def test_the_length_of_what_is_stored_and_promised_is_found(hashserver: FakeHashserver) -> None:
    hashserver.stored[NAME.hex()] = TEXT
    hashserver.promised = {NAME.hex(), ABSENT.hex()}
    assert HashserverClient(hashserver.url).lengths([NAME, ABSENT]) == [len(TEXT), None]


# --- writing --------------------------------------------------------------------------------------


def test_buffers_are_stored(hashserver: FakeHashserver) -> None:
    items = [b"%d" % i for i in range(50)] + [b"", BIG]
    writer(hashserver).put((Checksum.of(data), data) for data in items)
    assert sorted(hashserver.stored.values()) == sorted(items)


def test_any_bytes_like_object_is_stored(hashserver: FakeHashserver) -> None:
    import array

    values = array.array("d", [1.0, 2.0])
    writer(hashserver).put([(Checksum.of(values), values), (NAME, memoryview(bytearray(TEXT)))])
    assert set(hashserver.stored.values()) == {values.tobytes(), TEXT}


def test_storing_what_is_there_is_no_error(hashserver: FakeHashserver) -> None:
    client = writer(hashserver)
    client.put([(NAME, TEXT)])
    client.put([(NAME, TEXT)])
    assert hashserver.stored == {NAME.hex(): TEXT}


def test_bytes_without_the_checksum_are_refused_with_the_one_they_have(hashserver: FakeHashserver) -> None:
    with pytest.raises(BufferCorruptionError, match=Checksum.of(b"other").hex()):
        writer(hashserver).put([(NAME, b"other")])
    assert hashserver.stored == {}


def test_bytes_that_were_damaged_on_the_way_to_the_server_are_sent_again(hashserver: FakeHashserver) -> None:
    hashserver.faults = [(400, {}, b"Incorrect checksum")]
    writer(hashserver).put([(NAME, TEXT)])
    assert hashserver.stored == {NAME.hex(): TEXT}


def test_an_upload_that_was_cut_off_begins_again(hashserver: FakeHashserver) -> None:
    hashserver.faults = [(0, {}, b"")]
    writer(hashserver).put([(Checksum.of(BIG), BIG)])
    assert hashserver.stored == {Checksum.of(BIG).hex(): BIG}


def test_an_upload_that_the_server_dropped_for_another_is_repeated_if_that_fails(hashserver: FakeHashserver) -> None:
    hashserver.faults = [(202, {}, b""), (404, {}, b"Not found")]
    writer(hashserver).put([(NAME, TEXT)])
    assert hashserver.stored == {NAME.hex(): TEXT}


def test_an_upload_that_the_server_dropped_for_another_is_done_if_that_succeeds(hashserver: FakeHashserver) -> None:
    hashserver.faults = [(202, {}, b""), (206, {}, b"s")]
    writer(hashserver).put([(NAME, TEXT)])
    assert [method for method, _ in hashserver.requests] == ["PUT", "GET"]


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_that_only_reads_is_named_as_such(hashserver: FakeHashserver, status: int) -> None:
    hashserver.faults = [(status, {}, b"Method Not Allowed")]
    with pytest.raises(StoreReadOnlyError, match="--writable"):
        writer(hashserver).put([(NAME, TEXT)])


def test_a_client_that_only_reads_does_not_write(hashserver: FakeHashserver, tmp_path: Path) -> None:
    client = HashserverClient(hashserver.url)
    assert not client.writable
    for write in (
        lambda: client.put([(NAME, TEXT)]),
        lambda: client.put_file(NAME, tmp_path),
        lambda: client.ingest(io.BytesIO()),
        lambda: client.promise(NAME),
    ):
        with pytest.raises(ReadOnlyClientError):
            write()
    assert hashserver.requests == []


def test_a_promise_is_made_where_there_are_promises(hashserver: FakeHashserver) -> None:
    assert writer(hashserver).promise(NAME) is True
    hashserver.writable = False
    assert writer(hashserver).promise(NAME) is False


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", TEXT, BIG], ids=["empty", "small", "large"])
def test_files_are_stored(hashserver: FakeHashserver, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert writer(hashserver).ingest(path) == (Checksum.of(data), len(data))
    assert hashserver.stored == {Checksum.of(data).hex(): data}
    assert path.exists()


def test_a_file_that_is_moved_in_is_gone_afterwards(hashserver: FakeHashserver, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(TEXT)
    writer(hashserver).ingest(path, move=True)
    assert hashserver.stored == {NAME.hex(): TEXT} and not path.exists()


def test_a_stream_is_stored_from_where_it_stands(hashserver: FakeHashserver) -> None:
    stream = io.BytesIO(b"skip" + TEXT)
    stream.seek(4)
    assert writer(hashserver).ingest(stream) == (NAME, len(TEXT))
    assert hashserver.stored == {NAME.hex(): TEXT}


def test_a_file_with_another_checksum_is_refused(hashserver: FakeHashserver, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"other")
    with pytest.raises(BufferCorruptionError, match=str(path)):
        writer(hashserver).put_file(NAME, path)


# --- compression ----------------------------------------------------------------------------------

REPETITIVE = b"the same line again and again\n" * 20_000


def test_what_shrinks_is_sent_compressed_where_that_is_asked_for(hashserver: FakeHashserver, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(REPETITIVE + b"in a file")
    client = writer(hashserver, compress=True)
    client.put([(Checksum.of(REPETITIVE), REPETITIVE)])
    client.ingest(path)
    assert sorted(hashserver.stored.values()) == sorted([REPETITIVE, path.read_bytes()])
    assert [len(data) < 10_000 for _, data in hashserver.encoded.values()] == [True, True]


@pytest.mark.parametrize("data", [TEXT, os.urandom(1 << 20)], ids=["small", "random"])
def test_what_does_not_shrink_is_sent_as_it_is(hashserver: FakeHashserver, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    client = writer(hashserver, compress=True)
    client.put([(Checksum.of(data), data)])
    client.put_file(Checksum.of(data), path)
    assert hashserver.encoded == {} and list(hashserver.stored.values()) == [data]


def test_what_shrinks_so_much_that_a_server_would_suspect_harm_is_sent_as_it_is(
    hashserver: FakeHashserver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seamless.compression_utils.ANY_SIZE", 100_000)
    data = bytes(2_000_000)
    path = tmp_path / "file"
    path.write_bytes(data + b"!")
    client = writer(hashserver, compress=True)
    client.put([(Checksum.of(data), data)])
    client.ingest(path)
    assert hashserver.encoded == {} and sorted(map(len, hashserver.stored.values())) == [2_000_000, 2_000_001]


def test_a_body_that_was_made_to_fill_the_memory_is_a_corrupt_buffer(
    hashserver: FakeHashserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seamless.compression_utils.ANY_SIZE", 100_000)
    hashserver.encoded[NAME.hex()] = ("zstd", compress_bytes(bytes(50_000_000), ".zst"))
    tracemalloc.start()
    try:
        with pytest.raises(BufferCorruptionError):
            HashserverClient(hashserver.url).get(NAME)
        assert tracemalloc.get_traced_memory()[1] < 25_000_000
    finally:
        tracemalloc.stop()


def test_nothing_is_compressed_for_a_server_on_this_machine(hashserver: FakeHashserver) -> None:
    writer(hashserver).put([(Checksum.of(REPETITIVE), REPETITIVE)])
    assert hashserver.encoded == {}


@pytest.mark.parametrize("posts", [True, False], ids=["ours", "reference"])
def test_over_a_network_it_is_compressed_for_a_server_that_can_give_it_uncompressed(
    hashserver: FakeHashserver, monkeypatch: pytest.MonkeyPatch, posts: bool
) -> None:
    monkeypatch.setattr("seamless.remote.address.Address.is_local", False)
    hashserver.posts = posts
    writer(hashserver).put([(Checksum.of(REPETITIVE), REPETITIVE)])
    assert bool(hashserver.encoded) is posts


def test_over_a_network_compressed_forms_are_preferred(
    hashserver: FakeHashserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = HashserverClient(hashserver.url)
    client.get(NAME)
    monkeypatch.setattr("seamless.remote.address.Address.is_local", False)
    client.get(NAME)
    assert [h["Accept-Encoding"] for h in hashserver.headers] == ["identity", "zstd, gzip, identity;q=0.5"]
