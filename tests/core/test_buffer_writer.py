"""The writer: nothing that was to be stored is ever forgotten."""

import asyncio
import threading
import time

import pytest

from seamless import Buffer, Checksum
from seamless.cache.buffer_cache import BufferCache
from seamless.cache.buffer_writer import await_existing_task, get_writer
from seamless.errors import StoreError, StoreFullError
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


def test_what_is_just_being_stored_still_counts_as_pending():
    store = Store()
    store.gate = threading.Event()
    session.activate([store])
    buffer = Buffer(b"in flight")
    buffer.incref()
    assert get_writer().flush(0.05) == [buffer.checksum]
    assert get_writer().pending_bytes() == len(buffer)
    store.gate.set()
    assert get_writer().flush(5) == []


class Picky(Store):
    """Refuses one content, with an error that is none of a store."""

    def put(self, items):
        items = list(items)
        if any(data == b"poison" for _, data in items):
            raise OSError("cannot digest that")
        super().put(items)


def test_a_buffer_that_cannot_be_stored_does_not_stand_in_the_way_of_others():
    store = Picky()
    session.activate([store])
    poison = Buffer(b"poison")
    others = [Buffer(b"%d" % i) for i in range(20)]
    for buffer in (poison, *others):
        buffer.incref()
    deadline = time.monotonic() + 20
    while get_writer().flush(0.2) != [poison.checksum]:
        assert time.monotonic() < deadline, "the others are not stored"
    assert len(store.data) == 20
    assert isinstance(get_writer().failure(poison.checksum), OSError)


def test_one_of_two_stores_suffices_and_the_other_gets_the_buffer_later():
    full, good = Store(), Store()
    full.full = True
    session.activate([full, good])
    buffer = Buffer(b"for both")
    assert buffer.write_sync() is True
    assert buffer.checksum in good.data
    assert get_writer().pending() == [buffer.checksum]
    full.full = False
    assert get_writer().flush(10) == []
    assert buffer.checksum in full.data


def test_without_any_store_nothing_counts_as_stored():
    store = Store()
    store.full = True
    session.activate([store])
    buffer = Buffer(b"homeless")
    buffer.incref()
    session.activate([])
    assert get_writer().flush(5) == [buffer.checksum]
    buffer.decref()
    other = Store()
    session.activate([other])
    assert get_writer().flush(5) == []
    assert other.data[buffer.checksum] == b"homeless"


def begun_and_gated():
    """Return an active store that has begun to take a buffer, and that buffer."""
    store = Store()
    store.gate, store.begun = threading.Event(), threading.Event()
    put = store.put

    def slow_put(items):
        store.begun.set()
        put(items)

    store.put = slow_put
    session.activate([store])
    buffer = Buffer(b"on its way")
    buffer.incref()
    return store, buffer


def test_what_the_former_store_is_just_taking_is_given_to_the_new_one_too():
    former, buffer = begun_and_gated()
    assert former.begun.wait(60)
    new = Store()
    session.activate([new])
    former.gate.set()
    assert get_writer().flush(60) == []
    assert new.data == {buffer.checksum: b"on its way"}


def test_what_is_stored_at_once_while_the_stores_change_is_given_to_the_new_one_too():
    former, buffer = begun_and_gated()
    assert former.begun.wait(60)
    former.begun.clear()
    writing = threading.Thread(target=buffer.write_sync)
    writing.start()
    assert former.begun.wait(60)
    new = Store()
    session.activate([new])
    former.gate.set()
    writing.join()
    assert get_writer().flush(60) == []
    assert new.data == {buffer.checksum: b"on its way"}


