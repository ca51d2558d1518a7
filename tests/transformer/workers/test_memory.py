"""Buffers on their way to workers and back: shared instead of copied, bounded, and never left behind."""

import gc
import os
import threading

import numpy as np
import pytest

from seamless.buffer import Buffer
from seamless.cache.buffer_cache import find_in_memory
from seamless.checksum import Checksum
from seamless.transformer import delayed, direct, worker
from seamless.transformer.workers.memory import MappedBuffer, Segments, buffer_of_large, fill, map_file
from seamless.transformer.workers.parcel import Parcel, unpacked, views
from tests.transformer.workers.support import eventually

MEGABYTE = 1_000_000


def descriptors():
    return len(os.listdir("/proc/self/fd"))


# --- segments -----------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"x", b"some bytes" * 100_000], ids=["empty", "one", "large"])
def test_a_segment_has_the_bytes_and_cannot_be_changed(data):
    fd = fill(data)
    try:
        assert bytes(map_file(fd)) == data
        with pytest.raises(OSError):
            os.write(fd, b"other")
        with pytest.raises(OSError):
            os.ftruncate(fd, len(data) + 1)
    finally:
        os.close(fd)


def test_mapped_memory_cannot_be_written_to():
    fd = fill(b"abc")
    view = map_file(fd)
    os.close(fd)
    assert view.readonly
    assert not np.frombuffer(view, np.uint8).flags.writeable


def test_a_segment_is_made_once_for_all_who_use_it():
    segments = Segments(idle_bytes=0)
    checksum, before = Checksum.of(b"abc"), descriptors()
    assert segments.acquire(checksum, b"abc") == segments.acquire(checksum, b"abc")
    assert descriptors() == before + 1
    segments.release(checksum)
    assert segments.has(checksum)
    segments.release(checksum)
    assert descriptors() == before


def test_idle_segments_are_kept_within_the_limit_the_oldest_go_first():
    segments = Segments(idle_bytes=2500)
    checksums = [Checksum.of(bytes([i])) for i in range(4)]
    for checksum in checksums:
        segments.acquire(checksum, b"x" * 1000)
        segments.release(checksum)
    assert [segments.has(checksum) for checksum in checksums] == [False, False, True, True]
    segments.clear()
    assert [segments.has(checksum) for checksum in checksums] == [False] * 4


def test_a_segment_in_use_is_never_dropped():
    segments = Segments(idle_bytes=0)
    first, second = Checksum.of(b"1"), Checksum.of(b"2")
    fd = segments.acquire(first, b"first")
    segments.acquire(second, b"second")
    segments.release(second)
    segments.clear()
    assert bytes(map_file(fd)) == b"first"
    segments.release(first)


# --- mapped buffers -----------------------------------------------------------------------------


def mapped(data):
    return MappedBuffer(fill(data), Checksum.of(data))


def test_a_mapped_buffer_is_a_buffer():
    buffer = mapped(b"[1, 2, 3]\n")
    assert len(buffer) == 10
    assert buffer.get_value("plain") == [1, 2, 3]
    assert buffer == Buffer(b"[1, 2, 3]\n")
    assert buffer.content == b"[1, 2, 3]\n"
    assert buffer.decode() == "[1, 2, 3]\n"
    assert buffer.get_checksum() == Checksum.of(b"[1, 2, 3]\n")


def test_its_descriptor_goes_with_it():
    before = descriptors()
    buffer = mapped(b"x" * MEGABYTE)
    assert descriptors() == before + 2
    del buffer
    gc.collect()
    assert descriptors() == before


def test_an_array_outlives_the_buffer_that_it_is_a_view_of():
    array = np.arange(100_000)
    value = mapped(Buffer(array, "binary").content).get_value("binary")
    gc.collect()
    assert (value == array).all()


def test_asking_for_its_bytes_gives_the_shared_memory_back():
    before = descriptors()
    buffer = mapped(b"x" * MEGABYTE)
    assert buffer.content == b"x" * MEGABYTE
    assert descriptors() == before
    assert bytes(buffer.view) == b"x" * MEGABYTE


def test_mapped_buffers_never_use_up_the_descriptors():
    before = descriptors()
    many = [mapped(bytes([i]) * 300_000) for i in range(250)]
    assert before < descriptors() <= before + 256
    assert [bytes(b.view[:1]) for b in many] == [bytes([i]) for i in range(250)]


