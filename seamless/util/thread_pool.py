"""A pool of daemon threads for work that is waiting to be claimed.

A thread of the pool that must wait for other work says so with `blocked()`, and one that may never come
back is given up; another thread takes its place meanwhile, so that neither ever fills the pool. One that waits for
something slow, such as a disk or a process, says `slow()`: then others may work beside it.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

_SPARE = 32  # idle threads that are kept because others will have to wait again


class ThreadPool:
    """Runs callables in up to `limit` daemon threads, made on demand. Thread-safe, and safe after a fork.

    `keen`: how many of them work at once while nobody says `slow()`. More would only take turns.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.keen: int | None = None  # no other limit
        self.reset()

    def reset(self) -> None:
        """Begin anew, without threads: in a forked child those of the parent do not exist."""
        self._pid = os.getpid()
        self._queue: deque[Callable[[], None]] = deque()
        self._condition = threading.Condition()
        self._threads = 0
        self._idle = 0
        self._blocked = 0
        self._slow = 0
        self._mine = threading.local()
        self._members: set[int] = set()  # identifiers of the threads
        self._lost: set[int] = set()  # those given up
        self._all: set[threading.Thread] = set()
        self._busy: set[int | None] = set()  # those that do some work now
        self._ending = False

    def submit(self, work: Callable[[], None]) -> None:
        """Have `work()` called soon; it must not raise."""
        if self._pid != os.getpid():
            self.reset()
        with self._condition:
            self._ending = False
            self._queue.append(work)
            self._provide_thread()

    def end_idle(self, timeout: float = 1.0) -> None:
        """End the threads that have nothing to do: none of them must be left to the end of the interpreter."""
        if self._pid != os.getpid():
            return
        with self._condition:
            self._ending = True
            self._idle = 0
            self._condition.notify_all()
            threads = list(self._all)
        deadline = time.monotonic() + timeout
        for thread in threads:
            if thread.ident not in self._busy and thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    @contextlib.contextmanager
    def blocked(self) -> Iterator[None]:
        """While inside, the calling thread does not count, if it is one of the pool."""
        if not getattr(self._mine, "member", False):
            yield
            return
        with self._condition:
            self._blocked += 1
            if self._queue:
                self._provide_thread()
        try:
            yield
        finally:
            with self._condition:
                self._blocked -= 1

    @contextlib.contextmanager
    def slow(self) -> Iterator[None]:
        """While inside, the calling thread, if it is one of the pool, counts for the limit only."""
        if self.keen is None or not getattr(self._mine, "member", False):
            yield
            return
        with self._condition:
            self._slow += 1
            if self._queue:
                self._provide_thread()
        try:
            yield
        finally:
            with self._condition:
                self._slow -= 1

    def give_up(self, thread: int) -> None:
        """Stop counting a thread (by identifier) until its present work ends; nothing if it is not of the pool."""
        with self._condition:
            if thread in self._members and thread not in self._lost:
                self._lost.add(thread)
                self._blocked += 1
                if self._queue:
                    self._provide_thread()

    def _has_room(self, own: int = 0) -> bool:
        """Tell whether one more thread may work; `own`: one that is about to, already counted. The lock is held."""
        working = self._threads - own - self._idle - self._blocked
        return working < self.limit and (self.keen is None or working - self._slow < self.keen)

    def _provide_thread(self) -> None:
        if not self._has_room():
            return
        if self._idle:
            self._idle -= 1  # by whoever wakes it: the next call must not count on the same thread
            self._condition.notify()
        else:
            self._threads += 1
            thread = threading.Thread(target=self._run, name="SeamlessExecutor", daemon=True)
            self._all.add(thread)
            thread.start()

    def _run(self) -> None:
        self._mine.member = True
        me = threading.get_ident()
        with self._condition:
            self._members.add(me)
        while True:
            with self._condition:
                if me in self._lost:
                    self._lost.discard(me)
                    self._blocked -= 1
                self._busy.discard(me)
                while not (self._queue and self._has_room(1)):
                    if self._ending or self._idle >= max(self.limit, _SPARE):  # it took the place of one that is back
                        self._leave(me)
                        return
                    self._idle += 1
                    self._condition.wait()
                work = self._queue.popleft()
                self._busy.add(me)
            work()

    def _leave(self, me: int) -> None:
        self._members.discard(me)
        self._all.discard(threading.current_thread())
        self._threads -= 1
