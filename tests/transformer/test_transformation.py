"""The life of a Transformation: construct, compute, run, start, cancel, retry; sync and asyncio."""

import asyncio
import threading

import pytest
import steps

from seamless import CacheMissError
from seamless.transformer import TransformationError, delayed, direct, transformation_from_dict


def gate_step(path):
    import os
    import time

    while not os.path.exists(path):
        time.sleep(0.005)
    return "opened"


def wait_until(condition, seconds=10):
    import time

    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "condition did not come true"
        time.sleep(0.002)


def test_a_step_runs_once(tmp_path):
    counter = tmp_path / "counter"
    for _ in range(3):
        assert direct(steps.counted)(21, str(counter)) == 42
    assert counter.read_text() == "x"


def test_properties_before_and_after():
    tf = delayed(steps.add)(2, 3)
    assert tf.status == "Status: ready"
    with pytest.raises(TransformationError, match="Transformation has not been constructed"):
        _ = tf.transformation_checksum
    tf.construct()
    assert tf.transformation_checksum.resolve("plain")["__language__"] == "python"
    with pytest.raises(TransformationError, match="Transformation has not been computed"):
        _ = tf.result_checksum
    assert tf.compute() == tf.result_checksum
    assert tf.status == "Status: OK"
    assert tf.value == tf.run() == tf.result == 5
    assert tf.buffer.content == b"5\n"
    assert tf.celltype == "mixed"
    assert tf.exception is None


def test_definition_is_immutable():
    tf = delayed(steps.add)(2, 3)
    with pytest.raises(TransformationError, match="immutable"):
        tf.meta = {}
    with pytest.raises(TransformationError, match="immutable"):
        tf.scratch = True
    with pytest.raises(TypeError):
        tf.meta["local"] = True


def test_a_failure_shows_the_users_own_lines_and_output():
    tf = delayed(steps.fails)(2)
    assert tf.compute() is None
    assert tf.status == "Status: exception"
    text = tf.exception
    assert text.endswith("\n")
    assert 'raise ValueError("bad", x)' in text
    assert "ValueError: ('bad', 2)" in text
    assert "before the failure" in text
    assert tf.transformation_checksum.hex() in text
    assert "seamless/transformer" not in text
    with pytest.raises(TransformationError, match="Transformation returned an exception:\n") as info:
        tf.run()
    assert isinstance(info.value.__cause__, ValueError)
    assert info.value.original_type == "ValueError"


def test_a_failure_is_not_cached_and_can_be_retried(tmp_path):
    def once(path):
        import os

        if not os.path.exists(path):
            open(path, "w").close()
            raise RuntimeError("first time")
        return "second time"

    tf = delayed(once)(str(tmp_path / "flag"))
    assert tf.compute() is None
    tf.clear_exception()
    assert tf.run() == "second time"


def test_sys_exit_is_an_ordinary_failure():
    def leaves(x):
        import sys

        sys.exit(3)

    tf = delayed(leaves)(1)
    assert tf.compute() is None
    assert "sys.exit(3)" in tf.exception


def test_a_dependency_has_the_identity_of_its_value():
    add = delayed(steps.add)
    assert add(add(1, 2), 10).construct() == add(3, 10).construct()
    assert add(add(1, 2), add(3, 4)).run() == 10


def test_a_failed_dependency_is_named_once_per_level():
    add = delayed(steps.add)
    tf = add(add(delayed(steps.fails)(1), 2), 3)
    assert tf.compute() is None
    assert tf.exception.startswith("RuntimeError: Dependency 'a' has an exception:\n")
    assert tf.exception.count("Dependency 'a' has an exception") == 2
    assert "ValueError: ('bad', 1)" in tf.exception
    with pytest.raises(TransformationError, match="Transformation construction returned an exception"):
        tf.run()


def test_transformations_nested_in_containers_are_dependencies():
    def total(xs):
        return sum(xs)

    add = delayed(steps.add)
    tf = delayed(total)([add(1, 2), 5, add(3, 4)])
    assert tf.run() == 15
    assert tf.transformation_checksum == delayed(total)([3, 5, 7]).construct()


