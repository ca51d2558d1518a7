"""How many steps are executed at once, and who is next. Nobody polls: a slot that gets free is handed on.

A step that waits for nested work lends its slot. So at most `size` steps are active, but more have begun; that
there are never more than `most` of those is kept by beginning no other ones, and by having nested work done in the
process that waits for it.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from seamless.transformer.execution import Cancellation

# Who comes first: a step whose nested work is done; nested work; a step that nobody else's waits for.
Lane = Literal["returning", "nested", "fresh"]
Grant = Literal["process", "borrowed", "none"]


class _Waiter:
    __slots__ = ("borrow", "grant", "lane", "wake")

    def __init__(self, lane: Lane, borrow: bool) -> None:
        self.lane, self.borrow = lane, borrow
        self.grant: Grant = "none"
        self.wake: threading.Event | None = None  # once it really waits


class Slots:
    """Slots for `size` active steps, of which at most `most` may have begun. Thread-safe."""

    def __init__(self, size: int, most: int) -> None:
        self.size, self.most = size, most
        self._lock = threading.Lock()
        self._active = 0
        self._begun = 0
        self._lanes: dict[Lane, deque[_Waiter]] = {"returning": deque(), "nested": deque(), "fresh": deque()}
        self._closed = False

    def acquire(self, lane: Lane, canceled: Cancellation | None = None, *, borrow: bool = False) -> Grant:
        """Wait for a slot.

        Gives `process`: the step may have a process of its own (`finished` gives that back); `borrowed`: it must use
        that of the step that waits for it, as with `borrow`; `none`: canceled or closed, there is no slot.
        """
        waiter = _Waiter(lane, borrow)
        with self._lock:
            if self._closed:
                return "none"
            self._lanes[lane].append(waiter)
            self._hand_on()
            if waiter.grant != "none":
                return waiter.grant
            wake = waiter.wake = threading.Event()
        if canceled is not None:
            canceled.add_callback(wake.set)
        try:
            wake.wait()
        except BaseException:
            self._withdraw(waiter, give_back=True)
            raise
        finally:
            if canceled is not None:
                canceled.remove_callback(wake.set)
        self._withdraw(waiter, give_back=False)
        return waiter.grant

    def release(self) -> None:
        """Give a slot back."""
        with self._lock:
            self._active -= 1
            self._hand_on()

    def finished(self) -> None:
        """Note that a step with a process of its own has ended."""
        with self._lock:
            self._begun -= 1
            self._hand_on()

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._lock:
            self._closed = True
            for lane in self._lanes.values():
                for waiter in lane:
                    if waiter.wake is not None:
                        waiter.wake.set()
                lane.clear()

    def _withdraw(self, waiter: _Waiter, *, give_back: bool) -> None:
        """Stop waiting; a slot that has come nevertheless is given back if nobody wants it."""
        with self._lock:
            if waiter.grant == "none":
                if waiter in self._lanes[waiter.lane]:
                    self._lanes[waiter.lane].remove(waiter)
                return
        if give_back:
            if waiter.grant == "process" and waiter.lane != "returning":
                self.finished()
            self.release()

    def _hand_on(self) -> None:
        """Give free slots to those who are first. The lock is held."""
        while self._active < self.size:
            waiter = self._next()
            if waiter is None:
                return
            self._active += 1
            waiter.grant = "process"
            if waiter.lane == "nested" and (self._begun >= self.most or waiter.borrow):
                waiter.grant = "borrowed"
            elif waiter.lane != "returning":
                self._begun += 1
            if waiter.wake is not None:
                waiter.wake.set()

    def _next(self) -> _Waiter | None:
        for lane in (self._lanes["returning"], self._lanes["nested"]):
            if lane:
                return lane.popleft()
        if self._lanes["fresh"] and self._begun < self.most:
            return self._lanes["fresh"].popleft()
        return None


class Hold:
    """The slot of one step: lent while nested work of it is under way. Thread-safe."""

    def __init__(self, slots: Slots) -> None:
        """Take over a slot that was acquired."""
        self._slots = slots
        self._lock = threading.Lock()
        self._nested = 0
        self._holding = True
        self._ended = False

    def lend(self) -> None:
        """Give the slot to others: one more piece of nested work has begun."""
        with self._lock:
            self._nested += 1
            if self._holding:
                self._holding = False
                self._slots.release()

    def take_back(self) -> None:
        """Note that a piece of nested work has ended; after the last one wait for a slot."""
        with self._lock:
            self._nested -= 1
            if self._nested or self._ended:
                return
        if self._slots.acquire("returning") == "none":
            return
        with self._lock:
            if self._ended or self._nested or self._holding:  # meanwhile it has ended, or begun more
                self._slots.release()
            else:
                self._holding = True

    def end(self) -> None:
        """Give the slot back for good."""
        with self._lock:
            self._ended = True
            if self._holding:
                self._holding = False
                self._slots.release()
