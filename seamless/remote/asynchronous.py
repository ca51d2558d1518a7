"""The async faces of the clients: requests of a background event loop with one aiohttp session, for any caller's loop.

Loaded only when an async function is called. Uploads go through the blocking clients, in threads.
"""

from __future__ import annotations

import asyncio
import atexit
import hashlib
import os
import threading
import weakref
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from seamless.buffer import Buffer
from seamless.errors import BufferCorruptionError, MissingDependencyError
from seamless.remote import buffer_calls
from seamless.remote.calls import Answer, Call
from seamless.remote.client import Client
from seamless.remote.errors import RemoteError, TransportError
from seamless.remote.settings import database_max_inflight
from seamless.session import session

if TYPE_CHECKING:
    import aiohttp

    from seamless.checksum import Checksum
    from seamless.remote.address import Address

_CONNECTIONS = 256  # at a time, to all services
_THREADS = 16  # for uploads and folders
_LARGE = 1 << 20  # bytes from which hashing would hold up the event loop


class _Background:
    """An event loop in a daemon thread, its session and its threads. A forked child gets its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._session: aiohttp.ClientSession | None = None
        self._slots: weakref.WeakKeyDictionary[Client, asyncio.Semaphore] = weakref.WeakKeyDictionary()
        self._pid = os.getpid()
        self.threads: ThreadPoolExecutor | None = None

    async def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine in the background loop; await it here. Canceling the one cancels the other."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._running_loop()))

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run a blocking function in one of the threads."""
        self._running_loop()
        return await asyncio.get_running_loop().run_in_executor(self.threads, function, *args)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._pid != os.getpid():
            self._lock = threading.Lock()
            self._clear()
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self.threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="SeamlessRemote")
                self._thread = threading.Thread(target=self._loop.run_forever, name="SeamlessRemoteLoop", daemon=True)
                self._thread.start()
            return self._loop

    async def session(self) -> aiohttp.ClientSession:
        """Return the session. In the background loop only."""
        if self._session is None:
            try:
                import aiohttp
            except ImportError:
                raise MissingDependencyError("aiohttp", extra="services", purpose="an async remote client") from None
            connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        return self._session

    def slot(self, client: Client) -> asyncio.Semaphore:
        """Return what limits the requests under way at a service. In the background loop only."""
        if client not in self._slots:
            limit = database_max_inflight() if client.service == "database" else 0
            self._slots[client] = asyncio.Semaphore(limit or _CONNECTIONS)
        return self._slots[client]

    def stop(self) -> None:
        """Close the session and end the loop. The next use starts another."""
        if self._pid != os.getpid():
            return
        with self._lock:
            loop, thread, threads, aio = self._loop, self._thread, self.threads, self._session
            self._clear()
        if loop is None or thread is None or threads is None:
            return
        if aio is not None:
            asyncio.run_coroutine_threadsafe(aio.close(), loop).result(5.0)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        threads.shutdown(wait=False)


background = _Background()
atexit.register(background.stop)
session.on_close.append(background.stop)
session.on_reset(background.stop)


async def perform(client: Client, call: Call) -> Any:
    """Make a call with second attempts, as `Client.perform` does, without blocking the event loop."""
    return await background.run(_perform(client, call))


async def _perform(client: Client, call: Call) -> Any:
    loop = asyncio.get_running_loop()
    attempts = client.attempts()
    while True:
        pool = await loop.run_in_executor(None, client.located)
        try:
            async with background.slot(client):
                answer = await _request(client, pool.address, call)
            if len(answer.body) < _LARGE:
                result = call.answer(answer)
            else:
                result = await loop.run_in_executor(None, call.answer, answer)
        except RemoteError as exc:
            await asyncio.sleep(await loop.run_in_executor(None, client.recover, pool, exc, attempts))
            continue
        client.mark_used()
        return result


async def _request(client: Client, address: Address, call: Call) -> Answer:
    aio = await background.session()
    import aiohttp

    limits = client.timeouts
    timeout = aiohttp.ClientTimeout(total=limits.total, connect=limits.connect, sock_read=limits.read)
    headers = dict(address.headers)
    for line in call.headers.splitlines():
        name, _, value = line.partition(": ")
        headers[name] = value
    try:
        async with aio.request(
            call.method, address.url + call.target, data=call.body, headers=headers, timeout=timeout
        ) as response:
            body = await response.read()
            got = {name.lower(): value for name, value in response.headers.items()}
            address.check(got)
            return Answer(response.status, got, body, client.service, address.url, address.token is not None)
    except asyncio.TimeoutError as exc:
        raise TransportError("it took too long (SEAMLESS_REMOTE_..._TIMEOUT)") from exc
    except (aiohttp.ClientError, OSError) as exc:
        raise TransportError(str(exc) or type(exc).__name__) from exc


# --- buffers ------------------------------------------------------------------------------------


async def get_buffer(client: Any, checksum: Checksum) -> Buffer | None:
    """Return the verified buffer of a server or folder, or None if absent. Raises BufferCorruptionError."""
    if not isinstance(client, Client):
        data = await background.in_thread(client.get, checksum)
        return None if data is None else Buffer.verified(data, checksum)
    from seamless.remote.content import MismatchError, accepted_encodings, suffix_of

    def answer(got: Answer) -> bytes | None:
        if got.status == 404:
            return None
        if got.status != 200:
            raise buffer_calls.get_refused(got, checksum)
        data, suffix = got.body, suffix_of(got)
        if suffix:
            from seamless.compression_utils import decompress_bytes

            try:
                data = decompress_bytes(data, suffix)
            except ValueError as exc:
                raise MismatchError(None) from exc
        found = hashlib.sha256(data).digest()
        if found != checksum.bytes():
            raise MismatchError(found)
        return data

    found = None
    for _ in range(2):
        call = Call("GET", f"/{checksum.hex()}", answer, headers=accepted_encodings(True))
        try:
            data = await perform(client, call)
        except MismatchError as exc:
            found = exc.found
            continue
        return None if data is None else Buffer.verified(data, checksum)
    raise BufferCorruptionError(checksum.hex(), where=client.name, found=found.hex() if found else None)


async def get_lengths(client: Any, checksums: Sequence[Checksum]) -> list[int | None]:
    """Return the length of each buffer, or None."""

    def ask() -> list[int | None]:
        if isinstance(client, Client):
            lengths: list[int | None] = client.lengths(checksums)  # type: ignore[attr-defined]
            return lengths
        return [client.length(checksum) for checksum in checksums]

    found: list[int | None] = await background.in_thread(ask)
    return found


async def promise(client: Any, checksum: Checksum) -> bool:
    """Tell a server that the buffer will come; False if it takes no promises."""
    client.must_be_writable()
    taken: bool = await perform(client, buffer_calls.promise(checksum))
    return taken


async def write_buffer(client: Any, checksum: Checksum, buffer: Buffer | bytes) -> bool:
    """Store a buffer; True when the server has it."""
    content = buffer.content if isinstance(buffer, Buffer) else buffer
    await background.in_thread(client.put, [(checksum, content)])
    return True