def test_spilled_bytes_that_wait_to_be_stored_survive_the_last_reference():
    cache = session.buffer_cache = BufferCache(soft_cap=10, hard_cap=20)
    contents = [b"%d" % i * 10 for i in range(5)]
    checksums = []
    for content in contents:
        buffer = Buffer(content)
        buffer.incref()
        checksums.append(buffer.checksum)
    del buffer
    assert sum(entry.spilled for entry in cache.strong_cache.values()) >= 3
    store = Store()
    store.gate = threading.Event()
    session.activate([store])
    for checksum in checksums:
        checksum.decref()
    store.gate.set()
    assert get_writer().flush(60) == []
    assert sorted(store.data.values()) == contents


def test_what_is_referenced_is_stored_again_when_the_stores_change():
    first, second = Store(), Store()
    session.activate([first])
    buffer = Buffer(b"moves along")
    buffer.incref()
    assert get_writer().flush(5) == []
    session.activate([second])
    assert get_writer().flush(5) == []
    assert second.data[buffer.checksum] == b"moves along"


def test_spilled_bytes_are_stored_when_a_store_comes():
    cache = session.buffer_cache = BufferCache(soft_cap=100, hard_cap=100)
    contents = [bytes([i]) * 90 for i in range(5)]
    for content in contents:
        Buffer(content).incref()
    assert sum(entry.spilled for entry in cache.strong_cache.values()) == 4
    store = Store()
    session.activate([store])
    assert get_writer().flush(5) == []
    assert sorted(store.data.values()) == contents


def test_an_interrupted_commit_interrupts_no_other_thread():
    class Interrupted(Store):
        calls = 0

        def put(self, items):
            items = list(items)
            self.calls += 1
            if self.calls == 1:
                self.gate.wait(10)
                raise KeyboardInterrupt
            self.data.update(items)

    store = Interrupted()
    store.gate = threading.Event()
    session.activate([store])
    outcomes = {}

    def write(buffer):
        try:
            outcomes[buffer.content] = buffer.write_sync()
        except KeyboardInterrupt:
            outcomes[buffer.content] = "interrupted"

    buffers = [Buffer(b"%d" % i) for i in range(4)]
    threads = [threading.Thread(target=write, args=(b,)) for b in buffers]
    for thread in threads:
        thread.start()
    store.gate.set()
    for thread in threads:
        thread.join(10)
    assert sorted(map(str, outcomes.values())) == ["True", "True", "True", "interrupted"]


def test_another_store_is_asked_when_one_cannot_be_read():
    class Broken(Store):
        def get(self, checksum):
            raise StoreError("the disk is gone")

    good = Store()
    good.data[Checksum.of(b"twice")] = b"twice"
    session.activate([Broken(), good])
    assert Checksum.of(b"twice").resolve().content == b"twice"
    with pytest.raises(StoreError, match="the disk is gone"):
        Checksum.of(b"nowhere").resolve()


def test_waiting_for_a_queued_buffer_ends_when_it_is_stored_or_refused():
    store = Store()
    session.activate([store])
    buffer = Buffer(b"awaited")
    buffer.incref()
    asyncio.run(await_existing_task(buffer.checksum))
    assert buffer.checksum in store.data
    store.full = True
    late = Buffer(b"refused")
    late.incref()
    with pytest.raises(StoreFullError):
        asyncio.run(await_existing_task(late.checksum))


def test_threads_that_find_the_stores_being_activated_wait_for_it():
    store, started, go_on = Store(), threading.Event(), threading.Event()
    store.data[Checksum.of(b"there")] = b"there"

    def activate(session):
        started.set()
        go_on.wait(10)
        session.activate([store])

    session.default_activation = activate
    first = threading.Thread(target=session.ensure_active)
    first.start()
    started.wait(10)
    found = []
    second = threading.Thread(target=lambda: found.append(Checksum.of(b"there").resolve().content))
    second.start()
    second.join(0.05)
    go_on.set()
    first.join(10)
    second.join(10)
    assert found == [b"there"]


def test_an_activation_that_fails_is_tried_again_not_forgotten():
    def activate(session):
        raise StoreError("no such directory")

    session.default_activation = activate
    for _ in range(2):
        with pytest.raises(StoreError, match="no such directory"):
            session.ensure_active()
