"""The writer: nothing that was to be stored is ever forgotten."""

import threading

import pytest

from seamless import Buffer, Checksum
from seamless.cache.buffer_writer import get_writer
from seamless.errors import StoreFullError
from seamless.session import session


class Store:
    """A BufferStore in a dict that can be told to fail."""

    name = "test store"
    writable = True

    def __init__(self):
        self.data = {}
        self.puts = 0
        self.full = False
        self.gate = None

    def put(self, items):
        if self.gate is not None:
            self.gate.wait(10)
        items = list(items)
        if self.full:
            raise StoreFullError("the test store is full")
        self.puts += 1
        self.data.update(items)

    def get(self, checksum):
        return self.data.get(checksum)

    def has(self, checksums):
        return [c in self.data for c in checksums]


def test_a_reference_taken_before_a_store_is_active_is_stored_when_it_is():
    buffer = Buffer(b"early")
    buffer.incref()
    store = Store()
    session.activate([store])
    assert get_writer().flush(5) == []
    assert store.data[buffer.checksum] == b"early"


def test_a_scratch_reference_is_not_stored_until_a_real_one_comes():
    store = Store()
    session.activate([store])
    buffer = Buffer(b"scratch first")
    buffer.incref(scratch=True)
    assert get_writer().flush(5) == []
    assert store.data == {}
    buffer.incref()
    get_writer().flush(5)
    assert buffer.checksum in store.data


def test_a_failed_write_is_tried_again_and_does_not_poison_the_checksum():
    store = Store()
    store.full = True
    session.activate([store])
    buffer = Buffer(b"again")
    with pytest.raises(StoreFullError):
        buffer.write_sync()
    buffer.incref()
    assert get_writer().flush(0.3) == [buffer.checksum]
    store.full = False
    assert buffer.write_sync() is True
    assert store.data[buffer.checksum] == b"again"
    assert get_writer().flush(5) == []


def test_concurrent_writes_share_commits():
    store = Store()
    store.gate = threading.Event()
    session.activate([store])
    buffers = [Buffer(b"%d" % i) for i in range(20)]
    threads = [threading.Thread(target=b.write_sync) for b in buffers]
    for thread in threads:
        thread.start()
    store.gate.set()
    for thread in threads:
        thread.join()
    assert len(store.data) == 20
    assert store.puts <= 20


def test_a_buffer_in_the_store_resolves_after_it_has_left_memory():
    store = Store()
    session.activate([store])
    Buffer(b"far away").write_sync()
    assert Checksum.of(b"far away").resolve().content == b"far away"