def test_start_really_starts(tmp_path):
    gate = tmp_path / "gate"
    tf = delayed(gate_step)(str(gate)).start()
    assert tf.status == "Status: pending"
    gate.touch()
    wait_until(lambda: tf.status == "Status: OK")
    assert tf.run() == "opened"


def test_the_same_step_under_way_is_joined(tmp_path):
    counter, gate = tmp_path / "counter", tmp_path / "gate"

    def slow(counter, gate):
        import os
        import time

        with open(counter, "a") as f:
            f.write("x")
        while not os.path.exists(gate):
            time.sleep(0.005)
        return 1

    handles = [delayed(slow)(str(counter), str(gate)).start() for _ in range(5)]
    wait_until(counter.exists)
    gate.touch()
    assert [tf.run() for tf in handles] == [1] * 5
    assert counter.read_text() == "x"


def test_strict_submission_with_another_envelope_is_refused(tmp_path):
    gate = tmp_path / "gate"
    running = delayed(gate_step)(str(gate)).start()
    wait_until(lambda: running._submission is not None)
    tf_dict = running.transformation_checksum.resolve("plain")
    other = transformation_from_dict(tf_dict, meta={"other": 1}, strict_dunder=True)
    with pytest.raises(RuntimeError, match="already running with a different dunder envelope"):
        other.compute()
    joined = transformation_from_dict(tf_dict, meta={"other": 1})
    gate.touch()
    assert joined.run() == "opened"


def test_cancel_is_final_for_the_handle(tmp_path):
    tf = delayed(gate_step)(str(tmp_path / "never")).start()
    assert tf.cancel() is True
    assert tf.cancel() is False
    assert tf.status == "Status: canceled"
    assert tf.exception == "Transformation was canceled"
    assert tf.compute() is None
    with pytest.raises(TransformationError, match="Transformation was canceled"):
        tf.run()
    (tmp_path / "never").touch()


def test_a_handle_that_was_never_started_can_be_cancelled():
    tf = delayed(steps.add)(1, 2)
    assert tf.cancel() is True
    with pytest.raises(TransformationError, match="canceled"):
        _ = tf.result_checksum
    assert delayed(steps.add)(1, 2).run() == 3


def test_a_finished_handle_cannot_be_cancelled():
    tf = delayed(steps.add)(1, 2)
    tf.compute()
    assert tf.cancel() is False
    assert tf.run() == 3


def test_logs_hold_what_a_successful_step_printed():
    def talks(x):
        import sys

        print("to stdout")
        print("to stderr", file=sys.stderr)
        return x

    tf = delayed(talks)(1)
    tf.run()
    assert "to stdout" in tf.logs
    assert "to stderr" in tf.logs


def test_a_timeout_gives_the_step_up(tmp_path):
    step = delayed(gate_step)
    step.timeout = 0.05
    tf = step(str(tmp_path / "never"))
    assert tf.compute() is None
    assert "Timeout" in tf.exception
    (tmp_path / "never").touch()


def test_scratch_results_are_recomputed_when_their_buffer_is_gone(tmp_path):
    from seamless.cache.buffer_cache import get_buffer_cache

    counter = tmp_path / "counter"
    step = delayed(steps.counted)
    step.scratch = True
    tf = step(5, str(counter))
    checksum = tf.compute()
    assert tf.scratch
    tf._outcome.kept.clear()
    get_buffer_cache().purge_scratch()
    with pytest.raises(CacheMissError):
        _ = tf.value
    assert tf.run() == 10
    assert counter.read_text() == "xx"
    assert checksum == tf.result_checksum


def test_fingertip_recomputes_by_result_checksum(tmp_path):
    from seamless.cache.buffer_cache import get_buffer_cache

    step = delayed(steps.counted)
    step.scratch = True
    tf = step(6, str(tmp_path / "counter"))
    checksum = tf.compute()
    tf._outcome.kept.clear()
    get_buffer_cache().purge_scratch()
    assert checksum.fingertip_sync("mixed") == 12


