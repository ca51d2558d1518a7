"""Steps that call steps: handed back to the parent, never a deadlock, never more at once than there are workers."""

import os

import pytest

from seamless.transformer import delayed, direct, spawn, worker
from tests.transformer.workers import support
from tests.transformer.workers.support import eventually


def outer_of(count):
    from seamless.transformer import delayed, parallel

    @delayed
    def inner(i):
        import os

        return [i, os.getpid()]

    return [handle.run() for handle in parallel(inner(i) for i in range(count))]


def test_nested_steps_are_executed_by_other_workers(workers):
    found = direct(outer_of)(20)
    assert [number for number, _ in found] == list(range(20))
    assert os.getpid() not in {pid for _, pid in found}


def test_one_worker_is_enough_for_steps_in_steps_in_steps(workers):
    def recursive(n):
        from seamless.transformer import direct

        @direct
        def leaf(n):
            return n

        @direct
        def middle(n):
            from seamless.transformer import direct

            @direct
            def below(n):
                return n + 1

            return below(n) + below(n + 1)

        return middle(n) + leaf(n)

    worker.shutdown_workers()
    spawn(1)
    assert direct(recursive)(10) == 11 + 12 + 10


@pytest.mark.filterwarnings("ignore:the step")  # imports a module that is not part of it
def test_a_very_deep_chain_is_executed_in_a_bounded_number_of_processes(workers, tmp_path, monkeypatch):
    (tmp_path / "deep_countdown.py").write_text(
        "from seamless.transformer import direct\n"
        "@direct\n"
        "def step(n, path):\n"
        "    import os, sys\n"
        "    sys.path.insert(0, path)\n"
        "    import deep_countdown\n"
        "    below = [] if n == 0 else deep_countdown.step(n - 1, path)\n"
        "    return [*below, os.getpid()]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import deep_countdown

    found = deep_countdown.step(60, str(tmp_path))
    assert len(found) == 61
    assert len(set(found)) <= workers._slots.most


def test_many_drivers_at_once_do_not_block_each_other(workers):
    def driver(n):
        from seamless.transformer import direct

        @direct
        def inner(i):
            return i * i

        return sum(inner(n * 10 + i) for i in range(3))

    handles = [delayed(driver)(n).start() for n in range(40)]
    assert [h.run() for h in handles] == [sum((n * 10 + i) ** 2 for i in range(3)) for n in range(40)]


def test_no_more_steps_are_active_than_there_are_workers(workers, tmp_path):
    def driver(n, directory):
        from seamless.transformer import direct

        @direct
        def inner(i, directory):
            import os
            import time

            mark = os.path.join(directory, str(i))
            open(mark, "w").close()
            count = len(os.listdir(directory))
            time.sleep(0.01)
            os.remove(mark)
            return count

        return max(inner(n * 10 + i, directory) for i in range(3))

    handles = [delayed(driver)(n, str(tmp_path)).start() for n in range(6)]
    assert max(handle.run() for handle in handles) <= 2


def test_a_nested_step_is_known_afterwards(workers, tmp_path):
    def outer(path):
        from seamless.transformer import direct

        @direct
        def counted(path):
            with open(path, "a") as file:
                file.write("x")
            return 5

        return counted(path) + counted(path)

    def again(path):
        from seamless.transformer import direct

        @direct
        def counted(path):
            with open(path, "a") as file:
                file.write("x")
            return 5

        return -counted(path)

    path = str(tmp_path / "count")
    assert direct(outer)(path) == 10
    assert direct(again)(path) == -5
    assert (tmp_path / "count").read_text() == "x"


def test_the_failure_of_a_nested_step_is_that_of_the_outer_one_if_it_does_not_deal_with_it(workers):
    def outer(x):
        from seamless.transformer import direct

        @direct
        def inner(x):
            raise ValueError("nested", x)

        return inner(x)

    handle = delayed(outer)(1)
    assert handle.compute() is None
    assert "ValueError: ('nested', 1)" in handle.exception
    assert "<transformer inner>" in handle.exception


def test_a_step_may_deal_with_the_failure_of_a_nested_one(workers):
    def outer(x):
        from seamless.transformer import TransformationError, direct

        @direct
        def inner(x):
            import os

            os._exit(9)

        try:
            return inner(x)
        except TransformationError as exc:
            return "status 9" in str(exc)

    assert direct(outer)(1) is True


def test_a_nested_step_with_a_large_value_both_ways(workers):
    def outer(size):
        from seamless.transformer import direct

        @direct
        def inner(data):
            return data[::-1]

        inner.celltypes.data = "bytes"
        inner.celltypes.result = "bytes"
        data = bytes(range(250)) * size
        return inner(data) == data[::-1]

    assert direct(outer)(20_000) is True


def test_a_result_passed_from_step_to_step_need_not_be_looked_at(workers):
    def outer(size):
        from seamless.transformer import delayed

        @delayed
        def make(size):
            return "x" * size

        @delayed
        def measure(text):
            return len(text)

        return measure(make(size)).run()

    assert direct(outer)(500_000) == 500_000


def test_a_step_may_start_nested_steps_and_await_them(workers):
    def outer(n):
        import asyncio

        from seamless.transformer import delayed

        @delayed
        def inner(i):
            return i * 2

        async def gathered():
            return await asyncio.gather(*[inner(i).task() for i in range(n)])

        return asyncio.run(gathered())

    worker.shutdown_workers()
    spawn(1)
    assert direct(outer)(8) == [0, 2, 4, 6, 8, 10, 12, 14]


@pytest.mark.filterwarnings("ignore:the step")  # imports a module that is not part of it
def test_a_step_that_needs_its_own_result_fails_instead_of_hanging(workers, tmp_path, monkeypatch):
    (tmp_path / "serpent.py").write_text(
        "from seamless.transformer import direct\n"
        "@direct\n"
        "def bite(x):\n"
        "    import serpent\n"
        "    return serpent.bite(x)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import serpent

    handle = delayed(serpent.bite)(1)
    assert handle.compute() is None
    assert "needs its own result" in handle.exception


def test_a_local_nested_step_is_executed_by_the_worker_that_wants_it(workers):
    def outer(x):
        import os

        from seamless.transformer import direct

        @direct
        def inner(x):
            import os

            return os.getpid()

        inner.local = True
        return [os.getpid(), inner(x)]

    first, second = direct(outer)(1)
    assert first == second != os.getpid()


def test_canceling_a_step_stops_what_it_has_begun(workers, tmp_path):
    def outer(begun):
        from seamless.transformer import direct

        @direct
        def inner(begun):
            import os
            import time

            with open(begun, "w") as file:
                file.write(str(os.getpid()))
            while True:
                time.sleep(1)

        return inner(begun)

    handle = delayed(outer)(str(tmp_path / "begun")).start()
    pid = int(eventually(lambda: (tmp_path / "begun").exists() and (tmp_path / "begun").read_text()))
    handle.cancel()
    eventually(lambda: not support.is_alive(pid))
    assert direct(support.add)(2, 2) == 4


def test_a_nested_crash_is_that_of_the_nested_step_only(workers, tmp_path):
    def outer(path):
        from seamless.transformer import delayed

        @delayed
        def crashes(path):
            import os
            import signal

            os.kill(os.getpid(), signal.SIGKILL)

        with open(path, "a") as file:
            file.write("x")
        return crashes(path).compute() is None

    assert direct(outer)(str(tmp_path / "outer")) is True
    assert (tmp_path / "outer").read_text() == "x"


def test_a_nested_command_is_executed_too(workers):
    def outer(word):
        from seamless.transformer import direct

        command = direct("echo $word | tr a-z A-Z > RESULT", "bash")
        command.celltypes.word = "str"
        command.celltypes.result = "text"
        return command(word=word).strip()

    assert direct(outer)("loud") == "LOUD"


def test_a_step_resolves_any_buffer_of_the_program(workers):
    import seamless

    def reads(checksum):
        import seamless

        return seamless.Checksum(checksum).resolve("text")

    buffer = seamless.Buffer("somewhere in the parent", "text")
    digest = buffer.get_checksum().hex()
    step = direct(reads)
    step.celltypes.checksum = "str"
    assert step(digest).strip() == "somewhere in the parent"


def test_the_slots_are_all_free_afterwards(workers):
    direct(outer_of)(10)
    eventually(lambda: workers._slots._active == 0 and workers._slots._begun == 0)
    eventually(lambda: len(workers.pids()) == 2)