# --- parcels ------------------------------------------------------------------------------------


def test_a_parcel_has_small_buffers_in_it_and_large_ones_beside_it():
    parcel, buffers = Parcel(), [Buffer(b""), Buffer(b"small"), Buffer(b"L" * MEGABYTE)]
    for buffer in buffers:
        assert parcel.add(buffer.get_checksum(), buffer)
    assert [data for _, data in parcel.items] == [b"", b"small", None]
    received = [os.dup(fd) for fd in parcel.fds]
    parcel.sent()
    assert [bytes(view) for _, view in views(parcel.items, received)] == [b"", b"small", b"L" * MEGABYTE]


def test_bytes_that_do_not_have_their_checksum_are_refused():
    with pytest.raises(ValueError, match="have checksum"):
        unpacked([("ab" * 32, b"other")], [])


def test_a_parcel_takes_a_bounded_number_of_descriptors():
    parcel = Parcel()
    fits = [parcel.add(Checksum.of(bytes([i])), Buffer(bytes([i]) * 100_000)) for i in range(120)]
    parcel.sent()
    assert fits == [True] * 100 + [False] * 20


# --- with workers -------------------------------------------------------------------------------


def total(array):
    return float(array.sum())


def test_arrays_go_to_workers_and_come_back(workers):
    def doubled(array):
        return array * 2

    array = np.arange(2_000_000, dtype=np.int64).reshape(1000, 2000)
    result = direct(doubled)(array)
    assert (result == array * 2).all()
    assert not result.flags.writeable


def test_a_large_result_is_not_copied_into_this_process(workers):
    def makes(n):
        import numpy as np

        return np.zeros(n)

    handle = delayed(makes)(MEGABYTE)
    checksum = handle.compute()
    assert isinstance(find_in_memory(checksum), MappedBuffer)


def test_an_input_is_read_only_in_a_worker_as_in_this_process(workers):
    def writes(array):
        array[0] = 1
        return 0

    handle = delayed(writes)(np.zeros(MEGABYTE))
    assert handle.compute() is None
    assert "read-only" in handle.exception


@pytest.mark.parametrize("value", [b"", "", [], {}, 0, None], ids=repr)
def test_empty_values_are_inputs_and_results(workers, value):
    def same(x):
        return x

    step = direct(same)
    if isinstance(value, bytes):
        step.celltypes.x = step.celltypes.result = "bytes"
    assert step(value) == value


def test_many_large_inputs_of_one_step(workers):
    def lengths(data):
        return [len(data[key]) for key in sorted(data)]

    step = direct(lengths)
    step.celltypes.data = "folder"
    data = {f"{i:03}": Buffer(bytes([i]) * 60_000) for i in range(130)}
    index = {name: buffer.get_checksum().hex() for name, buffer in data.items()}
    assert step(index) == [60_000] * 130


def test_many_large_members_of_one_result(workers):
    def makes(count):
        return {str(i): "x" * (100_000 + i) for i in range(count)}

    step = delayed(makes)
    step.celltypes.result = "deepcell"
    members = step(130).run()
    assert [len(Checksum(members[str(i)]).resolve("mixed")) for i in range(130)] == [100_000 + i for i in range(130)]


