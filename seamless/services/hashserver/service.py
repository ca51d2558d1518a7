"""The hashserver: from a request to who answers it, and from an error to its answer. Knows every path and method."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from seamless.errors import BufferCorruptionError, MissingDependencyError, StoreError, StoreFullError
from seamless.services.common import (
    App,
    BodyTooLargeError,
    Receive,
    Scope,
    Send,
    Service,
    read_body,
    send_json,
)
from seamless.services.common.asgi import Headers, content_length
from seamless.services.common.quick import LATER, Deliver, Quick, QuickAnswer, quick_json
from seamless.services.hashserver.parcels import PATH as GROUP_PATH
from seamless.services.hashserver.pending import Pending
from seamless.services.hashserver.reader import Reader, StoppingError
from seamless.services.hashserver.settings import Settings
from seamless.services.hashserver.storage import Storage
from seamless.services.hashserver.validation import InvalidDataError, checksum_in, checksums_in
from seamless.services.hashserver.writer import Writer
from seamless.stores.errors import NotAFileError

T = TypeVar("T")
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]

logger = logging.getLogger(__name__)

_FAILURES = (
    InvalidDataError, BodyTooLargeError, StoppingError, BufferCorruptionError, MissingDependencyError, StoreError,
)  # fmt: skip
_THREADS = 32  # most of them wait for the disk
_LARGE = 1 << 14  # bytes of a JSON list from which it is parsed in a thread
_LISTED = 80  # bytes that one checksum may take in a JSON list
_DESCRIPTION = ("/openapi.json", "/docs", "/redoc")


class HashserverService(Service):
    """Serves the directories in the settings. Raises UsageError, StoreError."""

    def __init__(self, settings: Settings):
        super().__init__()
        self.settings = settings
        self.storage = Storage(settings)
        self.pending = Pending()
        self._pool = ThreadPoolExecutor(_THREADS, "hashserver")
        self._reader = Reader(self.storage, self.pending, self._pool)
        self._writer = Writer(self.storage, self.pending, self._pool, settings.max_body)
        self._corrupt = 0
        self._description: asyncio.Future[App] | None = None
        self._lists: dict[str, Handler] = {
            "/has": self._has,
            "/has-now": functools.partial(self._has, promised=False),
            "/buffer-length": self._lengths,
        }

    # --- life --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to remove what dead writers have left."""
        if self.settings.writable:
            self._pool.submit(self.storage.sweep)

    def stop(self) -> None:
        """Let nobody wait for buffers any more."""
        self.pending.stop()

    async def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    # --- requests ----------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            await self._route(scope, receive, send)
        except _FAILURES as exc:
            status, value, headers = self._failure(exc)
            await send_json(send, status, value, headers)

    def quick(self, scope: Scope, body: bytes, deliver: Deliver) -> Quick:
        """Answer a GET of a small buffer that is in memory, and a PUT of a small one, or of several."""
        method, segment = scope["method"], scope["path"][1:]
        if scope["path"] == GROUP_PATH and method == "PUT" and self.settings.writable:
            return self._quick_group(body, deliver)
        if len(segment) != 64 or not segment.isalnum():
            return None
        try:
            if method == "GET":
                return self._reader.quick(scope, checksum_in(segment, "path", "checksum"))
            length = content_length(scope)
            if method != "PUT" or length is None or not self.settings.writable or not self._writer.takes(length):
                return None
            checksum = checksum_in(segment, "path", "checksum")
        except InvalidDataError:
            return None
        self._writer.quick(checksum, scope, body, functools.partial(deliver, self._quick_answer))
        return LATER

    def _quick_group(self, body: bytes, deliver: Deliver) -> Quick:
        try:
            self._writer.quick_group(body, functools.partial(deliver, self._quick_answer))
        except (InvalidDataError, BodyTooLargeError) as exc:
            status, value, headers = self._failure(exc)
            return quick_json(status, value, headers)
        return LATER

    def _quick_answer(self, make: Callable[..., QuickAnswer], *arguments: Any) -> QuickAnswer:
        try:
            return make(*arguments)
        except _FAILURES as exc:
            status, value, headers = self._failure(exc)
            return quick_json(status, value, headers)

    def _failure(self, exc: Exception) -> tuple[int, dict[str, Any], Headers]:
        """Return status, JSON and headers of the answer to an error; what is not the client's doing is logged."""
        match exc:
            case InvalidDataError():
                return 400, exc.answer, ()
            case BufferCorruptionError():
                self._corrupt += 1
                return 400, {"message": f"File corruption: {exc}"}, ()
            case NotAFileError():
                return 400, {"message": str(exc)}, ()
            case BodyTooLargeError():
                return 413, {"message": str(exc)}, ()
            case StoppingError():
                return 503, {"message": "the server is shutting down"}, [(b"retry-after", b"1")]
        logger.error("%s", exc)
        status = 507 if isinstance(exc, StoreFullError) else 501 if isinstance(exc, MissingDependencyError) else 500
        return status, {"message": str(exc)}, ()

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if root := scope.get("root_path"):
            path = path.removeprefix(root)
        segment = path[1:]
        if path in self._lists:
            if await _allowed(send, method, ("GET", "POST")):
                await self._lists[path](scope, receive, send)
        elif path == GROUP_PATH and self.settings.writable:
            if await _allowed(send, method, ("PUT",)):
                await self._writer.answer_group(scope, receive, send)
        elif path in _DESCRIPTION:
            if await _allowed(send, method, ("GET", "HEAD")):
                await (await self._describe())(scope, receive, send)
        elif path == "/stats":
            if await _allowed(send, method, ("GET",)):
                await send_json(send, 200, await self._run(self.storage.stats))
        elif segment and "/" not in segment:
            if await _allowed(send, method, ("GET", "HEAD", "PUT") if self.settings.writable else ("GET", "HEAD")):
                answer = self._writer.answer if method == "PUT" else self._reader.answer
                await answer(scope, receive, send, checksum_in(segment, "path", "checksum"))
        elif self.settings.writable and segment.startswith("promise/") and segment.count("/") == 1:
            if await _allowed(send, method, ("PUT",)):
                await self._promise(send, segment.removeprefix("promise/"))
        else:
            await send_json(send, 404, {"detail": "Not Found"})

    async def _promise(self, send: Send, text: str) -> None:
        name = checksum_in(text, "path", "checksum").hex()
        await send_json(send, 202, {"checksum": name, "expires_in": self.pending.promise(name)})

    async def _has(self, scope: Scope, receive: Receive, send: Send, *, promised: bool = True) -> None:
        checksums = await self._checksums(scope, receive)
        expected = [
            self.pending.uploading(name) or (promised and self.pending.promised(name))
            for name in (checksum.hex() for checksum in checksums)
        ]
        stored = await self._run(self.storage.has, checksums)
        await send_json(send, 200, [a or b for a, b in zip(expected, stored, strict=True)])

    async def _lengths(self, scope: Scope, receive: Receive, send: Send) -> None:
        checksums = await self._checksums(scope, receive)
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for name in (checksum.hex() for checksum in checksums):
            while self.pending.uploading(name) and not self.pending.stopped:
                await self.pending.wait(name, 1.0, gone)
        promised = [self.pending.promised(checksum.hex()) for checksum in checksums]
        lengths = await self._run(self.storage.lengths, checksums)
        await send_json(send, 200, [p or n for p, n in zip(promised, lengths, strict=True)])

    async def _checksums(self, scope: Scope, receive: Receive) -> list[Any]:
        body = await read_body(scope, receive, 1000 + _LISTED * self.settings.max_batch)
        checksums = checksums_in(body) if len(body) < _LARGE else await self._run(checksums_in, body)
        if len(checksums) > self.settings.max_batch:
            raise BodyTooLargeError(_LISTED * self.settings.max_batch)
        return checksums

    async def _describe(self) -> App:
        """Return the application that describes this one; it is made when somebody asks for it."""
        if self._description is None:
            self._description = asyncio.ensure_future(self._run(_description, self.settings.writable))
        return await asyncio.shield(self._description)

    def _run(self, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._pool, func, *args)

    # --- what others may know ----------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Return what `/status` shows of the hashserver."""
        directories = [directory.name for directory in self.storage.directories]
        quota = self.storage.quota
        return {
            "directory": directories[0],
            "extra_directories": directories[1:],
            "writable": self.settings.writable,
            "stored": self._writer.stored,
            "received_bytes": self._writer.received,
            **({} if quota is None else {"quota_bytes": quota.limit, "used_bytes": quota.used}),
            **self.pending.counts(),
        }

    def metrics(self) -> Iterable[tuple[str, str, str, float]]:
        """Return the counts of the hashserver."""
        counts = self.pending.counts()
        yield "stored", "counter", "Buffers stored.", self._writer.stored
        yield "existing", "counter", "Uploads of what was already there.", self._writer.existing
        yield "refused", "counter", "Uploads with wrong or damaged bytes.", self._writer.refused
        yield "received_bytes", "counter", "Bytes of uploads.", self._writer.received
        yield "corrupt", "counter", "Requests for buffers whose file was damaged.", self._corrupt
        yield (
            "quick_reads",
            "counter",
            "Small buffers that were sent without waiting for a disk.",
            self._reader.quick_reads,
        )
        if self.storage.quota is not None:
            yield "quota_bytes", "gauge", "Bytes that the buffers may take.", self.storage.quota.limit
            yield "used_bytes", "gauge", "Bytes that the buffers take, as far as it is known.", self.storage.quota.used
        yield "uploads", "gauge", "Uploads in progress.", counts["uploads"]
        yield "promises", "gauge", "Promises that stand.", counts["promises"]
        yield "waiting", "gauge", "Readers that wait for a buffer to come.", counts["waiting"]


def _description(writable: bool) -> App:
    try:
        from seamless.services.hashserver.description import description
    except ImportError as exc:
        raise MissingDependencyError("fastapi", extra="services", purpose="the description of the API") from exc
    return description(writable=writable)


async def _allowed(send: Send, method: str, methods: tuple[str, ...]) -> bool:
    """Tell whether the method is one of those; answer 405 if it is not."""
    if method in methods:
        return True
    await send_json(send, 405, {"detail": "Method Not Allowed"}, [(b"allow", ", ".join(methods).encode())])
    return False
