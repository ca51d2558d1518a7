"""GET and HEAD of a buffer: finding it, waiting for it, choosing its form, sending it in constant memory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, BinaryIO, TypeVar, cast

from seamless.checksum import Checksum
from seamless.errors import BufferCorruptionError
from seamless.services.common import ClientGoneError, Receive, Scope, Send, header, send_text
from seamless.services.common.asgi import Headers
from seamless.services.common.quick import QuickAnswer, header_lines
from seamless.services.hashserver import negotiation
from seamless.services.hashserver.pending import Pending
from seamless.services.hashserver.storage import Found, Storage
from seamless.stores.errors import NotAFileError
from seamless.stores.served import read_now
from seamless.stores.verify import decompressed

T = TypeVar("T")

SMALL = 1 << 16  # bytes up to which a buffer is read at once
CHUNK = 1 << 20  # bytes of a file that are sent at a time
POLL = 1.0  # seconds between looks for what another process may have stored
_CACHED = b"max-age=31536000, immutable"  # a checksum never means anything else
_BYTES = b"application/octet-stream"


class StoppingError(Exception):
    """The server ends before what was waited for has come (HTTP 503)."""


class Reader:
    """Answers GET and HEAD. `pool` is where blocking calls run."""

    def __init__(self, storage: Storage, pending: Pending, pool: Executor):
        self._storage, self._pending, self._pool = storage, pending, pool
        self._looking: dict[str, asyncio.Future[Any]] = {}
        self.quick_reads = 0

    async def answer(self, scope: Scope, receive: Receive, send: Send, checksum: Checksum) -> None:
        """Answer one request. Raises BufferCorruptionError, NotAFileError, StoreError, ClientGoneError."""
        taken, others, special = _wishes(scope)
        if not special and self._storage.is_local:
            known = self._read_known(checksum, taken)
            if known is not None:
                data, headers = known
                headers.append((b"content-length", b"%d" % len(data)))
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                await send({"type": "http.response.body", "body": data})
                return
        found = await self._find(receive, checksum, taken + others)
        if found is None:
            await send_text(send, 404, "Not found")
            return
        with found.raw:
            await self._send(scope, receive, send, checksum.hex(), found, decompress=found.form in others)

    def quick(self, scope: Scope, checksum: Checksum) -> QuickAnswer | None:
        """Return the answer to a GET if that takes no time."""
        taken, _, special = _wishes(scope)
        known = self._read_known(checksum, taken) if self._storage.is_local and not special else None
        return None if known is None else QuickAnswer(200, header_lines(known[1]), known[0])

    def _read_known(self, checksum: Checksum, taken: Sequence[str]) -> tuple[bytes, list[tuple[bytes, bytes]]] | None:
        """Return a small buffer with its headers, if it is the plain form that is wanted."""
        main = self._storage.main
        for form in taken:
            if form and main.is_file(checksum, form):
                return None
            if not form:
                known = main.read_known(checksum, SMALL)
                if known is None:
                    return None
                self.quick_reads += 1
                return known[0], _headers(checksum.hex(), "", known[1])
        return None

    # --- finding -----------------------------------------------------------------------------

    async def _find(self, receive: Receive, checksum: Checksum, forms: Sequence[str]) -> Found | None:
        """Return the buffer; wait while it is being uploaded, is promised, or another writer works on it."""
        name, gone = checksum.hex(), None
        try:
            while True:
                expected = self._pending.remaining(name) is not None  # before looking, so that nothing slips through
                found, locked = await self._look(checksum, forms, expected)
                if found is not None:
                    return found
                if not (expected or locked):
                    return None
                if self._pending.stopped:
                    raise StoppingError
                left = POLL if locked else self._pending.remaining(name)
                if left is None:  # it came, or the promise ended, while we looked
                    continue
                gone = gone or asyncio.ensure_future(_disconnected(receive))
                await self._pending.wait(name, min(left, POLL), gone)
                if gone.done():
                    raise ClientGoneError
        finally:
            if gone is not None:
                gone.cancel()

    async def _look(self, checksum: Checksum, forms: Sequence[str], expected: bool) -> tuple[Found | None, bool]:
        """Look once, in a thread; for each buffer one look at a time, so that a file is hashed once."""
        name = checksum.hex()
        while (other := self._looking.get(name)) is not None:
            await asyncio.wait((other,))
        future = self._run(self._storage.look, checksum, forms)
        self._looking[name] = future
        try:
            return await future
        except (BufferCorruptionError, NotAFileError):
            if not expected:
                raise
            return None, False  # a good one is on its way
        finally:
            if self._looking.get(name) is future:
                del self._looking[name]

    def _run(self, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._pool, func, *args)

    # --- sending -----------------------------------------------------------------------------

    async def _send(
        self, scope: Scope, receive: Receive, send: Send, name: str, found: Found, *, decompress: bool
    ) -> None:
        form = "" if decompress else found.form
        headers = _headers(name, form, found.mtime)
        if negotiation.not_modified(scope, name):
            await _send_head(send, 304, [h for h in headers if h[0] not in (b"content-type", b"content-disposition")])
            return
        if decompress:
            await self._send_decompressed(scope, receive, send, headers, found)
            return
        status, start, end = 200, 0, found.size
        if negotiation.range_applies(scope, negotiation.etag_of(name, form), found.mtime):
            try:
                wanted = negotiation.byte_range(header(scope, b"range"), found.size)
            except negotiation.RangeNotSatisfiableError:
                span = [(b"content-range", b"bytes */%d" % found.size)]
                await send_text(send, 416, "Range not satisfiable", span)
                return
            if wanted is not None:
                status, (start, end) = 206, wanted
                headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, found.size)))
        headers.append((b"content-length", b"%d" % (end - start)))
        if scope["method"] == "HEAD":
            await _send_head(send, status, headers)
            return
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send_file(receive, send, found.raw.fileno(), start, end)

    async def _send_file(self, receive: Receive, send: Send, fd: int, start: int, end: int) -> None:
        watch = asyncio.ensure_future(_disconnected(receive)) if end - start > CHUNK else None
        try:
            while True:
                size = min(CHUNK, end - start)
                data = read_now(fd, size, start)
                if not data and size:
                    data = await self._run(os.pread, fd, size, start)
                if not data and size:
                    raise OSError("the file has become shorter while it was sent")
                start += len(data or b"")
                await send({"type": "http.response.body", "body": data, "more_body": start < end})
                if start >= end:
                    return
                if watch is not None and watch.done():
                    raise ClientGoneError
        finally:
            if watch is not None:
                watch.cancel()

    async def _send_decompressed(
        self, scope: Scope, receive: Receive, send: Send, headers: list[tuple[bytes, bytes]], found: Found
    ) -> None:
        """Send the plain bytes of a compressed file, whose length is not known before the end."""
        headers = [(name, b"none" if name == b"accept-ranges" else value) for name, value in headers]
        if scope["method"] == "HEAD":
            await _send_head(send, 200, headers)
            return
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        watch = asyncio.ensure_future(_disconnected(receive))
        try:
            with cast(BinaryIO, decompressed(found.raw, found.form)) as file:
                while data := await self._run(file.read, CHUNK):
                    await send({"type": "http.response.body", "body": data, "more_body": True})
                    if watch.done():
                        raise ClientGoneError
            await send({"type": "http.response.body", "body": b""})
        finally:
            watch.cancel()


def _headers(name: str, form: str, mtime: float) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"content-type", _BYTES),
        (b"content-disposition", f'attachment; filename="{name}"'.encode()),
        (b"accept-ranges", b"bytes"),
        (b"last-modified", negotiation.http_date(int(mtime))),
        (b"etag", negotiation.etag_of(name, form)),
        (b"cache-control", _CACHED),
        (b"vary", b"accept-encoding"),
    ]
    if form:
        headers.append((b"content-encoding", negotiation.CODINGS[form]))
    return headers


def _wishes(scope: Scope) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """Return the forms that the client takes, the others, and whether it wants anything but the whole content."""
    accept, special = None, scope["method"] == "HEAD"
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            accept = value if accept is None else accept + b"," + value
        elif name in (b"range", b"if-none-match"):
            special = True
    taken, others = negotiation.accepted_forms(None if accept is None else accept.decode("latin-1"))
    return taken, others, special


async def _send_head(send: Send, status: int, headers: Headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": b""})


async def _disconnected(receive: Receive) -> None:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        continue
