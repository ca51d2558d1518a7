"""The writer: buffers on their way from memory to the active stores.

A buffer stays queued until every writable store has acknowledged it. Without a store nothing is
queued: what is still referenced when a store becomes active is queued then. Concurrent `store` calls
share one commit.
"""

from __future__ import annotations

import threading
import time
from itertools import islice

from seamless.buffer import Buffer
from seamless.errors import StoreError
from seamless.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

    from seamless.cache.protocols import BufferStore
    from seamless.checksum import Checksum

_BATCH_BYTES = 64 * 1024 * 1024
_BATCH_COUNT = 512
_BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds between attempts after a failure


class _Batch:
    """Buffers that are committed together; `done` is set once the stores have answered."""

    __slots__ = ("buffers", "done", "error")

    def __init__(self) -> None:
        self.buffers: dict[Checksum, Buffer] = {}
        self.done = threading.Event()
        self.error: Exception | None = None


class BufferWriter:
    """The queue of one process and the thread that empties it. Thread-safe."""

    def __init__(self) -> None:
        # None: the bytes are taken from the cache when it is their turn, for it has spilled them.
        self._queue: dict[Checksum, Buffer | None] = {}
        self._in_flight: dict[Checksum, Buffer | None] = {}
        self._failures: dict[Checksum, Exception] = {}
        self._changes = 0  # how often other stores have become active
        # No other lock is taken while this one is held: the cache asks under its own lock what is queued.
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stop = False
        self._hurry = False  # somebody waits: do not wait before the next attempt
        self._commit_lock = threading.Lock()
        self._next: _Batch = _Batch()
        self._next_lock = threading.Lock()

    # --- in the background --------------------------------------------------------------------

    def register(self, buffer: Buffer) -> None:
        """Have the buffer stored soon; without a writable store it waits for one, if it is referenced then."""
        self.enqueue(buffer.get_checksum(), buffer)

    def enqueue(self, checksum: Checksum, buffer: Buffer | None = None) -> None:
        """Do what `register` does; `buffer` may be left out if the cache has it."""
        if not session.writable_buffer_stores():
            return
        cache = session.buffer_cache
        if buffer is None and cache is not None:
            buffer = cache.weak_cache.get(checksum)
        with self._condition:
            if checksum not in self._in_flight:
                self._queue[checksum] = buffer
                self._start()

    def hold(self, checksum: Checksum, buffer: Buffer) -> None:
        """Keep the bytes of what waits to be stored: the cache is about to forget them."""
        with self._condition:
            for waiting in (self._queue, self._in_flight):
                if checksum in waiting:
                    waiting[checksum] = buffer

    def stores_changed(self) -> None:
        """Queue every referenced buffer that the stores, which have just become active, may not have."""
        with self._condition:
            self._changes += 1
        cache = session.buffer_cache
        if cache is not None:
            cache.forget_stored()
            for checksum in cache.unstored():
                self.enqueue(checksum)
        with self._condition:
            if self._queue:
                self._start()

    def _start(self) -> None:
        session.close_required = True  # a program that ends now would lose what is queued
        if self._thread is None or not self._thread.is_alive():
            self._stop = False
            self._thread = threading.Thread(target=self._run, name="SeamlessBufferWriter", daemon=True)
            self._thread.start()
        self._condition.notify_all()

    def _run(self) -> None:
        attempt = one_by_one = 0
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._stop or (self._queue and _writable_stores()))
                if self._stop:
                    return
                self._take(1 if one_by_one else _BATCH_COUNT)
                changes = self._changes
            failure = self._attempt()
            if failure is not None and not attempt:
                _warn(failure)
            with self._condition:
                batch = dict(self._in_flight)
                self._in_flight.clear()
                if changes != self._changes:  # meanwhile: those that have taken it may be active no more
                    self._queue = {**batch, **self._queue}
                # A buffer that cannot be stored must not stand in the way of those that were tried with it.
                one_by_one = max(0, one_by_one - 1) if failure is None or one_by_one else len(batch)
                attempt = 0 if failure is None else min(attempt + 1, len(_BACKOFF))
                if failure is not None:
                    for checksum, buffer in batch.items():
                        self._queue.setdefault(checksum, buffer)
                        self._failures[checksum] = failure
                self._condition.notify_all()
                if attempt:
                    self._condition.wait_for(lambda: self._stop or self._hurry, timeout=_BACKOFF[attempt - 1])
                    self._hurry = False

    def _attempt(self) -> Exception | None:
        """Store what is in flight in every writable store; return the first failure."""
        try:
            errors = self._put(self._in_flight)
        except Exception as exc:  # noqa: BLE001  the main loop of a thread: nothing may end it, nothing is lost
            return exc
        if errors:
            return errors[0]
        self._acknowledged(self._in_flight)
        return None

    def _take(self, count: int) -> None:
        """Move the head of the queue to what is in flight."""
        total = 0
        for checksum in list(islice(self._queue, count)):
            buffer = self._queue[checksum]
            total += len(buffer) if buffer is not None else 0
            if self._in_flight and total > _BATCH_BYTES:
                break
            self._in_flight[checksum] = self._queue.pop(checksum)

    # --- both ---------------------------------------------------------------------------------

    def _put(self, buffers: Mapping[Checksum, Buffer | None]) -> list[Exception]:
        """Offer the buffers to every writable store; return what those raised that did not take them."""
        errors: list[Exception] = []
        stores = session.writable_buffer_stores()
        if not stores:
            errors.append(StoreError("the store that was active is active no more"))
        for store in stores:
            try:
                store.put(_contents(buffers))
            except Exception as exc:  # noqa: BLE001  the other stores come first; the caller decides
                errors.append(exc)
        return errors

    def _acknowledged(self, buffers: Iterable[Checksum]) -> None:
        cache = session.buffer_cache
        for checksum in buffers:
            if self._failures:
                self._failures.pop(checksum, None)
            if cache is not None:
                cache.mark_stored(checksum)

    # --- at once ------------------------------------------------------------------------------

    def store(self, buffers: Sequence[Buffer]) -> bool:
        """Store the buffers durably before returning. False if no store is active.

        Raises the error of the first store if none takes them; if only some do, the others get them in the background.
        Threads that come while a commit is under way are committed together by one of them.
        """
        if not session.writable_buffer_stores():
            return False
        with self._next_lock:
            batch = self._next
            for buffer in buffers:
                batch.buffers[buffer.get_checksum()] = buffer
        with self._commit_lock:
            if not batch.done.is_set():
                with self._next_lock:
                    if self._next is batch:
                        self._next = _Batch()
                # Only an interruption (Ctrl-C) leaves it undone: then the next thread of this batch does it.
                self._commit(batch)
                batch.done.set()
        if batch.error is not None:
            raise batch.error
        return True

    def _commit(self, batch: _Batch) -> None:
        changes = self._changes
        errors = self._put(batch.buffers)
        if not errors:
            self._acknowledged(batch.buffers)
            with self._condition:
                if changes == self._changes:  # else the stores that are active now may lack them
                    for checksum in batch.buffers:
                        self._queue.pop(checksum, None)
                    self._condition.notify_all()
        elif len(errors) >= len(session.writable_buffer_stores()):
            batch.error = errors[0]
        else:
            for buffer in batch.buffers.values():
                self.register(buffer)

    # --- the end ------------------------------------------------------------------------------

    def queued(self) -> Set[Checksum]:
        """Return the checksums that wait to be stored or are just being stored."""
        with self._condition:
            return self._queue.keys() | self._in_flight.keys()

    def pending(self) -> list[Checksum]:
        """Return what `queued` returns, oldest first."""
        with self._condition:
            return [*self._in_flight, *(c for c in self._queue if c not in self._in_flight)]

    def failure(self, checksum: Checksum) -> Exception | None:
        """Return why the last attempt to store this buffer failed, if it did."""
        return self._failures.get(checksum)

    def flush(self, timeout: float | None = None) -> list[Checksum]:
        """Wait until everything queued is stored; return the checksums that are not, after `timeout` seconds.

        Without a writable store there is nothing to wait for.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._condition:
            self._hurry = True
            self._condition.notify_all()
            while (self._queue or self._in_flight) and _writable_stores():
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    break
                self._condition.wait(left)
            self._hurry = False
            return self.pending()

    def pending_bytes(self) -> int:
        """Return the total size of what waits to be stored, as far as it is in memory."""
        with self._condition:
            return sum(len(b) for b in (*self._in_flight.values(), *self._queue.values()) if b is not None)

    def purge(self) -> None:
        """Forget what waits to be stored."""
        with self._condition:
            self._queue.clear()
            self._failures.clear()
            self._condition.notify_all()

    def stop(self, timeout: float = 5.0) -> None:
        """End the background thread, within `timeout` seconds; a later `register` starts it again."""
        with self._condition:
            self._stop = True
            self._condition.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def wait_for(self, checksum: Checksum) -> None:
        """Block until this buffer, if queued, has been stored. Raises the error of a failed attempt."""
        with self._condition:
            while checksum in self._queue or checksum in self._in_flight:
                if error := self._failures.get(checksum):
                    raise error
                self._condition.wait()


def _writable_stores() -> list[BufferStore]:
    """Return the active stores to write to; unlike `session.writable_buffer_stores`, takes no lock."""
    return [store for store in session.buffer_stores if store.writable]


def _contents(buffers: Mapping[Checksum, Buffer | None]) -> Iterator[tuple[Checksum, bytes | memoryview]]:
    """Give the buffers to be stored; those that the cache has spilled are in memory one at a time."""
    for checksum, buffer in buffers.items():
        if buffer is None and session.buffer_cache is not None:
            buffer = session.buffer_cache.get(checksum)
        if buffer is not None:
            yield checksum, buffer.view


def _warn(failure: Exception) -> None:
    import logging

    logging.getLogger(__name__).warning("buffers could not be stored, this is tried again: %s", failure)


_making = threading.Lock()


def _stores_changed() -> None:
    if session.buffer_cache is not None or session.buffer_writer is not None:
        get_writer().stores_changed()


def _reset() -> None:
    writer, session.buffer_writer = session.buffer_writer, None
    if writer is not None:
        writer.purge()
        writer.stop()


def _forked() -> None:
    session.buffer_writer = None  # what the parent has queued, the parent stores


session.on_activate(_stores_changed)
session.on_reset(_reset)
session.on_fork(_forked)


def get_writer() -> BufferWriter:
    """Return the writer of this process."""
    writer: BufferWriter | None = session.buffer_writer
    if writer is None:
        with _making:
            writer = session.buffer_writer = session.buffer_writer or BufferWriter()
    return writer


def init() -> None:
    """Make the writer (it makes itself at the first need)."""
    get_writer()


def register(buffer: Buffer) -> None:
    """Have the buffer stored soon."""
    get_writer().register(buffer)


def flush(timeout: float | None = None) -> list[Checksum]:
    """Wait until everything queued is stored; return the checksums that are not."""
    return get_writer().flush(timeout)


def purge() -> None:
    """Forget what waits to be stored."""
    get_writer().purge()


async def await_existing_task(checksum: Checksum) -> None:
    """Wait until this buffer, if queued, has been stored."""
    from seamless.cache.resolve import off_loop

    await off_loop(get_writer().wait_for, checksum)
