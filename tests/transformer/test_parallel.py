"""Many transformations at once."""

import asyncio

import pytest
import steps

from seamless.session import session
from seamless.transformer import TransformationList, delayed, parallel, parallel_async
from seamless.transformer.parallelism import bound


def test_yields_handles_in_input_order():
    add = delayed(steps.add)
    handles = [add(i, 100) for i in range(30)]
    assert list(parallel(handles)) == handles
    assert [tf.value for tf in handles] == [i + 100 for i in range(30)]


def test_failures_do_not_raise():
    handles = list(parallel([delayed(steps.fails)(1), delayed(steps.add)(1, 1)]))
    assert handles[0].exception is not None
    assert handles[1].value == 2


def test_consumes_a_generator_lazily():
    made = []

    def source():
        for i in range(50):
            made.append(i)
            yield delayed(steps.add)(i, 200)

    stream = parallel(source(), nparallel=4)
    next(stream)
    assert len(made) < 20
    assert len(list(stream)) == 49


def test_the_bound_can_be_configured_and_is_checked(monkeypatch):
    assert bound() >= 1
    monkeypatch.setattr(session, "nparallel", 3)
    assert bound() == 3
    assert bound(7) == 7
    for wrong in (0, -1, 2.5, True, "4"):
        with pytest.raises(ValueError, match="nparallel"):
            bound(wrong)


def test_at_most_nparallel_run_at_once(tmp_path):
    def tracked(i, directory):
        import os
        import time

        path = os.path.join(directory, str(i))
        open(path, "w").close()
        seen = len(os.listdir(directory))
        time.sleep(0.01)
        os.unlink(path)
        return seen

    step = delayed(tracked)
    handles = list(parallel([step(i, str(tmp_path)) for i in range(12)], nparallel=2))
    assert max(tf.value for tf in handles) <= 2


def test_list_counts_and_keeps_details():
    handles = TransformationList(
        [delayed(steps.add)(1, 2), delayed(steps.fails)(9)], show_progress=False, store_details=True
    )
    list(parallel(handles))
    assert (handles._finished, handles._errors, handles._cancelled, handles._total) == (2, 1, 0, 2)
    assert list(handles) == [None, None]
    assert "ValueError" in handles._stored_exceptions[1]
    assert handles._stored_checksums[0] is not None


def test_on_error_raise_stops_and_names_the_transformation():
    handles = TransformationList([delayed(steps.fails)(i) for i in range(3)], show_progress=False, on_error="raise")
    with pytest.raises(RuntimeError, match=r"Transformation \d failed:\n"):
        list(parallel(handles))


def test_on_error_must_be_known():
    with pytest.raises(ValueError, match="on_error"):
        TransformationList([], on_error="ignore")


def test_hooks_of_any_iterable_are_called():
    calls = []

    class Hooked(list):
        def finish(self, index):
            calls.append(index)

        def close(self):
            calls.append("closed")

    list(parallel(Hooked([delayed(steps.add)(i, 300) for i in range(3)])))
    assert sorted(calls[:-1]) == [0, 1, 2]
    assert calls[-1] == "closed"


def test_leaving_early_cancels_the_rest(tmp_path):
    def waits(path):
        import os
        import time

        while not os.path.exists(path):
            time.sleep(0.005)

    slow = delayed(waits)(str(tmp_path / "gate"))
    stream = parallel([delayed(steps.add)(1, 400), slow])
    next(stream)
    stream.close()
    assert slow.status == "Status: canceled"
    (tmp_path / "gate").touch()


def test_async_form_works_inside_a_loop_and_the_other_is_refused_there():
    async def main():
        with pytest.raises(RuntimeError, match="parallel_async"):
            parallel([])
        return [tf.value async for tf in parallel_async([delayed(steps.add)(i, 500) for i in range(10)])]

    assert asyncio.run(main()) == [i + 500 for i in range(10)]


def test_dependencies_are_started_too():
    add = delayed(steps.add)
    handles = [add(add(i, 1), add(i, 2)) for i in range(10)]
    assert [tf.value for tf in parallel(handles, nparallel=2)] == [2 * i + 3 for i in range(10)]