def test_memory_is_bounded_when_many_inputs_have_been_sent(workers, monkeypatch):
    monkeypatch.setattr(workers._segments, "idle_bytes", 2 * MEGABYTE)
    for i in range(12):
        assert direct(total)(np.full(MEGABYTE // 10, float(i))) == i * MEGABYTE // 10
    kept = [segment.size for segment in workers._segments._segments.values()]
    assert 0 < sum(kept) <= 2 * MEGABYTE


def test_a_large_array_is_in_shared_memory_from_the_start_and_only_as_long_as_it_is_an_input(workers):
    before = descriptors()
    handle = delayed(total)(np.ones(MEGABYTE))
    handle.construct()
    assert [type(buffer) for buffer in handle._buffers if len(buffer) > MEGABYTE] == [MappedBuffer]
    assert handle.run() == MEGABYTE
    assert len(workers._segments._segments) == 0
    del handle
    gc.collect()
    eventually(lambda: descriptors() <= before)


def test_the_same_buffer_is_put_into_shared_memory_once(workers):
    buffer = Buffer(np.ones(MEGABYTE), "mixed")

    def add(array, i):
        return float(array[i] + i)

    for i in range(5):
        assert direct(add)(buffer, i) == i + 1
    assert len(workers._segments._segments) == 1


ARRAY = np.arange(2 * MEGABYTE, dtype=np.int32)
LARGE_VALUES = {
    "contiguous": (ARRAY, "mixed"),
    "rows": (ARRAY.reshape(2000, 1000), "binary"),
    "columns": (np.asfortranarray(ARRAY.reshape(2000, 1000)), "mixed"),
    "strided": (ARRAY[::2], "mixed"),
    "padded": (np.zeros(300_000, np.dtype([("a", "i1"), ("b", "i8")], align=True)), "mixed"),
    "mapping": ({"x": ARRAY, "n": 1, "y": [ARRAY[:3], "text"]}, "mixed"),
    "bytes": (b"some bytes" * 200_000, "bytes"),
    "mixed bytes": (b"some bytes" * 200_000, "mixed"),
}


@pytest.mark.parametrize("name", LARGE_VALUES)
def test_a_buffer_made_in_shared_memory_has_the_bytes_of_every_other_one(name):
    value, celltype = LARGE_VALUES[name]
    made, expected = buffer_of_large(value, celltype), Buffer(value, celltype)
    assert made.get_checksum() == expected.get_checksum()
    assert bytes(made.view) == expected.content


@pytest.mark.parametrize(
    ("value", "celltype"),
    [
        (np.ones(10), "mixed"),
        (ARRAY, "plain"),
        (np.array([object()] * 200_000), "mixed"),
        ({"x": ARRAY, "y": {1, 2}}, "mixed"),
        (b"x" * 2_000_000, "binary"),
        ("x" * 2_000_000, "str"),
    ],
    ids=["small", "no array", "objects", "a set", "no npy", "text"],
)
def test_what_is_small_or_wrong_is_left_to_others(value, celltype):
    assert buffer_of_large(value, celltype) is None


def test_an_array_that_is_changed_during_the_copy_has_the_checksum_of_what_was_copied():
    array = np.zeros(4 * MEGABYTE, np.uint8)
    running = True

    def change():
        while running:
            array[:] = array + 1

    thread = threading.Thread(target=change)
    thread.start()
    try:
        buffers = [buffer_of_large(array, "mixed") for _ in range(5)]
    finally:
        running = False
        thread.join()
    assert [Checksum.of(bytes(buffer.view)) for buffer in buffers] == [buffer.get_checksum() for buffer in buffers]


def test_without_shared_memory_a_large_array_is_an_input_like_any_other(workers, monkeypatch):
    def refused(name, flags):
        raise OSError("no memory")

    monkeypatch.setattr(os, "memfd_create", refused)
    assert buffer_of_large(ARRAY, "mixed") is None
    handle = delayed(total)(ARRAY)
    monkeypatch.undo()
    assert handle.run() == float(ARRAY.sum())


def test_a_very_large_buffer_is_let_go_of_in_the_background():
    before = descriptors()
    buffer = buffer_of_large(np.ones(5 * MEGABYTE), "mixed")
    array = buffer.get_value("mixed")
    del buffer
    assert array[-1] == 1
    del array
    gc.collect()
    eventually(lambda: descriptors() <= before)


def test_a_file_of_the_store_is_mapped_as_it_is(workers, tmp_path):
    from seamless.config.embedded import activate_embedded

    store = activate_embedded(directory=tmp_path / "cache")
    buffer = Buffer(np.ones(MEGABYTE), "mixed")
    checksum = buffer.get_checksum()
    store.buffers.put([(checksum, buffer.content)])
    del buffer
    gc.collect()
    assert find_in_memory(checksum) is None

    def maps(array):
        with open("/proc/self/maps") as file:
            return [line.split()[-1] for line in file if "ab/" in line or "/cache/" in line][:1]

    (path,) = direct(maps)(checksum)
    assert path.endswith(checksum.hex())
    assert len(workers._segments._segments) == 0


def test_no_descriptor_and_no_segment_is_left_by_a_pool():
    before = descriptors()
    for _ in range(2):
        worker.spawn(2)
        direct(total)(np.ones(MEGABYTE))
        handle = delayed(total)(np.ones(MEGABYTE + 1)).start()
        handle.compute()
        worker.shutdown_workers()
        del handle
        from seamless.session import session

        session.reset()
        gc.collect()
    eventually(lambda: descriptors() <= before)
    assert [name for name in os.listdir("/dev/shm") if "seamless" in name] == []
