"""The in-memory cache: references, fading, limits, and never losing bytes that exist nowhere else."""

import asyncio
import gc
import os
import subprocess
import sys
import threading

import pytest

from seamless import Buffer, Checksum
from seamless.cache.buffer_cache import BufferCache, TempRef, get_buffer_cache
from seamless.cache.memory_limits import available_memory, parse_bytes
from seamless.errors import UsageError
from seamless.session import session


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
    monkeypatch.setattr("seamless.cache.tempref.time.monotonic", lambda: now[0])
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
    monkeypatch.setattr("seamless.cache.tempref.time.monotonic", lambda: now[0])
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


def test_caps_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("SEAMLESS_BUFFER_CACHE_SOFT_CAP", "10K")
    monkeypatch.setenv("SEAMLESS_BUFFER_CACHE_HARD_CAP", "20K")
    cache = BufferCache()
    assert (cache.soft_cap, cache.hard_cap) == (10240, 20480)


def test_the_hard_cap_counts_where_it_is_the_lower_one(monkeypatch):
    monkeypatch.setenv("SEAMLESS_BUFFER_CACHE_HARD_CAP", "1K")
    cache = BufferCache()
    assert (cache.soft_cap, cache.hard_cap) == (1024, 1024)


@pytest.mark.parametrize("text", ["lots", "inf", "nan", "-1", "1X", ""])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="not a size"):
        parse_bytes(text)


def test_a_variable_that_is_no_size_is_named(monkeypatch):
    monkeypatch.setenv("SEAMLESS_BUFFER_CACHE_SOFT_CAP", "lots")
    with pytest.raises(UsageError, match="SEAMLESS_BUFFER_CACHE_SOFT_CAP.*'lots'"):
        BufferCache()


def test_a_soft_cap_above_the_hard_one_is_refused(monkeypatch):
    monkeypatch.setenv("SEAMLESS_BUFFER_CACHE_SOFT_CAP", "2K")
    monkeypatch.setenv("SEAMLESS_BUFFER_CACHE_HARD_CAP", "1K")
    with pytest.raises(UsageError, match="exceeds"):
        BufferCache()


@pytest.mark.parametrize(
    ("line", "where", "name"),
    [
        ("0::/slurm/job_1/step_0", "slurm/job_1", "memory.max"),
        ("0::/", "", "memory.max"),
        ("4:cpu,memory:/slurm/uid_5/job_1", "memory/slurm/uid_5", "memory.limit_in_bytes"),
    ],
)
def test_the_limit_of_any_control_group_around_the_process_counts(tmp_path, line, where, name):
    (tmp_path / "groups" / where).mkdir(parents=True)
    (tmp_path / "groups" / where / name).write_text("1048576\n")
    (tmp_path / "self").write_text(f"9:cpuset:/elsewhere\n{line}\n")
    assert available_memory(str(tmp_path / "groups"), str(tmp_path / "self")) == 1048576


def test_what_the_writer_has_queued_is_not_evicted(cache):
    class Busy:
        def queued(self):
            return {first.get_checksum()}

    first = make(1)
    session.buffer_writer = Busy()
    try:
        cache.incref(first.get_checksum(), buffer=first, scratch=True)
        for i in range(2, 8):
            cache.incref(make(i).get_checksum(), buffer=make(i), scratch=True)
        cache.run_eviction_once()
        assert cache.strong_cache[first.get_checksum()].buffer is first
        assert cache.stats()["strong_bytes"] <= 1000
    finally:
        session.buffer_writer = None


def test_bytes_that_come_back_from_a_store_are_counted_against_the_caps(cache):
    buffers = [make(i) for i in range(10)]
    for buffer in buffers:
        cache.incref(buffer.get_checksum(), scratch=True)  # pledges
        cache.mark_stored(buffer.get_checksum())
    for buffer in buffers:
        cache.register(buffer.get_checksum(), buffer)
        assert cache.stats()["strong_bytes"] <= 1000


