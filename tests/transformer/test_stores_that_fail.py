"""Stores that are read-only, full or damaged: what the user of a step sees."""

import warnings

import pytest
import steps

from seamless import Buffer, CacheMissError
from seamless.errors import BufferCorruptionError, StoreFullError
from seamless.session import session
from seamless.stores.embedded import open_embedded
from seamless.transformer import TransformationError, delayed, direct, parallel, runner


@pytest.fixture
def store(tmp_path):
    store = open_embedded(tmp_path / "cache")
    session.activate([store.buffers], [store.results])
    return store


@pytest.fixture
def forget_memory():
    """Return a function that leaves what is in stores only."""

    def forget():
        runner.reset()
        session.buffer_cache = None

    return forget


@pytest.fixture
def damaged(store, tmp_path, forget_memory):
    """Return damage(checksum): change the bytes of a stored buffer, and forget what is in memory."""

    def change(checksum):
        (path,) = (tmp_path / "cache").rglob(checksum.hex())
        path.chmod(0o644)
        path.write_bytes(b"garbage")
        forget_memory()

    return change


def test_a_damaged_result_is_computed_again_with_a_warning(damaged, tmp_path):
    counter = tmp_path / "counter"
    step = delayed(steps.counted)
    damaged(step(5, str(counter)).compute())
    with pytest.warns(UserWarning, match="corrupted buffer .* computed again"):
        assert direct(step)(5, str(counter)) == 10
    assert counter.read_text() == "xx"


def test_a_damaged_input_is_named_in_the_failure(damaged, store):
    value = Buffer([1, 2, 3], "mixed")
    value.write_sync()
    checksum = value.get_checksum()
    del value
    damaged(checksum)
    tf = delayed(lambda x: x)(checksum).start()
    with pytest.raises(TransformationError, match=f"an input of the transformation is damaged.*{checksum}") as caught:
        tf.run()
    assert isinstance(caught.value.__cause__, BufferCorruptionError)


def test_a_read_only_store_gives_hits_and_new_values_with_one_warning(store, tmp_path, forget_memory):
    direct(steps.add)(1, 2)
    forget_memory()
    read_only = open_embedded(tmp_path / "cache", writable=False)
    session.activate([read_only.buffers], [read_only.results])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert direct(steps.add)(1, 2) == 3
    with pytest.warns(UserWarning, match="is read-only: new results are kept in the memory") as caught:
        assert [direct(steps.add)(i, 2) for i in (5, 6, 5)] == [7, 8, 7]
    assert len(caught) == 1


class FullBuffers:
    name, writable = "full", True

    def get(self, checksum):
        return None

    open = length = get

    def has(self, checksums):
        return [False] * len(checksums)

    def put(self, items):
        raise StoreFullError("no room in full")


def test_a_full_store_fails_the_step_and_what_depends_on_it_in_every_way_to_run(tmp_path):
    session.activate([FullBuffers()], [])
    first = delayed(steps.add)(1, 2)
    with pytest.raises(StoreFullError):
        first.run()
    assert first.status == "Status: exception"
    with pytest.raises(StoreFullError):
        delayed(steps.add)(first, 2).start().run()
    assert ["no room" in tf.exception for tf in parallel([delayed(steps.add)(i, 1) for i in range(3)])] == [True] * 3
    session.activate()
    first.clear_exception()
    assert first.run() == 3


def executed_but_not_kept(counter):
    """Return the handle of a step that was executed once, while no store had room."""
    session.activate([FullBuffers()], [])
    step = delayed(steps.counted)(5, str(counter))
    with pytest.raises(StoreFullError):
        step.run()
    return step


def test_a_result_that_no_store_would_take_is_not_computed_again_when_it_is_tried_again(tmp_path, store):
    counter = tmp_path / "counter"
    first = executed_but_not_kept(counter)
    session.activate([store.buffers], [store.results])
    first.clear_exception()
    assert first.run() == 10
    assert counter.read_text() == "x"
    assert store.results.get_result(first.transformation_checksum) == first.result_checksum


def test_another_result_takes_the_place_of_one_whose_buffer_is_lost(store, tmp_path, forget_memory):
    def now(path):
        with open(path) as f:
            return f.read()

    (tmp_path / "value").write_text("old")
    lost = delayed(now)(str(tmp_path / "value")).compute()
    (tmp_path / "value").write_text("new")
    forget_memory()
    for path in (tmp_path / "cache").rglob(lost.hex()):
        path.unlink()
    tf = delayed(now)(str(tmp_path / "value"))
    assert tf.run() == "new"
    assert store.results.get_result(tf.transformation_checksum) == tf.result_checksum


def test_a_result_that_cannot_be_computed_again_is_a_cache_miss(store, forget_memory):
    checksum = Buffer(b"nobody makes this").get_checksum()
    with pytest.raises(CacheMissError):
        checksum.fingertip_sync()


def test_what_no_store_would_take_is_known_without_another_execution_once_there_is_one_that_does(tmp_path, store):
    counter = tmp_path / "counter"
    first = executed_but_not_kept(counter)
    runner.keep_unkept()  # there is still no room
    session.activate([store.buffers], [store.results])
    runner.keep_unkept()
    assert store.results.get_result(first.transformation_checksum) is not None
    assert counter.read_text() == "x"
    assert runner.unkept.left == []