def test_inside_an_event_loop_blocking_is_refused_and_tasks_work():
    async def main():
        tf = delayed(steps.add)(4, 5)
        for blocking in (tf.run, tf.compute, lambda: direct(steps.add)(4, 6)):
            with pytest.raises(RuntimeError, match="Cannot block on"):
                blocking()
        assert await tf.task() == 9
        assert await delayed(steps.add)(4, 7) == 11
        assert await delayed(steps.add)(4, 8).computation() is not None
        add = delayed(steps.add)
        return await asyncio.gather(*[add(i, add(i, 1)).task() for i in range(10)])

    assert asyncio.run(main()) == [2 * i + 1 for i in range(10)]


def test_tasks_run_at_once():
    barrier_code = (
        "import time\nresult = time.monotonic_ns()\ntime.sleep(0.1)\nresult = [result, time.monotonic_ns(), n]"
    )

    async def main():
        step = delayed(barrier_code)
        step.celltypes.n = "int"
        return await asyncio.gather(*[step(n=i).task() for i in range(3)])

    spans = asyncio.run(main())
    assert max(start for start, _, _ in spans) < min(end for _, end, _ in spans)


def test_cancelling_the_task_cancels_the_transformation(tmp_path):
    async def main():
        tf = delayed(gate_step)(str(tmp_path / "never"))
        task = tf.task()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return tf.status

    assert asyncio.run(main()) == "Status: canceled"
    (tmp_path / "never").touch()


def test_nested_transformations_do_not_deadlock_a_small_pool(monkeypatch):
    from seamless.transformer import pool as pool_module

    monkeypatch.setattr(pool_module.pool, "limit", 1)

    def inner(x):
        return x + 1

    def outer(x):
        from seamless.transformer import parallel

        return [tf.run() for tf in parallel([step(step(x + i)) for i in range(3)])]  # noqa: F821

    driver = delayed(outer)
    driver.globals.step = delayed(inner)
    handles = [driver(10 * i).start() for i in range(3)]
    assert [tf.run() for tf in handles] == [[2, 3, 4], [12, 13, 14], [22, 23, 24]]


def test_calls_from_many_threads_agree():
    results = []

    def work():
        results.append([direct(steps.add)(i, 1) for i in range(50)])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[i + 1 for i in range(50)]] * 4


def test_from_dict_gives_a_handle_for_a_prepared_transformation():
    tf = delayed(steps.add)(2, 3)
    tf.construct()
    tf_dict = tf.transformation_checksum.resolve("plain")
    again = transformation_from_dict({**tf_dict, "__meta__": {"local": True}})
    assert again.construct() == tf.transformation_checksum
    assert again.run() == 5
    with pytest.raises(ValueError, match="__nonsense__"):
        transformation_from_dict({**tf_dict, "__nonsense__": 1})


def test_is_cached_tells_without_executing(tmp_path):
    counter = tmp_path / "counter"
    tf = delayed(steps.counted)(1, str(counter))
    assert tf.is_cached() is False
    assert not counter.exists()
    tf.compute()
    assert delayed(steps.counted)(1, str(counter)).is_cached() is True


def test_a_command_under_way_ends_with_the_process(tmp_path):
    import subprocess
    import sys
    from pathlib import Path

    program = (
        "import sys, time, os\n"
        "from seamless.transformer import delayed\n"
        f"delayed('echo $$ > {tmp_path}/pid.tmp; mv {tmp_path}/pid.tmp {tmp_path}/pid; sleep 100', 'bash')().start()\n"
        f"while not os.path.exists('{tmp_path}/pid'): time.sleep(0.005)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
    stat = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
    wait_until(lambda: not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z")


def test_a_command_that_takes_too_long_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    step = delayed("sleep 100", "bash")
    step.timeout = 0.1
    tf = step()
    assert tf.compute() is None
    assert "time" in tf.exception.lower()
    assert list(tmp_path.iterdir()) == []
