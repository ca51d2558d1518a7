"""Weak spots of the data layer that must not come back, by their letters in the tests of the celltypes: W1 to W20.

Those of one celltype are in `tests/celltypes/test_known_defects.py`; here are those of buffers, cache and writer.
"""

from __future__ import annotations

import gc
import tracemalloc
import weakref

import pytest

from seamless import Buffer, CacheMissError, Checksum
from seamless.cache.buffer_cache import BufferCache, get_buffer_cache
from seamless.celltypes import parse, serialize

MEGABYTE = 1 << 20


@pytest.mark.parametrize(("value", "celltype"), [([1, 2], "plain"), ([1, 2], "mixed"), ({"a": [1]}, "mixed")])
def test_w1_a_buffer_of_a_changed_object_has_another_checksum(value: object, celltype: str) -> None:
    before = Buffer(value, celltype).get_checksum()
    (value if isinstance(value, list) else value["a"]).append(3)  # type: ignore[index]
    assert Buffer(value, celltype).get_checksum() != before


def test_w3_no_copy_is_kept_once_the_last_reference_is_gone() -> None:
    Buffer(b"warm up", "bytes").get_value("bytes")
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for i in range(12):
        buffer = Buffer(bytes([i]) * MEGABYTE)
        buffer.get_checksum()
        buffer.get_value("bytes")
        buffer.incref(scratch=True)
        buffer.decref()
        del buffer
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < MEGABYTE // 4


def test_w3_equal_buffers_share_their_bytes() -> None:
    first, second = (Buffer(bytes(bytearray(b"x" * 100))) for _ in range(2))
    assert first.content is not second.content
    first.get_checksum()
    second.get_checksum()
    assert first.content is second.content


def test_a_buffer_can_be_found_while_any_equal_one_lives() -> None:
    first, second = (Buffer(b"twins") for _ in range(2))
    checksum = first.get_checksum()
    second.get_checksum()
    del first
    gc.collect()
    assert checksum.resolve().content == b"twins"
    gone = weakref.ref(second)
    del second
    gc.collect()
    assert gone() is None
    with pytest.raises(CacheMissError):
        checksum.resolve()


def test_w4_caps_are_enforced_without_being_asked_and_no_reference_is_lost() -> None:
    cache = BufferCache(soft_cap=1000, hard_cap=2000)
    checksums = []
    for i in range(10):
        buffer = Buffer(b"%d" % i * 400)
        cache.incref(buffer.get_checksum(), buffer=buffer)
        checksums.append(buffer.get_checksum())
    del buffer
    gc.collect()
    assert cache.stats()["strong_bytes"] <= 1000
    assert all(cache.strong_cache[c].refs == 1 and cache.get(c) is not None for c in checksums)
    cache.close()


def test_w6_a_buffer_is_never_filed_under_a_checksum_that_it_does_not_have() -> None:
    wanted = Checksum.of(b"good")
    with pytest.raises(ValueError, match="checksum"):
        Buffer(b"evil", checksum=wanted)
    for register in (get_buffer_cache().register, lambda c, b: get_buffer_cache().incref(c, buffer=b)):
        with pytest.raises(ValueError, match="checksum"):
            register(wanted, Buffer(b"evil"))
    assert get_buffer_cache().stats()["strong_count"] == 0
    with pytest.raises(CacheMissError):
        wanted.resolve()


def test_w8_text_of_64_characters_with_blanks_is_no_checksum() -> None:
    with pytest.raises(ValueError):
        serialize("ab" * 31 + "  ", "checksum")
    with pytest.raises(ValueError):
        parse(b'"' + b"ab" * 31 + b'  "\n', "checksum")


@pytest.mark.parametrize("how", ["resolve", "resolution"])
def test_w14_the_empty_buffer_resolves_in_both_ways(how: str) -> None:
    import asyncio

    empty = Checksum.of(b"")
    found = empty.resolve() if how == "resolve" else asyncio.run(empty.resolution())
    assert found.content == b""


def test_w14_buffers_compare_without_having_been_hashed() -> None:
    assert Buffer(b"a") == Buffer(b"a")
    assert Buffer(b"a") != Buffer(b"b")


@pytest.mark.parametrize("other", [None, [], "xyz", 5, object()])
def test_w16_a_checksum_compares_with_anything(other: object) -> None:
    assert Checksum.of(b"") != other
    assert other not in [Checksum.of(b"")]


def test_a_worker_resolves_from_the_stores_without_a_cache_of_its_own() -> None:
    from seamless.session import session

    class Store:
        name, writable = "test store", False

        def get(self, checksum: Checksum) -> bytes | None:
            return b"stored" if checksum == Checksum.of(b"stored") else None

    session.activate([Store()])  # type: ignore[list-item]
    session.is_worker = True
    assert Checksum.of(b"stored").resolve("bytes") == b"stored"
    with pytest.raises(CacheMissError):
        Checksum.of(b"absent").resolve()
    with pytest.raises(RuntimeError, match="worker"):
        get_buffer_cache()
