"""The readers: quick lookups in the event loop itself, everything else in a few threads beside it."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from seamless.errors import StoreError
from seamless.services.database.reads import QUICK, read
from seamless.services.database.requests import checksum
from seamless.services.database.served import ReadingDatabase
from seamless.stores.filesystem import on_network

if TYPE_CHECKING:
    from seamless.services.database.requests import Request

_THREADS = 4


class Reader:
    """Connections for reading. `beside_writer`: this process also writes the file."""

    def __init__(self, path: str, *, beside_writer: bool):
        self._path, self._beside_writer = path, beside_writer
        self._local = threading.local()
        self._opened: list[ReadingDatabase] = []
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="SeamlessDatabaseReader")
        self._here: ReadingDatabase | None = None
        self._in_round = False
        first = self._open(impatient=True)
        first.check()
        if not on_network(path):  # there, even the quickest lookup may have to wait for a disk elsewhere
            self._here = first

    def quick(self, request: Request) -> tuple[bool, str | None]:
        """Answer at once, in the calling thread: (True, answer), or (False, None) if that may take long.

        Raises RefusedError, StoreError.
        """
        if self._here is None or request["type"] not in QUICK:
            return False, None
        try:
            if not self._in_round:
                self._here.begin_round()
                self._in_round = True
                # All lookups of this round of the loop have arrived before it: they may see one state of the file.
                asyncio.get_running_loop().call_soon(self.end_round)
            if request["type"] == "transformation":
                return True, self._here.result_text(checksum(request))
            return True, read(self._here, request)
        except StoreError:  # another process holds the file, or something worse: found out where waiting is harmless
            return False, None

    def end_round(self) -> None:
        """Let the next lookup see what has been written meanwhile."""
        if self._in_round and self._here is not None:
            self._in_round = False
            self._here.end_round()

    async def read(self, request: Request) -> str | None:
        """Return the text of the answer, or None for an unknown key. Raises RefusedError, StoreError."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, request)

    async def read_all(self, requests: list[Request]) -> list[str | Exception | None]:
        """Return for each request what `read` would return or raise."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read_all, requests)

    async def close(self) -> None:
        """Finish what is being read and close the file."""
        self.end_round()
        await asyncio.to_thread(self._pool.shutdown)
        for database in self._opened:
            database.close()

    def _read(self, request: Request) -> str | None:
        database: ReadingDatabase | None = getattr(self._local, "database", None)
        if database is None:
            database = self._local.database = self._open()
        database.refresh()
        return read(database, request)

    def _read_all(self, requests: list[Request]) -> list[str | Exception | None]:
        found: list[str | Exception | None] = []
        for request in requests:
            try:
                found.append(self._read(request))
            except Exception as exc:  # noqa: BLE001 - one of a batch must not spoil the others
                found.append(exc)
        return found

    def _open(self, *, impatient: bool = False) -> ReadingDatabase:
        database = ReadingDatabase(self._path, beside_writer=self._beside_writer, impatient=impatient)
        self._opened.append(database)
        return database
