"""Many transformations at once: bounded, in input order, with progress."""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from seamless.errors import StoreError
from seamless.session import session
from seamless.shutdown import ensure_open
from seamless.transformer import blocking, runner
from seamless.transformer.pool import pool
from seamless.transformer.transformation import Transformation


def bound(nparallel: int | None = None) -> int:
    """Return how many transformations may be in flight: the argument, the configured value, the executor's size.

    Raises ValueError unless an int >= 1.
    """
    chosen = nparallel if nparallel is not None else session.nparallel
    if chosen is None:
        return pool.limit
    if not isinstance(chosen, int) or isinstance(chosen, bool) or chosen < 1:
        raise ValueError(f"nparallel must be an int >= 1, not {chosen!r}")
    return chosen


class TransformationIterableBase(list):  # type: ignore[type-arg]
    """A list of transformations with hooks: `finish(index)` at each completion, `close()` at the end."""

    def finish(self, index: int) -> None:
        """Called when transformation `index` is complete, in order of completion."""

    def close(self) -> None:
        """Called once, at the end."""


class TransformationList(TransformationIterableBase):
    """A list that counts and shows what becomes of its transformations.

    `on_error`: None, "print", or "raise" (RuntimeError at the first failure). `store_details`: keep
    exception texts and result checksums, and let go of each handle as soon as it is complete.
    """

    def __init__(
        self,
        transformations: Iterable[Transformation],
        show_progress: bool = True,
        on_error: str | None = None,
        store_details: bool = False,
    ) -> None:
        if on_error not in (None, "print", "raise"):
            raise ValueError(f"on_error must be None, 'print' or 'raise', not {on_error!r}")
        super().__init__(transformations)
        self.total, self.finished, self.errors, self.cancelled = len(self), 0, 0, 0
        self._on_error, self._store_details = on_error, store_details
        self._stored_exceptions: dict[int, str | None] = {}
        self._stored_checksums: dict[int, Any] = {}
        self._progress = _Progress(self.total) if show_progress else None

    _finished = property(lambda self: self.finished)
    _errors = property(lambda self: self.errors)
    _cancelled = property(lambda self: self.cancelled)
    _total = property(lambda self: self.total)

    def finish(self, index: int) -> None:
        """Count one completion."""
        tf: Transformation = self[index]
        text = tf.exception
        self.finished += 1
        if tf.status == "Status: canceled":
            self.cancelled += 1
        elif text is not None:
            self.errors += 1
        if self._progress is not None:
            self._progress.show(self.finished, self.errors, self.cancelled)
        if self._store_details:
            self._stored_exceptions[index] = text
            self._stored_checksums[index] = tf.result_checksum if text is None else None
            self[index] = None
        if text is not None and self._on_error is not None:
            message = f"Transformation {index} failed:\n{text}"
            if self._on_error == "raise":
                raise RuntimeError(message)
            print(message, file=sys.stderr)

    def close(self) -> None:
        """Close the progress display."""
        if self._progress is not None:
            self._progress.close()


class _Progress:
    """One tqdm bar with the counts behind it; nothing when standard error is not a terminal."""

    def __init__(self, total: int) -> None:
        self._bar = None
        if total and sys.stderr.isatty():
            try:
                from tqdm.auto import tqdm
            except ImportError:
                return
            self._bar = tqdm(total=total, desc="finished", leave=True)

    def show(self, finished: int, errors: int, cancelled: int) -> None:
        if self._bar is not None:
            self._bar.n = finished
            self._bar.set_postfix({"error": errors, "cancelled": cancelled}, refresh=False)
            self._bar.update(0)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _look_up(handles: list[Transformation]) -> None:
    """Ask the stores for the results of several transformations at once, before each of them is started.

    What fails here is met again there.
    """
    ready = [tf for tf in handles if _may_be_looked_up(tf) and tf._construct() is not None]
    try:
        missing = runner.missing([tf.transformation_checksum for tf in ready])
    except StoreError:
        return
    for tf in ready:
        tf._missed = tf._missed or tf.transformation_checksum in missing


def _may_be_looked_up(tf: Transformation) -> bool:
    """Tell whether it is about to be looked up, and waits for nothing else."""
    return not (tf._started or tf._canceled or tf._missed or tf._outcome or any(tf.dependencies().values()))


