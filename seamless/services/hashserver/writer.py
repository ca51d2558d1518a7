"""PUT of a buffer: received in pieces, hashed and written in a thread, answered when it is verified and durable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

from seamless.checksum import Checksum
from seamless.errors import BufferCorruptionError
from seamless.services.common import (
    BodyTooLargeError,
    ClientGoneError,
    Receive,
    Scope,
    Send,
    header,
    read_body,
    send_json,
    send_text,
)
from seamless.services.common.asgi import content_length, send_empty
from seamless.services.common.quick import Deliver, QuickAnswer, quick_json, quick_text
from seamless.services.hashserver.negotiation import body_form
from seamless.services.hashserver.parcels import members_in
from seamless.services.hashserver.pending import Pending
from seamless.services.hashserver.quota import Room
from seamless.services.hashserver.storage import Storage
from seamless.stores.upload import PayloadError, Upload

T = TypeVar("T")

SMALL = 1 << 18  # bytes up to which a body is stored in one go
CHUNK = 1 << 20  # bytes of a larger one that are written at a time
LARGEST_GROUP = 1 << 24  # bytes of a request with several
_MOST_IN_GROUP = 1000

_OK = quick_text(200, "OK")
_EXISTS = QuickAnswer(201, b"", b"")


class Writer:
    """Answers PUT. `pool` is where blocking calls run; `limit`: bytes that a buffer may have."""

    def __init__(self, storage: Storage, pending: Pending, pool: Executor, limit: int | None):
        self._storage, self._pending, self._pool, self._limit = storage, pending, pool, limit
        self.stored = self.existing = self.refused = self.received = 0

    def takes(self, length: int) -> bool:
        """Tell whether a body of so many bytes may be given to `quick`."""
        return length <= SMALL and (self._limit is None or length <= self._limit)

    def quick(self, checksum: Checksum, scope: Scope, body: bytes, deliver: Deliver) -> None:
        """Store a small body, and deliver the answer."""
        name = checksum.hex()
        self._pending.begin(name)
        self.received += len(body)
        storing = self._store(checksum, body_form(header(scope, b"content-encoding")), body)
        storing.add_done_callback(lambda done: deliver(self._finished, name, done.result))

    def _finished(self, name: str, stored: Callable[[], bool]) -> QuickAnswer:
        """Return the answer to an upload that has ended. Raises what `stored` raises beside refusals."""
        self._pending.end(name)
        try:
            new = stored()
        except (BufferCorruptionError, PayloadError) as exc:
            return quick_text(400, self._refusal(exc))
        self._count(name, new)
        return _OK if new else _EXISTS

    def quick_group(self, body: bytes, deliver: Deliver) -> None:
        """Store the small buffers in a body, and deliver the answer. Raises InvalidDataError."""
        members = self._begin_group(body)
        storing = self._run(self._storage.store_group, members)
        storing.add_done_callback(lambda done: deliver(lambda: quick_json(200, self._end_group(members, done.result))))

    async def answer_group(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request with small buffers. Raises InvalidDataError, StoreError, BodyTooLargeError."""
        members = self._begin_group(await read_body(scope, receive, LARGEST_GROUP))
        storing = self._run(self._storage.store_group, members)
        await asyncio.wait((storing,))
        await send_json(send, 200, self._end_group(members, storing.result))

    def _begin_group(self, body: bytes) -> list[tuple[Checksum, memoryview]]:
        members = members_in(body, _MOST_IN_GROUP)
        for _, data in members:
            if self._limit is not None and len(data) > self._limit:
                raise BodyTooLargeError(self._limit)
            if len(data) > SMALL:
                raise BodyTooLargeError(SMALL)
        for checksum, _ in members:
            self._pending.begin(checksum.hex())
        self.received += len(body)
        return members

    def _end_group(self, members: list[tuple[Checksum, memoryview]], stored: Callable[[], list[int]]) -> list[int]:
        """Return the statuses of a group that has been stored. Raises what `stored` raises."""
        for checksum, _ in members:
            self._pending.end(checksum.hex())
        statuses = stored()
        for (checksum, _), status in zip(members, statuses, strict=True):
            if status == 400:
                self.refused += 1
            else:
                self._count(checksum.hex(), status == 200)
        return statuses

    async def answer(self, scope: Scope, receive: Receive, send: Send, checksum: Checksum) -> None:
        """Answer one request. Raises StoreError, StoreFullError, BodyTooLargeError, ClientGoneError."""
        name, form, length = checksum.hex(), body_form(header(scope, b"content-encoding")), content_length(scope)
        if self._limit is not None and length is not None and length > self._limit:
            raise BodyTooLargeError(self._limit)
        self._pending.begin(name)
        try:
            if length is not None and length <= SMALL:
                body = await read_body(scope, receive, SMALL)
                self.received += len(body)
                new = await self._store(checksum, form, body)
            else:
                new = await self._receive(receive, checksum, form, length)
        except (BufferCorruptionError, PayloadError) as exc:
            await send_text(send, 400, self._refusal(exc))
            return
        finally:
            self._pending.end(name)
        self._count(name, new)
        if new:
            await send_text(send, 200, "OK")
        else:
            await send_empty(send, 201)

    def _refusal(self, exc: Exception) -> str:
        self.refused += 1
        return "Incorrect checksum" if isinstance(exc, BufferCorruptionError) else "Invalid compressed payload"

    def _count(self, name: str, new: bool) -> None:
        self._pending.fulfil(name)
        if new:
            self.stored += 1
        else:
            self.existing += 1

    def _store(self, checksum: Checksum, form: str, body: bytes) -> asyncio.Future[bool]:
        return self._run(self._storage.store, checksum, form, body, self._limit)

    async def _receive(self, receive: Receive, checksum: Checksum, form: str, length: int | None) -> bool:
        """Store a body of any length; False if that form is already there, and nothing of the body is read then."""
        main = self._storage.main
        if await self._run(main.has_form, checksum, form):
            return False
        with self._storage.room() as room:
            await self._run(room.grow, length or 0)
            upload = await self._run(lambda: main.upload(checksum, form, limit=self._limit))
            await self._fill(receive, upload, room if length is None else None)
            room.keep()
        return True

    async def _fill(self, receive: Receive, upload: Upload, room: Room | None) -> None:
        """Receive a body and finish the upload of it, or leave nothing behind. `room`: is to grow with the body."""
        writing: asyncio.Future[None] | None = None
        try:
            pieces: list[bytes] = []
            size, total, more = 0, 0, True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGoneError
                more = message.get("more_body", False)
                piece = message.get("body", b"")
                pieces.append(piece)
                size, total = size + len(piece), total + len(piece)
                self.received += len(piece)
                if self._limit is not None and total > self._limit:
                    raise BodyTooLargeError(self._limit)
                if size >= CHUNK or not more:
                    if writing is not None:  # while one chunk is written the next one arrives, but not two
                        await writing
                    writing = self._run(_write, upload, pieces, room)
                    pieces, size = [], 0
            if writing is not None:
                await writing
            await self._run(upload.finish)
        finally:
            if writing is not None and not writing.done():
                await asyncio.wait((writing,))
            await self._run(upload.abort)

    def _run(self, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._pool, func, *args)


def _write(upload: Upload, pieces: list[bytes], room: Room | None) -> None:
    data = b"".join(pieces)
    if room is not None:
        room.grow(len(data))
    upload.write(data)
