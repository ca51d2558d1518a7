"""The threads behind `start()`."""

import threading
import time

from seamless.util.thread_pool import ThreadPool


def seamless_threads():
    return [t for t in threading.enumerate() if t.name == "SeamlessExecutor" and t.is_alive()]


def test_idle_threads_end_on_demand_and_new_work_starts_others():
    before = set(seamless_threads())
    pool = ThreadPool(3)
    for _ in range(2):
        done = threading.Barrier(4)
        for _ in range(3):
            pool.submit(lambda done=done: done.wait(10))
        done.wait(10)
        pool.end_idle(10)
        deadline = time.monotonic() + 10
        while set(seamless_threads()) - before:  # one may just be coming back from its work
            assert time.monotonic() < deadline, "idle threads are left"
            time.sleep(0.001)


def test_a_thread_that_works_is_not_waited_for():
    pool = ThreadPool(1)
    started, gate = threading.Event(), threading.Event()
    pool.submit(lambda: (started.set(), gate.wait(10)))
    assert started.wait(10)
    pool.end_idle(10)
    assert not gate.is_set()
    gate.set()