class _Window:
    """Starts transformations lazily, at most `limit` in flight, and reports completions."""

    def __init__(self, iterable: Iterable[Transformation], limit: int) -> None:
        self.owner = iterable
        self._source = enumerate(iter(iterable))
        self._limit = limit
        self.in_flight: deque[tuple[int, Transformation]] = deque()
        self._running = 0
        self._completed: deque[int] = deque()
        self._condition = threading.Condition()
        self.wake: Any = None  # called, in any thread, at each completion
        self._finish = getattr(iterable, "finish", None)
        self._close = getattr(iterable, "close", None) if self._finish is not None else None

    def fill(self) -> None:
        """Start what fits."""
        new: list[tuple[int, Transformation]] = []
        while self._running < self._limit:
            item = next(self._source, None)
            if item is None:
                break
            index, tf = item
            if not isinstance(tf, Transformation):
                raise TypeError(
                    f"item {index} is of type {type(tf).__name__!r}, not a Transformation: "
                    "call a transformer made with `delayed`"
                )
            self._running += 1
            self.in_flight.append((index, tf))
            new.append((index, tf))
        if len(new) > 1:
            _look_up([tf for _, tf in new])
        for index, tf in new:
            tf.start()
            tf._add_done_callback(functools.partial(self._complete, index))

    def _complete(self, index: int, _: Transformation) -> None:
        with self._condition:
            self._completed.append(index)
            self._condition.notify_all()
        if self.wake is not None:
            self.wake()

    def absorb(self) -> None:
        """Take note of the completions so far; call the owner's `finish` for each."""
        while True:
            with self._condition:
                if not self._completed:
                    return
                index = self._completed.popleft()
            self._running -= 1
            if self._finish is not None:
                self._finish(index)

    def wait(self) -> None:
        """Block until there is a completion to absorb."""
        with pool.blocked(), self._condition:
            while not self._completed:
                self._condition.wait()

    def head_is_done(self) -> bool:
        return bool(self.in_flight) and self.in_flight[0][1]._outcome is not None

    def abandon(self) -> None:
        """Cancel what has not finished."""
        for _, tf in self.in_flight:
            tf.cancel()

    def end(self) -> None:
        if self._close is not None:
            self._close()


def parallel(iterable: Iterable[Transformation], *, nparallel: int | None = None) -> Iterator[Transformation]:
    """Compute transformations at once; yield the handles in input order, each as soon as all before it are done.

    The iterable is consumed lazily, at most `nparallel` are in flight. A failure does not raise: look at
    `.exception`. If the argument has `finish(index)` and `close()`, they are called at each completion and
    at the end; an exception from `finish` cancels the rest.
    """
    ensure_open("parallel")
    if blocking.in_plain_loop():
        raise RuntimeError(
            "parallel() cannot be called from within a running event loop. Use parallel_async() instead."
        )
    return _parallel(_Window(iterable, bound(nparallel)))


def _parallel(window: _Window) -> Iterator[Transformation]:
    try:
        while True:
            window.fill()
            if not window.in_flight:
                window.absorb()
                return
            if not window.head_is_done():
                window.wait()
            window.absorb()
            while window.head_is_done():
                yield window.in_flight.popleft()[1]
    finally:
        window.abandon()
        window.end()


async def parallel_async(
    iterable: Iterable[Transformation], *, nparallel: int | None = None
) -> AsyncIterator[Transformation]:
    """Do what `parallel` does, without blocking the event loop."""
    import asyncio

    ensure_open("parallel_async")
    window = _Window(iterable, bound(nparallel))
    loop = asyncio.get_running_loop()
    completed = asyncio.Event()

    def wake() -> None:
        # A loop that was closed has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(completed.set)

    window.wake = wake
    try:
        while True:
            window.fill()
            if not window.in_flight:
                window.absorb()
                return
            if window.head_is_done():
                await asyncio.sleep(0)  # a long row of known results must not hold up the loop
            else:
                await completed.wait()
                completed.clear()
            window.absorb()
            while window.head_is_done():
                yield window.in_flight.popleft()[1]
    finally:
        window.abandon()
        window.end()
