"""The in-memory cache: references, fading, limits, and never losing bytes that exist nowhere else."""

import gc
import os
import threading

import pytest

from seamless import Buffer, Checksum
from seamless.cache.buffer_cache import BufferCache, TempRef
from seamless.cache.memory_limits import parse_bytes


@pytest.fixture
def cache():
    cache = BufferCache(soft_cap=1000, hard_cap=2000)
    yield cache
    cache.close()


def make(i: int, size: int = 400) -> Buffer:
    return Buffer(bytes([i]) * size)


def test_incref_keeps_and_decref_lets_go(cache):
    buffer = make(1)
    checksum = buffer.get_checksum()
    cache.incref(checksum, buffer=buffer)
    del buffer
    assert cache.get(checksum) is not None
    cache.decref(checksum)
    gc.collect()
    assert cache.get(checksum) is None
    cache.decref(checksum)  # without references: nothing


def test_a_pledge_captures_the_bytes_when_they_appear(cache):
    checksum = Checksum.of(b"later")
    cache.incref(checksum)
    assert cache.get(checksum) is None
    cache.register(checksum, Buffer.verified(b"later", checksum))
    gc.collect()
    assert cache.get(checksum).content == b"later"


def test_eviction_drops_bytes_but_no_reference_and_loses_nothing(cache):
    checksums = []
    for i in range(10):
        buffer = make(i)
        cache.incref(buffer.get_checksum(), buffer=buffer)
        checksums.append((buffer.get_checksum(), buffer.content))
    del buffer
    gc.collect()
    assert cache.stats()["strong_bytes"] <= 1000
    assert cache.stats()["strong_count"] == 10
    for checksum, content in checksums:
        assert cache.get(checksum).content == content


def test_stored_bytes_are_dropped_without_being_spilled(cache):
    first = make(1)
    checksum = first.get_checksum()
    cache.incref(checksum, buffer=first, scratch=True)
    cache.mark_stored(checksum)
    del first
    for i in range(2, 6):
        buffer = make(i)
        cache.incref(buffer.get_checksum(), buffer=buffer)
    gc.collect()
    assert cache.get(checksum) is None
    assert cache.strong_cache[checksum].refs == 1


def test_close_removes_the_spilled_bytes(cache, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for i in range(10):
        buffer = make(i)
        cache.incref(buffer.get_checksum(), buffer=buffer)
    assert os.listdir(tmp_path)
    cache.close()
    assert os.listdir(tmp_path) == []


def test_a_temporary_reference_fades_and_expires(monkeypatch, cache):
    now = [100.0]
    monkeypatch.setattr("seamless.cache.buffer_cache.time.monotonic", lambda: now[0])
    buffer = make(1)
    checksum = buffer.get_checksum()
    ref = cache.tempref(checksum, buffer=buffer)
    assert isinstance(ref, TempRef)
    del buffer
    now[0] += 27
    cache.run_eviction_once()
    assert cache.get(checksum) is not None
    now[0] += 2
    cache.run_eviction_once()
    gc.collect()
    assert cache.get(checksum) is None


def test_a_second_tempref_refreshes_the_first(monkeypatch, cache):
    now = [100.0]
    monkeypatch.setattr("seamless.cache.buffer_cache.time.monotonic", lambda: now[0])
    buffer = make(1)
    checksum = buffer.get_checksum()
    first = cache.tempref(checksum, buffer=buffer, interest=1.0)
    now[0] += 10
    second = cache.tempref(checksum, interest=64.0)
    assert first is second
    assert second.current_interest() == 64.0
    second.clear()
    assert second.expired()


def test_non_scratch_wins_over_scratch(cache):
    buffer = make(1)
    checksum = buffer.get_checksum()
    cache.incref(checksum, buffer=buffer, scratch=True)
    assert cache.is_scratch_ref(checksum)
    cache.incref(checksum)
    assert not cache.is_scratch_ref(checksum)
    cache.incref(checksum, scratch=True)
    assert not cache.is_scratch_ref(checksum)


def test_purge_scratch_counts_what_it_drops(cache):
    buffer = make(1)
    cache.tempref(buffer.get_checksum(), buffer=buffer, scratch=True)
    kept = make(2)
    cache.tempref(kept.get_checksum(), buffer=kept)
    assert cache.purge_scratch() == 1
    assert cache.stats()["strong_count"] == 1


def test_threads_may_add_and_release_at_once(cache):
    def work(i):
        for j in range(200):
            buffer = Buffer(f"{i} {j}".encode() * 5)
            cache.incref(buffer.get_checksum(), buffer=buffer)
            assert cache.get(buffer.get_checksum()) == buffer
            cache.decref(buffer.get_checksum())

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.stats()["strong_count"] == 0
    assert cache.stats()["strong_bytes"] == 0


def test_released_buffers_leave_no_memory_behind(cache):
    import weakref

    buffer = make(1)
    alive = weakref.ref(buffer)
    buffer.get_checksum()
    del buffer
    assert alive() is None


@pytest.mark.parametrize(
    ("text", "size"), [("512", 512), ("200M", 200 * 1024**2), ("2 GiB", 2 * 1024**3), ("1k", 1024), ("1.5K", 1536)]
)
def test_caps_are_read_with_suffixes(text, size):
    assert parse_bytes(text) == size


def test_a_cap_that_is_no_size_is_refused():
    with pytest.raises(ValueError, match="not a size"):
        parse_bytes("lots")


def test_caps_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("SEAMLESS_BUFFER_CACHE_SOFT_CAP", "10K")
    monkeypatch.setenv("SEAMLESS_BUFFER_CACHE_HARD_CAP", "20K")
    cache = BufferCache()
    assert (cache.soft_cap, cache.hard_cap) == (10240, 20480)