def test_a_change_of_stores_makes_unreachable_bytes_be_kept(cache):
    first = make(1)
    cache.incref(first.get_checksum(), buffer=first)
    cache.mark_stored(first.get_checksum())
    assert cache.unstored() == []
    cache.forget_stored()
    assert cache.unstored() == [first.get_checksum()]


def test_between_the_caps_many_references_cost_no_full_pass_each(monkeypatch):
    cache = BufferCache(soft_cap=200_000, hard_cap=10_000_000)
    passes = []
    run = cache.run_eviction_once
    monkeypatch.setattr(cache, "run_eviction_once", lambda: passes.append(1) or run())
    monkeypatch.setattr(cache, "_score", lambda checksum, entry: 1000.0)  # nothing is worth evicting
    buffers = [Buffer(b"%d" % i + b"x" * 100) for i in range(4000)]
    for buffer in buffers:
        cache.incref(buffer.get_checksum(), buffer=buffer, scratch=True)
    assert cache.stats()["strong_bytes"] > 400_000
    assert len(passes) < 200


@pytest.mark.parametrize(("factor", "interval"), [(0.5, 2.0), (2.0, 0.0), (2.0, -1.0), (float("nan"), 1.0)])
def test_a_reference_that_does_not_fade_downwards_is_refused(factor, interval):
    with pytest.raises(ValueError, match="expected"):
        make(1).tempref(fade_factor=factor, fade_interval=interval)


def test_an_interest_that_faded_long_ago_is_zero(cache):
    ref = cache.tempref(make(1).get_checksum(), fade_factor=1e9, fade_interval=1e-3)
    ref.refreshed -= 1e9
    assert ref.current_interest() == 0.0


def test_the_background_pass_runs_at_the_interval_asked_for(cache):
    ran = threading.Event()
    run = cache.run_eviction_once
    cache.run_eviction_once = lambda: ran.set() or run()
    asyncio.run(cache.start_eviction_loop(0.001))
    assert ran.wait(10)
    asyncio.run(cache.stop_eviction_loop())


def test_a_reference_on_a_closed_session_leaves_no_entry():
    session.closed = True
    buffer = make(1)
    with pytest.raises(RuntimeError, match="closed"):
        buffer.incref()
    assert get_buffer_cache().stats()["strong_count"] == 0


def test_readers_find_a_buffer_while_others_move_it_between_memory_and_disk():
    cache = BufferCache(soft_cap=100, hard_cap=100)
    checksum = make(1).get_checksum()
    cache.incref(checksum, buffer=make(1), scratch=True)
    cache.run_eviction_once()
    stop, missed = threading.Event(), []

    def read():
        while not stop.is_set():
            if cache.get(checksum) is None:
                missed.append(1)

    def move():
        for _ in range(200):
            cache.incref(checksum, buffer=make(1), scratch=True)
            cache.decref(checksum)

    readers = [threading.Thread(target=read) for _ in range(2)]
    movers = [threading.Thread(target=move) for _ in range(2)]
    for thread in readers + movers:
        thread.start()
    for thread in movers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    cache.close()
    assert missed == []


def test_a_forked_child_neither_waits_for_locks_nor_deletes_the_bytes_of_its_parent(tmp_path):
    program = """
import os, sys, threading
import seamless
from seamless import Buffer
from seamless.cache.buffer_cache import BufferCache
from seamless.session import session
cache = session.buffer_cache = BufferCache(soft_cap=1000, hard_cap=2000)
checksums = []
for i in range(10):
    Buffer(bytes([i]) * 400).incref(scratch=True)
    checksums.append(Buffer(bytes([i]) * 400).get_checksum())
held = threading.Event()
def hold():
    with cache._lock:
        held.set()
        threading.Event().wait(5)
threading.Thread(target=hold, daemon=True).start()
held.wait()
pid = os.fork()
if pid == 0:
    for checksum in checksums:
        assert len(checksum.resolve()) == 400
        checksum.decref()
    Buffer(b"n" * 3000).incref(scratch=True)
    seamless.close()
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
assert all(cache._spill.load(c) for c in checksums if cache.strong_cache[c].spilled)
assert sum(e.spilled for e in cache.strong_cache.values()) >= 7
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)
    assert os.listdir(tmp_path) == []
