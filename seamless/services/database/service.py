"""The database server: from an HTTP request to the store and back. Every request is a GET or a PUT, on any path."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from typing import TYPE_CHECKING, Any

from seamless.errors import StoreError, StoreFullError, StoreReadOnlyError
from seamless.services.common import BodyTooLargeError, ClientGoneError, Service, read_body, send_text
from seamless.services.common.asgi import send_bytes
from seamless.services.database import requests
from seamless.services.database.presence import Presence
from seamless.services.database.reader import Reader
from seamless.services.database.requests import RefusedError, Request, parse_request
from seamless.services.database.served import KeptAnother, WritingDatabase
from seamless.services.database.writer import Writer
from seamless.services.database.writes import SetResult, Write, prepare
from seamless.stores.errors import ConflictError, MalformedValueError, UnknownResultError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seamless.services.common import Receive, Scope, Send
    from seamless.services.database.served import Outcome

_log = logging.getLogger(__name__)

_LARGE = 1 << 18  # bytes; parsing more than this would hold up everybody else
_OTHER_RESULT = "Transformation already has another result"


class DatabaseService(Service):
    """Serves one database file. `strict`: a second, different result of a transformation is answered with 409."""

    def __init__(self, path: str, *, writable: bool, strict: bool, max_body: int):
        super().__init__()
        self.path, self.writable, self.strict, self.max_body = os.path.abspath(path), writable, strict, max_body
        self.hits = self.misses = self.writes = self.groups = self.conflicts = 0
        self._parsing = asyncio.Lock()  # large bodies one after the other: a parsed one is many times larger
        self._presence: Presence | None = None

    async def start(self) -> None:
        """Open the file, which is created if it may be written. Raises StoreError."""
        self._writer: Writer | None = None
        if self.writable:
            database = WritingDatabase(self.path)
            self._presence = Presence(self.path)
            self._writer = Writer(database, observe=self._count_group)
        self._reader = Reader(self.path, beside_writer=self.writable)

    async def close(self) -> None:
        """Write what has been accepted, and close the file."""
        if self._writer is not None:
            await self._writer.close()
        await self._reader.close()
        if self._presence is not None:
            self._presence.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        status, text = await self._answer(scope, receive)
        if status == 0:
            return
        headers = []
        if status == 405:
            headers.append((b"allow", b"GET, PUT" if self.writable else b"GET"))
        elif status == 413:
            headers.append((b"connection", b"close"))
        elif status == 503:
            headers.append((b"retry-after", b"1"))
        await send_text(send, status, text, headers)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, str]:
        method = scope["method"]
        try:
            if method == "GET":
                request = await self._request(scope, receive)
                found, answer = self._reader.quick(request)
                return self._found(answer if found else await self._read(request))
            if method != "PUT":
                return 405, "ERROR: Method not allowed"
            if self._writer is None:
                return 405, f"ERROR: {requests.READ_ONLY}"
            return await self._write(await self._request(scope, receive), scope)
        except ClientGoneError:
            return 0, ""
        except Exception as exc:  # noqa: BLE001 - the HTTP boundary: the client is told, the log has the traceback
            return refusal(exc)
"""
