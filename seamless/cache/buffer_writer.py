"""The writer: buffers on their way from memory to the active stores.

A buffer stays queued until every writable store has acknowledged it. Without a store nothing is
queued: what is still referenced when a store becomes active is queued then. Concurrent `store` calls
share one commit.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence

from seamless.buffer import Buffer
from seamless.checksum import Checksum
from seamless.errors import StoreError
from seamless.session import session

_BATCH_BYTES = 64 * 1024 * 1024
_BATCH_COUNT = 512
_BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds between attempts after a failure


class _Batch:
    """Buffers that are committed together; `done` is set once the stores have answered."""

    __slots__ = ("buffers", "done", "error")

    def __init__(self) -> None:
        self.buffers: dict[Checksum, Buffer] = {}
        self.done = threading.Event()
        self.error: BaseException | None = None


class BufferWriter:
    """The queue of one process and the thread that empties it. Thread-safe."""

    def __init__(self) -> None:
        self._queue: dict[Checksum, Buffer] = {}
        self._failures: dict[Checksum, StoreError] = {}
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stop = False
        self._busy = False
        self._commit_lock = threading.Lock()
        self._next: _Batch = _Batch()
        self._next_lock = threading.Lock()

    # --- in the background --------------------------------------------------------------------

    def register(self, buffer: Buffer) -> None:
        """Have the buffer stored soon; without a writable store it waits for one."""
        if not session.writable_buffer_stores():
            return
        with self._condition:
            self._queue[buffer.get_checksum()] = buffer
            if self._thread is None or not self._thread.is_alive():
                self._stop = False
                self._thread = threading.Thread(target=self._run, name="SeamlessBufferWriter", daemon=True)
                self._thread.start()
            self._condition.notify()

    def enqueue_unstored(self) -> None:
        """Queue every referenced buffer that no store has yet: called when stores become active."""
        cache = session.buffer_cache
        if cache is not None and session.writable_buffer_stores():
            for buffer in cache.unstored():
                self.register(buffer)

    def _run(self) -> None:
        attempt = 0
        while True:
            with self._condition:
                while not self._queue and not self._stop:
                    self._condition.wait()
                if self._stop:
                    return
                batch = self._take()
                self._busy = True
            try:
                self._commit(batch)
                attempt = 0
            except StoreError as exc:
                with self._condition:
                    for checksum, buffer in batch.items():
                        self._queue.setdefault(checksum, buffer)
                        self._failures[checksum] = exc
                attempt = min(attempt + 1, len(_BACKOFF))
            finally:
                with self._condition:
                    self._busy = False
                    self._condition.notify_all()
            if attempt:
                with self._condition:
                    self._condition.wait_for(lambda: self._stop, timeout=_BACKOFF[attempt - 1])

    def _take(self) -> dict[Checksum, Buffer]:
        batch: dict[Checksum, Buffer] = {}
        total = 0
        for checksum in list(self._queue)[:_BATCH_COUNT]:
            if batch and total + len(self._queue[checksum]) > _BATCH_BYTES:
                break
            buffer = batch[checksum] = self._queue.pop(checksum)
            total += len(buffer)
        return batch

    def _commit(self, buffers: dict[Checksum, Buffer]) -> None:
        for store in session.writable_buffer_stores():
            store.put((checksum, buffer.content) for checksum, buffer in buffers.items())
        cache = session.buffer_cache
        for checksum in buffers:
            if self._failures:
                self._failures.pop(checksum, None)
            if cache is not None:
                cache.mark_stored(checksum)

    # --- at once ------------------------------------------------------------------------------

    def store(self, buffers: Sequence[Buffer]) -> bool:
        """Store the buffers durably before returning. False if no store is active; raises StoreError.

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
                    self._next = _Batch()
                try:
                    self._commit(batch.buffers)
                except BaseException as exc:
                    batch.error = exc
                    raise
                finally:
                    batch.done.set()
        if batch.error is not None:
            raise batch.error
        with self._condition:
            for buffer in buffers:
                self._queue.pop(buffer.get_checksum(), None)
        return True

    # --- the end ------------------------------------------------------------------------------

    def pending(self) -> list[Checksum]:
        """Return the checksums that wait to be stored."""
        with self._condition:
            return list(self._queue)

    def failure(self, checksum: Checksum) -> StoreError | None:
        """Return why the last attempt to store this buffer failed, if it did."""
        return self._failures.get(checksum)

    def flush(self, timeout: float | None = None) -> list[Checksum]:
        """Wait until everything queued is stored; return the checksums that are not, after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._condition:
            self._condition.notify_all()
            while self._queue or self._busy:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    break
                self._condition.wait(0.05 if left is None else min(left, 0.05))
            return list(self._queue)

    def pending_bytes(self) -> int:
        """Return the total size of what waits to be stored."""
        with self._condition:
            return sum(len(b) for b in self._queue.values())

    def purge(self) -> None:
        """Forget what waits to be stored."""
        with self._condition:
            self._queue.clear()
            self._failures.clear()

    def stop(self) -> None:
        """End the background thread; a later `register` starts it again."""
        with self._condition:
            self._stop = True
            self._condition.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=5)


_making = threading.Lock()


def _enqueue_unstored() -> None:
    get_writer().enqueue_unstored()


def _reset() -> None:
    writer, session.buffer_writer = session.buffer_writer, None
    if writer is not None:
        writer.purge()
        writer.stop()


session.on_activate(_enqueue_unstored)
session.on_reset(_reset)


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

    def wait() -> None:
        writer = get_writer()
        while checksum in writer.pending():
            if error := writer.failure(checksum):
                raise error
            time.sleep(0.01)

    await off_loop(wait)


def store_all(buffers: Iterable[Buffer]) -> bool:
    """Store the buffers durably before returning; False if no store is active."""
    return get_writer().store(list(buffers))
