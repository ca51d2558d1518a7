"""Executing again to compare, looking without executing, and dicts with raw values."""

import pytest
import steps

from seamless import CacheMissError, Checksum
from seamless.session import session
from seamless.stores.embedded import open_embedded
from seamless.transformer import PreTransformation, TransformationError, delayed, transformation_from_pretransformation


def clock(path):
    with open(path, "a") as f:
        f.write("x")
    with open(path) as f:
        return f.read()


def test_recompute_executes_again_and_finds_the_same_result(tmp_path):
    counter = tmp_path / "counter"
    tf = delayed(steps.counted)(21, str(counter))
    tf.compute()
    comparison = tf.recompute()
    assert counter.read_text() == "xx"
    assert comparison.equal is True
    assert comparison.cached == comparison.new == tf.result_checksum


def test_recompute_without_a_known_result_has_nothing_to_compare():
    comparison = delayed(steps.add)(2, 3).recompute()
    assert (comparison.cached, comparison.equal, comparison.error) == (None, None, None)
    assert comparison.new.resolve("mixed") == 5


def test_recompute_contests_a_result_that_is_not_reproduced(tmp_path):
    store = open_embedded(tmp_path / "cache")
    session.activate([store.buffers], [store.results])
    tf = delayed(clock)(str(tmp_path / "clock"))
    first = tf.compute()
    comparison = tf.recompute()
    assert comparison.equal is False
    assert (comparison.cached.resolve("mixed"), comparison.new.resolve("mixed")) == ("x", "xx")
    contested = store.results.get_irreproducible(tf.transformation_checksum)
    assert [entry["result"] for entry in contested] == [first.hex()]
    assert not delayed(clock)(str(tmp_path / "clock")).is_cached()


def test_recompute_tells_why_there_is_no_new_result(tmp_path):
    def first_time_only(path):
        import os

        os.mkdir(path)

    tf = delayed(first_time_only)(str(tmp_path / "made"))
    tf.compute()
    comparison = tf.recompute()
    assert comparison.new is None
    assert "FileExistsError" in comparison.error
    assert delayed(first_time_only)(str(tmp_path / "made")).is_cached()


def test_compute_without_execution_gives_only_what_is_known(tmp_path):
    counter = tmp_path / "counter"
    inner = delayed(steps.counted)(21, str(counter))
    outer = delayed(steps.add)(inner, 1)
    assert outer.compute(execute=False) is None
    assert not counter.exists()
    checksum = outer.compute()
    again = delayed(steps.add)(delayed(steps.counted)(21, str(counter)), 1)
    assert again.compute(execute=False) == checksum
    assert again.status == "Status: OK"
    assert counter.read_text() == "x"


def test_the_cause_of_a_failure_reaches_what_depends_on_it():
    def divide(x):
        return 1 / x

    tf = delayed(steps.add)(delayed(steps.add)(delayed(divide)(0), 1), 1)
    with pytest.raises(TransformationError) as caught:
        tf.run()
    assert caught.value.original_type == tf.original_type == "ZeroDivisionError"
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


PREPARED = {
    "__language__": "python",
    "__output__": ["result", "mixed", None],
    "code": ["python", "transformer", "def add(a, b):\n    return a + b\n"],
    "a": ["mixed", None, 2],
    "b": ["mixed", None, 3],
}


def test_a_dict_with_raw_values_becomes_the_transformation_of_the_same_call():
    pre = PreTransformation(PREPARED)
    prepared = pre.prepare_transformation()
    assert prepared["a"] == ["mixed", None, Checksum.of(b"2\n").hex()]
    tf = transformation_from_pretransformation(pre)
    pre.release()
    assert tf.run() == 5
    assert tf.transformation_checksum.hex() == "7e06538015b738a10ce09a4a79d814e2c017b8de63b258e77f7a0a282def1434"


def test_a_dict_with_raw_values_needs_a_language():
    with pytest.raises(ValueError, match="__language__"):
        PreTransformation({"code": ["python", "transformer", "1"]})


def test_release_lets_go_of_the_values():
    import gc

    from seamless import CacheMissError

    pre = PreTransformation({**PREPARED, "a": ["mixed", None, "only here"]})
    checksum = Checksum(pre.prepare_transformation()["a"][2])
    assert checksum.resolve("mixed") == "only here"
    pre.release()
    gc.collect()
    with pytest.raises(CacheMissError):
        checksum.resolve()


def backwards(text):
    return text[::-1]


def same(text):
    return text


@pytest.mark.parametrize("function", [same, backwards])
def test_what_is_needed_to_compute_itself_is_a_miss(tmp_path, function):
    store = open_embedded(tmp_path / "cache")
    session.activate([store.buffers], [store.results])
    results = [delayed(function)(text).compute() for text in ("ab", "ba")]
    session.reset()
    store = open_embedded(tmp_path / "cache")
    session.activate([store.buffers], [store.results])
    assert [store.buffers.remove(result) for result in results] == [True, True]
    for result in results:
        with pytest.raises(CacheMissError, match=result.hex()):
            result.fingertip_sync()
