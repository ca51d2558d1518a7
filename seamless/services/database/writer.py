"""The writer: one thread that writes what has come in meanwhile, in one transaction, before anybody is answered."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from seamless.services.database.served import Outcome, WritingDatabase
    from seamless.services.database.writes import Write

_LARGEST_GROUP = 500  # writes; beyond it the first ones would wait longer than grouping saves


class _Entry(NamedTuple):
    write: Write
    answer: asyncio.Future[Outcome]


class Writer:
    """Group commit. All methods are called in the thread of one event loop.

    While the thread writes one group, the next one gathers; so the groups are as large as the load.
    """

    def __init__(self, database: WritingDatabase, *, observe: Callable[[int], None] = lambda size: None):
        self._database, self._observe = database, observe
        self._loop = asyncio.get_running_loop()
        self._gathering: list[_Entry] = []
        self._busy = False
        self._inbox: queue.SimpleQueue[list[_Entry] | None] = queue.SimpleQueue()
        self._idle = asyncio.Event()
        self._idle.set()
        self._thread = threading.Thread(target=self._main, name="SeamlessDatabaseWriter", daemon=True)
        self._thread.start()

    def submit(self, write: Write) -> asyncio.Future[Outcome]:
        """Return a future of the outcome, done when the write is committed or refused."""
        answer: asyncio.Future[Outcome] = self._loop.create_future()
        self._gathering.append(_Entry(write, answer))
        if not self._busy:
            self._busy = True
            self._idle.clear()
            self._loop.call_soon(self._start)  # those that arrive in this round of the loop come along
        return answer

    async def close(self) -> None:
        """Write what has been submitted, then end the thread and close the file."""
        await self._idle.wait()
        self._inbox.put(None)
        await asyncio.to_thread(self._thread.join)

    def _start(self) -> None:
        group = self._gathering[:_LARGEST_GROUP]
        del self._gathering[:_LARGEST_GROUP]
        self._observe(len(group))
        self._inbox.put(group)

    def _finish(self, group: list[_Entry], outcomes: list[Outcome]) -> None:
        for entry, outcome in zip(group, outcomes, strict=True):
            if not entry.answer.done():
                entry.answer.set_result(outcome)
        if self._gathering:
            self._start()
        else:
            self._busy = False
            self._idle.set()

    def _main(self) -> None:
        """Write group after group. `write_all` answers every error, so nothing else is caught here."""
        while (group := self._inbox.get()) is not None:
            outcomes = self._database.write_all([entry.write for entry in group])
            self._loop.call_soon_threadsafe(self._finish, group, outcomes)
        self._database.close()
