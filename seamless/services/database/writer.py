"""The writer: what has come in meanwhile is written in one transaction, before anybody is answered.

Small writes to a local file are written in the event loop itself, which takes less time than a change of thread;
everything that may have to wait is written by a thread.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from seamless.services.database.served import Outcome, WritingDatabase
    from seamless.services.database.writes import Write

_LARGEST_GROUP = 500  # writes; beyond it the first ones would wait longer than grouping saves
_LARGEST_QUICK_GROUP = 100
_QUICK_WRITES = 4000  # in a row; then the thread has its turn, which merges the write-ahead log into the file
_SLOW = 0.02  # seconds; a disk that takes so long is not waited for in the event loop ...
_PAUSE = 2.0  # ... for so many seconds


class _Entry(NamedTuple):
    write: Write
    done: Callable[[Outcome], object]
    quick: bool


class Writer:
    """Group commit. All methods are called in the thread of one event loop.

    While one group is written, the next one gathers; so the groups are as large as the load.
    """

    def __init__(self, database: WritingDatabase, *, observe: Callable[[int], None] = lambda size: None):
        self._database, self._observe = database, observe
        self._loop = asyncio.get_running_loop()
        self._gathering: list[_Entry] = []
        self._busy = False
        self._quick_writes = _QUICK_WRITES  # since the thread has written; the first turn is its
        self._quick_again = 0.0  # when the disk is given another chance
        self._inbox: queue.SimpleQueue[list[_Entry] | None] = queue.SimpleQueue()
        self._idle = asyncio.Event()
        self._idle.set()
        self._thread = threading.Thread(target=self._main, name="SeamlessDatabaseWriter", daemon=True)
        self._thread.start()

    def submit(self, write: Write) -> asyncio.Future[Outcome]:
        """Return a future of the outcome, done when the write is committed or refused."""
        answer: asyncio.Future[Outcome] = self._loop.create_future()

        def done(outcome: Outcome) -> None:
            if not answer.done():
                answer.set_result(outcome)

        self._put(_Entry(write, done, quick=False))
        return answer

    def put(self, write: Write, done: Callable[[Outcome], object]) -> None:
        """Do what `submit` does for a small write; `done` is called with the outcome, not before this returns."""
        self._put(_Entry(write, done, quick=self._database.quick))

    async def close(self) -> None:
        """Write what has been submitted, then end the thread and close the file."""
        await self._idle.wait()
        self._inbox.put(None)
        await asyncio.to_thread(self._thread.join)

    def _put(self, entry: _Entry) -> None:
        self._gathering.append(entry)
        if not self._busy:
            self._busy = True
            self._idle.clear()
            self._loop.call_soon(self._start)  # those that arrive in this round of the loop come along

    def _start(self) -> None:
        group = self._gathering[:_LARGEST_GROUP]
        del self._gathering[:_LARGEST_GROUP]
        self._observe(len(group))
        outcomes = self._write_now(group) if self._is_quick(group) else None
        if outcomes is None:
            self._quick_writes = 0
            self._inbox.put(group)
        else:
            self._finish(group, outcomes)

    def _is_quick(self, group: list[_Entry]) -> bool:
        return (
            len(group) <= _LARGEST_QUICK_GROUP
            and self._quick_writes < _QUICK_WRITES
            and all(entry.quick for entry in group)
            and monotonic() > self._quick_again
        )

    def _write_now(self, group: list[_Entry]) -> list[Outcome] | None:
        """Write in this thread; None if another process holds the file. The other thread has nothing to do."""
        start = monotonic()
        outcomes = self._database.write_now([entry.write for entry in group])
        end = monotonic()
        if end - start > _SLOW:
            self._quick_again = end + _PAUSE
        self._quick_writes += len(group)
        return outcomes

    def _finish(self, group: list[_Entry], outcomes: list[Outcome]) -> None:
        for entry, outcome in zip(group, outcomes, strict=True):
            entry.done(outcome)
        if self._gathering:
            self._loop.call_soon(self._start)
        else:
            self._busy = False
            self._idle.set()

    def _main(self) -> None:
        """Write group after group. `write_all` answers every error, so nothing else is caught here."""
        while (group := self._inbox.get()) is not None:
            outcomes = self._database.write_all([entry.write for entry in group])
            self._loop.call_soon_threadsafe(self._finish, group, outcomes)
        self._database.close()
