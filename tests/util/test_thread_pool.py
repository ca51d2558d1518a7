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


def held(pool, number, *, slow=False):
    """Submit pieces of work that wait; return the events of those that have begun, and what ends them."""
    begun, gate = [threading.Event() for _ in range(number)], threading.Event()

    def work(i):
        if slow:
            with pool.slow():
                begun[i].set()
                gate.wait(10)
        else:
            begun[i].set()
            gate.wait(10)

    for i in range(number):
        pool.submit(lambda i=i: work(i))
    return begun, gate


def test_a_keen_pool_has_no_more_threads_than_it_wants_while_none_is_slow():
    pool = ThreadPool(4)
    pool.keen = 2
    begun, gate = held(pool, 4)
    assert begun[0].wait(10) and begun[1].wait(10)
    assert pool._threads == 2
    gate.set()
    assert begun[2].wait(10) and begun[3].wait(10)


def test_work_that_is_slow_makes_room_for_more_up_to_the_limit():
    pool = ThreadPool(4)
    pool.keen = 2
    begun, gate = held(pool, 6, slow=True)
    assert all(event.wait(10) for event in begun[:4])
    assert pool._threads == 4
    gate.set()
    assert begun[4].wait(10) and begun[5].wait(10)


def test_threads_that_were_needed_beside_slow_ones_wait_when_those_are_back():
    pool = ThreadPool(4)
    pool.keen = 1
    slow, back = held(pool, 3, slow=True)
    assert all(event.wait(10) for event in slow)
    back.set()
    for _ in range(3):
        begun, gate = held(pool, 3)
        assert begun[0].wait(10)
        assert sum(event.is_set() for event in begun) == 1
        gate.set()
        assert all(event.wait(10) for event in begun)
    pool.end_idle(10)
    assert pool._threads <= 1  # the last one may just be coming back


def test_slow_work_outside_of_the_pool_counts_for_nothing():
    pool = ThreadPool(1)
    pool.keen = 1
    with pool.slow():
        assert pool._slow == 0
