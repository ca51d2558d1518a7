"""The threads behind `start()`."""

import os
import random
import subprocess
import sys
import threading
import time
import weakref

import pytest

from seamless.util.thread_pool import ThreadPool


def seamless_threads():
    return [t for t in threading.enumerate() if t.name == "SeamlessExecutor" and t.is_alive()]


def test_idle_threads_end_on_demand_and_new_work_starts_others():
    before = set(seamless_threads())
    pool = ThreadPool(3)
    for _ in range(2):
        done = threading.Barrier(4)
        for _ in range(3):
            pool.submit(lambda done=done: done.wait(60))
        done.wait(60)
        pool.end_idle(60)
        deadline = time.monotonic() + 10
        while set(seamless_threads()) - before:  # one may just be coming back from its work
            assert time.monotonic() < deadline, "idle threads are left"
            time.sleep(0.001)


def test_a_thread_that_works_is_not_waited_for():
    pool = ThreadPool(1)
    started, gate = threading.Event(), threading.Event()
    pool.submit(lambda: (started.set(), gate.wait(60)))
    assert started.wait(60)
    pool.end_idle(60)
    assert not gate.is_set()
    gate.set()


def settled(pool):
    """Wait until all threads are idle; whatever the pool counts must then be zero."""
    deadline = time.monotonic() + 60
    while not (pool._idle == pool._threads and not pool._queue):
        assert time.monotonic() < deadline, "some thread does not come back"
        time.sleep(0.001)
    assert (pool._slow, pool._away, pool._busy) == (0, 0, set())
    assert len(pool._members) == len(pool._all) == pool._threads


def held(pool, number, *, slow=False):
    """Submit pieces of work that wait; return the events of those that have begun, and what ends them."""
    begun, gate = [threading.Event() for _ in range(number)], threading.Event()

    def work(i):
        if slow:
            with pool.slow():
                begun[i].set()
                gate.wait(60)
        else:
            begun[i].set()
            gate.wait(60)

    for i in range(number):
        pool.submit(lambda i=i: work(i))
    return begun, gate


def test_a_keen_pool_has_no_more_threads_than_it_wants_while_none_is_slow():
    pool = ThreadPool(4)
    pool.keen = 2
    begun, gate = held(pool, 4)
    assert begun[0].wait(60) and begun[1].wait(60)
    assert pool._threads == 2
    gate.set()
    assert begun[2].wait(60) and begun[3].wait(60)


def test_work_that_is_slow_makes_room_for_more_up_to_the_limit():
    pool = ThreadPool(4)
    pool.keen = 2
    begun, gate = held(pool, 6, slow=True)
    assert all(event.wait(60) for event in begun[:4])
    assert pool._threads == 4
    gate.set()
    assert begun[4].wait(60) and begun[5].wait(60)


def test_threads_that_were_needed_beside_slow_ones_wait_when_those_are_back():
    pool = ThreadPool(4)
    pool.keen = 1
    slow, back = held(pool, 3, slow=True)
    assert all(event.wait(60) for event in slow)
    back.set()
    for _ in range(3):
        begun, gate = held(pool, 3)
        assert begun[0].wait(60)
        assert sum(event.is_set() for event in begun) == 1
        gate.set()
        assert all(event.wait(60) for event in begun)
    settled(pool)
    pool.end_idle(60)
    assert pool._threads == 0


def test_slow_work_outside_of_the_pool_counts_for_nothing():
    pool = ThreadPool(1)
    pool.keen = 1
    with pool.slow():
        assert pool._slow == 0


def test_who_is_slow_in_two_ways_makes_room_for_one():
    pool = ThreadPool(4)
    pool.keen = 1
    inside, gate = threading.Event(), threading.Event()

    def twice():
        with pool.slow(), pool.slow():
            inside.set()
            gate.wait(60)

    pool.submit(twice)
    assert inside.wait(60)
    assert (pool._slow, pool._away) == (1, 0)
    begun, back = held(pool, 2)
    assert begun[0].wait(60)
    assert pool._threads == 2
    gate.set()
    back.set()
    assert begun[1].wait(60)


def test_who_is_blocked_while_it_is_slow_or_given_up_counts_once():
    pool = ThreadPool(3)
    pool.keen = 2
    inside, gate, thread = threading.Event(), threading.Event(), []

    def work():
        with pool.slow(), pool.blocked():
            thread.append(threading.get_ident())
            inside.set()
            gate.wait(60)

    pool.submit(work)
    assert inside.wait(60)
    pool.give_up(thread[0])
    assert (pool._slow, pool._away) == (0, 1)
    begun, back = held(pool, 3)
    assert begun[0].wait(60) and begun[1].wait(60)
    assert pool._threads == 3
    gate.set()
    back.set()
    assert begun[2].wait(60)
    settled(pool)


