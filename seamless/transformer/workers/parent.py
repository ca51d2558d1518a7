"""The worker's side of the link: asks the parent for buffers, results and nested steps.

Whoever waits for a reply receives for all who wait, so that a step with one thread needs no other one.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, BinaryIO

from seamless.buffer import Buffer
from seamless.checksum import Checksum
from seamless.errors import CacheMissError, StoreReadOnlyError
from seamless.session import session
from seamless.transformer.inputs import buffer_checksums
from seamless.transformer.outcome import Outcome
from seamless.transformer.workers.errors import unpack_error
from seamless.transformer.workers.memory import Segments
from seamless.transformer.workers.parcel import Parcel, unpacked
from seamless.transformer.workers.protocol import Link, close_all
from seamless.transformer.workers.step import pack_step

if TYPE_CHECKING:
    from seamless.transformer.execution import Cancellation
    from seamless.transformer.submission import Submission

_IDLE_BYTES = 64 * 1024 * 1024

# The number of the run that this context is part of, if it is not the one that the process has been given.
borrowed_run: ContextVar[int | None] = ContextVar("seamless_borrowed_run", default=None)


class _Box:
    """Where messages for one waiting thread arrive."""

    __slots__ = ("messages",)

    def __init__(self) -> None:
        self.messages: deque[tuple[Any, list[int]]] = deque()


class ParentLink:
    """The link to the parent. Thread-safe. Raises Gone from every method when the parent has ended."""

    def __init__(self, link: Link, execute: Callable[[Any, list[int]], None]) -> None:
        self._link, self._execute = link, execute
        self.run = 0  # the number of the step that this process has been given
        self._steps = _Box()
        self._boxes: dict[int, _Box] = {}
        self._calls = itertools.count(1)
        self._condition = threading.Condition()
        self._receiving = False
        self.segments = Segments(_IDLE_BYTES)

    def next_step(self) -> tuple[Any, list[int]]:
        """Wait for a step to be executed."""
        return self._next(self._steps)

    def send(self, message: Any, fds: Sequence[int] = ()) -> None:
        """Send a message that has no reply."""
        self._link.send(message, fds)

    def call(
        self, operation: str, arguments: Any = None, fds: Sequence[int] = (), canceled: Cancellation | None = None
    ) -> tuple[Any, list[Buffer]]:
        """Ask for something; block until there is a reply. Returns the value and the buffers that came with it."""
        call, box = next(self._calls), _Box()
        run = borrowed_run.get() or self.run
        self._boxes[call] = box

        def cancel() -> None:
            self._link.send(("call", run, call, "cancel", None))

        try:
            self._link.send(("call", run, call, operation, arguments), fds)
            if canceled is not None:
                canceled.add_callback(cancel)
            while True:
                message, received = self._next(box)
                if message[2] != "execute":
                    break
                self._execute(message[3], received)  # nested work for which there is no other process
        finally:
            if canceled is not None:
                canceled.remove_callback(cancel)
            del self._boxes[call]
        if message[2] == "error":
            close_all(received)
            raise unpack_error(message[3])
        value, items = message[3]
        return value, unpacked(items, received)

    def _next(self, box: _Box) -> tuple[Any, list[int]]:
        """Return the next message of a box; receive meanwhile, unless another thread does."""
        while True:
            with self._condition:
                while self._receiving and not box.messages:
                    self._condition.wait()
                if box.messages:
                    return box.messages.popleft()
                self._receiving = True
            arrived = None
            try:
                arrived = self._link.receive()
            finally:
                with self._condition:
                    self._receiving = False
                    if arrived is not None:
                        self._deliver(*arrived)
                    self._condition.notify_all()

    def _deliver(self, message: Any, fds: list[int]) -> None:
        box = self._steps if message[0] == "execute" else self._boxes.get(message[1])
        if box is None:
            close_all(fds)  # a reply that nobody waits for any more
        else:
            box.messages.append((message, fds))


class Parent:
    """The parent as the rest of Seamless sees it from a worker."""

    def __init__(self, link: ParentLink) -> None:
        self._link = link

    def fingertip(self, checksum: Checksum) -> Buffer:
        """Return a buffer, computed again by the parent if it is gone. Raises CacheMissError."""
        buffers = self._link.call("fingertip", checksum.hex())[1]
        return buffers[0]

    def delegate(self, submission: Submission) -> Outcome:
        """Have the parent look a nested step up, or execute and keep it; block until it has."""
        parcel = Parcel(self._link.segments)
        tf = submission.tf
        try:
            for checksum in buffer_checksums(submission.transformation):
                self._add_own(parcel, checksum)
            step = pack_step(submission.transformation, tf, submission.envelope)
            what = (step, submission.refresh, parcel.items)
            value, buffers = self._link.call("delegate", what, parcel.fds, submission.canceled)
        except (RuntimeError, ValueError, TypeError, OSError, CacheMissError) as exc:
            return Outcome(tf, error=f"{type(exc).__name__}: {exc}\n", original=exc)
        finally:
            parcel.sent()
        result, cached, error, original, exit_status, canceled, stdout, stderr = value
        return Outcome(
            tf,
            result=None if result is None else Checksum(result),
            cached=cached,
            error=error,
            original=None if original is None else unpack_error(original),
            exit_status=exit_status,
            canceled=canceled,
            stdout=stdout,
            stderr=stderr,
            kept=buffers,
        )

    def _add_own(self, parcel: Parcel, checksum: Checksum) -> None:
        """Add a buffer that this process has made and the parent may not have."""
        buffer = session.worker_buffers.get(checksum)
        if buffer is not None and not parcel.add(checksum, buffer):
            with contextlib.closing(_Rest(self._link)) as rest:
                rest.send(checksum, buffer)


class _Rest:
    """Takes what has no room beside a message to the parent ahead of it."""

    def __init__(self, link: ParentLink) -> None:
        self._link, self._parcel = link, Parcel()

    def send(self, checksum: Checksum, buffer: Buffer) -> None:
        self._parcel.add(checksum, buffer)
        self._link.call("put", self._parcel.items, self._parcel.fds)

    def close(self) -> None:
        self._parcel.sent()


class ParentBuffers:
    """The parent's buffers, as a store."""

    name, writable = "the parent process", True

    def __init__(self, link: ParentLink) -> None:
        self._link = link

    def get(self, checksum: Checksum) -> bytes | None:
        """Return the verified bytes, or None if absent."""
        buffers = self._link.call("find", checksum.hex())[1]
        return buffers[0].content if buffers else None

    def open(self, checksum: Checksum) -> BinaryIO | None:
        """Return a binary file over the bytes, or None if absent."""
        import io

        content = self.get(checksum)
        return None if content is None else io.BytesIO(content)

    def has(self, checksums: Sequence[Checksum]) -> list[bool]:
        """Tell for each checksum whether the parent has the buffer."""
        return list(self._link.call("has", [checksum.hex() for checksum in checksums])[0])

    def length(self, checksum: Checksum) -> int | None:
        """Return the length in bytes, or None if absent."""
        length: int | None = self._link.call("length", checksum.hex())[0]
        return length

    def put(self, items: Iterable[tuple[Checksum, Any]]) -> None:
        """Have the parent store (checksum, bytes-like) pairs."""
        for checksum, data in items:
            parcel = Parcel()
            try:
                parcel.add(checksum, Buffer(bytes(data)))
                self._link.call("put", parcel.items, parcel.fds)
            finally:
                parcel.sent()


