"""A pool of daemon threads for work that is waiting to be claimed.

A thread of the pool that must wait for other work says so with `blocked()`, and one that may never come
back is given up; another thread takes its place meanwhile, so that neither ever fills the pool. One that waits for
something slow, such as a disk or a process, says `slow()`: then others may work beside it.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_SPARE = 32  # idle threads that are kept because others will have to wait again
_WORKING, _SLOW, _AWAY = range(3)  # what a thread that has work counts as: each makes more room than the one before


class ThreadPool:
    """Runs callables in up to `limit` daemon threads, made on demand. Thread-safe, and safe after a fork.

    `keen`: how many of them work at once while nobody says `slow()`; None: no other limit. More would only take turns.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._keen: int | None = None
        self._blocking, self._slowing = _Inside(self, "blocked"), _Inside(self, "slow")
        self.reset()

    def reset(self) -> None:
        """Begin anew, without threads: in a forked child those of the parent do not exist."""
        self._pid = os.getpid()
        self._queue: deque[Callable[[], None]] = deque()
        self._lock = threading.RLock()  # what the collection of garbage calls may submit work
        self._condition = threading.Condition(self._lock)
        self._threads = 0
        self._idle = 0  # threads that wait, and that nobody has woken
        self._slow = 0  # threads that count as such
        self._away = 0
        self._mine = threading.local()
        self._members: dict[int, _Member] = {}  # by identifier of the thread
        self._all: set[threading.Thread] = set()
        self._busy: set[int | None] = set()  # those that do some work now
        self._ending = False

    @property
    def limit(self) -> int:
        """How many threads may work, those that are slow among them."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        with self._ours():
            self._limit = limit
            self._fill()

    @property
    def keen(self) -> int | None:
        """How many threads may work, those that are slow not among them; None: any number."""
        return self._keen

    @keen.setter
    def keen(self, keen: int | None) -> None:
        with self._ours():
            self._keen = keen
            self._fill()

    def submit(self, work: Callable[[], None]) -> None:
        """Have `work()` called soon; it must not raise. RuntimeError if there can be no thread."""
        with self._ours():
            self._ending = False
            self._queue.append(work)
            try:
                self._provide_thread()
            except RuntimeError:
                self._queue.pop()
                raise

    def end_idle(self, timeout: float = 1.0) -> None:
        """End the threads that have nothing to do: none of them must be left to the end of the interpreter."""
        with self._ours():
            self._ending = True
            self._idle = 0
            self._condition.notify_all()
            threads = [thread for thread in self._all if thread.ident not in self._busy]
        deadline = time.monotonic() + timeout
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    def blocked(self) -> AbstractContextManager[None]:
        """While inside, the calling thread does not count, if it is one of the pool."""
        return self._blocking

    def slow(self) -> AbstractContextManager[None]:
        """While inside, the calling thread, if it is one of the pool, counts for the limit only."""
        return self._slowing

    def give_up(self, thread: int) -> None:
        """Stop counting a thread (by identifier) until its present work ends; nothing if it is not of the pool."""
        with self._ours():
            member = self._members.get(thread)
            if member is not None and thread in self._busy:
                member.lost = True
                self._recount(member)

    # --- counting: the lock is held -----------------------------------------------------------

    def _ours(self) -> AbstractContextManager[bool]:
        """Return the lock, a new one in a forked child: a thread of the parent may have held the old one."""
        if self._pid != os.getpid():
            self.reset()
        return self._lock

    def _recount(self, member: _Member) -> None:
        """Count a thread as what it says of itself now; if that makes room, have another one begin."""
        now = _AWAY if member.blocked or member.lost else _SLOW if member.slow else _WORKING
        before, member.counts_as = member.counts_as, now
        self._slow += (now == _SLOW) - (before == _SLOW)
        self._away += (now == _AWAY) - (before == _AWAY)
        if now > before and self._queue:
            self._provide_thread()

    def _has_room(self, own: int = 0) -> bool:
        """Tell whether one more thread may work; `own`: one that is about to, already counted."""
        working = self._threads - own - self._idle - self._away
        return working < self._limit and (self._keen is None or working - self._slow < self._keen)

    def _fill(self) -> None:
        for _ in range(len(self._queue)):
            self._provide_thread()

    def _provide_thread(self) -> None:
        """Have one more thread look for work, if there is room. RuntimeError if it cannot be, and there is none."""
        if not self._has_room():
            return
        if self._idle:
            self._idle -= 1  # by whoever wakes it: the next call must not count on the same thread
            self._condition.notify()
            return
        thread = threading.Thread(target=self._run, name="SeamlessExecutor", daemon=True)
        try:
            thread.start()  # it waits for the lock
        except RuntimeError:
            if not self._threads:
                raise
            return  # the others do the work, one piece after the other
        self._threads += 1
        self._all.add(thread)

    # --- a thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        me, member = threading.get_ident(), _Member()
        with self._lock:
            self._mine.member = self._members[me] = member
        try:
            while (work := self._next(me, member)) is not None:
                work()
                work = None  # an idle thread must hold nothing of what it has done
        finally:
            with self._lock:
                self._leave(me, member)

    def _next(self, me: int, member: _Member) -> Callable[[], None] | None:
        """Wait for work; None: this thread is not needed any more."""
        with self._lock:
            self._settle(me, member)
            while not (self._queue and self._has_room(1)):
                if self._ending or self._idle >= max(self._limit, _SPARE):  # it took the place of one that is back
                    return None
                self._idle += 1
                self._condition.wait()
            self._busy.add(me)
            return self._queue.popleft()

    def _settle(self, me: int, member: _Member) -> None:
        """Count a thread that has done its work as one like others."""
        self._busy.discard(me)
        member.blocked = member.slow = 0
        member.lost = False
        self._recount(member)

    def _leave(self, me: int, member: _Member) -> None:
        self._settle(me, member)  # if it was the work that has ended it
        self._members.pop(me, None)
        self._all.discard(threading.current_thread())
        self._threads -= 1
        if self._queue:
            self._provide_thread()


class _Member:
    """What a thread of a pool says of itself: how deep it is inside of what; and as what it is counted."""

    __slots__ = ("blocked", "counts_as", "lost", "slow")

    def __init__(self) -> None:
        self.blocked = self.slow = 0
        self.lost = False
        self.counts_as = _WORKING


class _Inside:
    """A context in which the calling thread says something of itself: `what` is the attribute that counts it."""

    __slots__ = ("_pool", "_what")

    def __init__(self, pool: ThreadPool, what: str) -> None:
        self._pool, self._what = pool, what

    def __enter__(self) -> None:
        member = getattr(self._pool._mine, "member", None)
        if member is not None:
            self._change(member, 1)

    def __exit__(self, *_: object) -> None:
        member = getattr(self._pool._mine, "member", None)
        if member is not None:
            self._change(member, -1)

    def _change(self, member: _Member, by: int) -> None:
        pool = self._pool
        with pool._ours():
            if getattr(pool._mine, "member", None) is member:  # not so in a forked child
                setattr(member, self._what, getattr(member, self._what) + by)
                pool._recount(member)