def test_a_thread_without_work_cannot_be_given_up():
    pool, idents = ThreadPool(1), []
    pool.submit(lambda: idents.append(threading.get_ident()))
    settled(pool)
    pool.give_up(idents[0])
    assert pool._away == 0


@pytest.mark.parametrize("which", ["limit", "keen"])
def test_work_that_waits_begins_when_more_is_allowed(which):
    pool = ThreadPool(1 if which == "limit" else 4)
    pool.keen = None if which == "limit" else 1
    begun, gate = held(pool, 3)
    assert begun[0].wait(60)
    setattr(pool, which, 3)
    assert all(event.wait(60) for event in begun)
    gate.set()


def test_an_idle_thread_holds_nothing_of_what_it_has_done():
    class Work:
        def __call__(self):
            pass

    pool, work = ThreadPool(1), Work()
    gone = weakref.ref(work)
    pool.submit(work)
    del work
    settled(pool)
    assert gone() is None


def test_work_that_ends_its_thread_costs_the_pool_nothing(monkeypatch):
    pool, ended = ThreadPool(1), threading.Semaphore(0)
    monkeypatch.setattr(threading, "excepthook", lambda _: ended.release())

    def bad():
        with pool.slow():
            raise SystemExit

    def worse():
        raise RuntimeError("this is a bug")

    done = threading.Event()
    for work in (bad, worse, bad, worse, done.set):
        pool.submit(work)
    assert done.wait(60)
    assert all(ended.acquire(timeout=60) for _ in range(4))
    settled(pool)


def test_where_no_thread_can_be_started_the_others_do_the_work(monkeypatch):
    pool = ThreadPool(4)
    begun, gate = held(pool, 1)
    assert begun[0].wait(60)

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    done = threading.Event()
    pool.submit(done.set)
    assert (pool._threads, len(pool._queue)) == (1, 1)
    gate.set()
    assert done.wait(60)
    settled(pool)
    with pytest.raises(RuntimeError, match="can't start"):
        ThreadPool(4).submit(done.set)


def test_a_forked_child_of_one_of_the_threads_has_a_pool_of_its_own():
    program = """
import os, threading
from seamless.util.thread_pool import ThreadPool

pool, inside, locked, go, ended, status = ThreadPool(2), *(threading.Event() for _ in range(4)), []

def hold():
    inside.wait()
    with pool._lock:
        locked.set()
        go.wait()

def fork():
    with pool.slow():
        inside.set()
        locked.wait()
        child = os.fork()
        if not child:
            done = threading.Event()
            with pool.blocked():
                pool.submit(done.set)
                done.wait()
        else:
            status.append(os.waitpid(child, 0)[1])
            go.set()
    if not child:
        os._exit(pool._slow)
    ended.set()

threading.Thread(target=hold).start()
pool.submit(fork)
ended.wait()
print(status, pool._slow)
"""
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("[0] 0\n", "")


@pytest.mark.parametrize("seed", range(5))
def test_whatever_threads_wait_for_all_work_is_done_and_all_is_counted(seed):
    chance, pool = random.Random(seed), ThreadPool(4)
    pool.keen = chance.choice([1, 2, None])
    done, number = [], 300
    threads = []

    def work(i, what, nested):
        threads.append(threading.get_ident())
        if "slow" in what:
            with pool.slow():
                os.sched_yield()
        if "nested" in what:
            finished = threading.Event()
            pool.submit(lambda: (work(i, nested, ""), finished.set()))
            with pool.slow(), pool.blocked():
                assert finished.wait(60)
        if "lost" in what:
            pool.give_up(threading.get_ident())
            os.sched_yield()
        done.append(i)

    expected = 0
    for i in range(number):
        what = chance.choice(["", "slow", "nested", "lost", "slow lost", "slow nested lost"])
        nested = chance.choice(["", "slow", "lost"])
        expected += 1 + ("nested" in what)
        pool.submit(lambda i=i, what=what, nested=nested: work(i, what, nested))
        if not i % 40:
            pool.give_up(chance.choice(threads or [0]))
        if not i % 70:
            pool.end_idle(0.001)
    deadline = time.monotonic() + 60
    while len(done) < expected:
        assert time.monotonic() < deadline, f"{expected - len(done)} pieces of work are not done"
        time.sleep(0.001)
    settled(pool)