class ParentResults:
    """The parent's results, as a store that is only read: nested steps are kept by the parent itself."""

    name, writable = "the parent process", False

    def __init__(self, link: ParentLink) -> None:
        self._link = link

    def get_result(self, transformation: Checksum) -> Checksum | None:
        """Return the known result."""
        result = self._link.call("lookup", transformation.hex())[0]
        return None if result is None else Checksum(result)

    def get_transformations(self, result: Checksum) -> list[Checksum]:
        """Return the transformations that have given a result."""
        return [Checksum(tf) for tf in self._link.call("transformations", result.hex())[0]]

    def get_record(self, transformation: Checksum) -> dict[str, Any] | None:
        """Records are not for steps."""
        return None

    def set_result(self, transformation: Checksum, result: Checksum) -> bool:
        """Raise StoreReadOnlyError."""
        raise StoreReadOnlyError("a worker does not write results: its parent does")

    def delete_result(self, transformation: Checksum) -> bool:
        """Raise StoreReadOnlyError."""
        raise StoreReadOnlyError("a worker does not write results: its parent does")

    def set_record(self, transformation: Checksum, result: Checksum, record: dict[str, Any]) -> bool:
        """Raise StoreReadOnlyError."""
        raise StoreReadOnlyError("a worker does not write records: its parent does")

    def claim(self, transformation: Checksum) -> contextlib.AbstractContextManager[None]:
        """Nothing is to be held: the parent holds it."""
        return contextlib.nullcontext()
