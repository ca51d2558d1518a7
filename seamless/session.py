"""The one piece of process-wide state: which stores are active, and whether Seamless is closed.

Core code reads and writes through the protocols below and never knows what is behind them. The
storeys above (`config`, or a program's own call of `Session.activate`) decide what is active.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, Protocol, runtime_checkable

from seamless.checksum import Checksum


@runtime_checkable
class BufferStore(Protocol):
    """Where buffers live: memory, a buffer directory, or a hashserver."""

    name: str  # for messages: a path or URL
    writable: bool

    def get(self, checksum: Checksum) -> bytes | None:
        """Return the verified bytes, or None if absent. Raises BufferCorruptionError, StoreError."""

    def open(self, checksum: Checksum) -> BinaryIO | None:
        """Return a binary file at the start of the (decompressed, verified) bytes, or None if absent."""

    def has(self, checksums: Sequence[Checksum]) -> list[bool]:
        """Tell for each checksum whether the buffer is stored."""

    def length(self, checksum: Checksum) -> int | None:
        """Return the uncompressed length in bytes, or None if absent."""

    def put(self, items: Iterable[tuple[Checksum, Any]]) -> None:
        """Store (checksum, bytes-like) pairs; durable on return. Raises StoreError, StoreFullError."""


@runtime_checkable
class ResultStore(Protocol):
    """Where results of transformations live: memory, seamless.db, or a database server."""

    name: str
    writable: bool

    def get_result(self, transformation: Checksum) -> Checksum | None: ...
    def set_result(self, transformation: Checksum, result: Checksum) -> bool: ...
    def delete_result(self, transformation: Checksum) -> bool: ...
    def get_transformations(self, result: Checksum) -> list[Checksum]: ...
    def get_record(self, transformation: Checksum) -> dict[str, Any] | None: ...
    def set_record(self, transformation: Checksum, result: Checksum, record: dict[str, Any]) -> bool: ...
    def claim(self, transformation: Checksum) -> AbstractContextManager[None]:
        """Hold the right to execute `transformation`; blocks while another process holds it."""


class Session:
    """The active stores of this process. Thread-safe: the lists are replaced, never changed in place."""

    def __init__(self) -> None:
        self.buffer_stores: tuple[BufferStore, ...] = ()
        self.result_stores: tuple[ResultStore, ...] = ()
        self.closed = False
        # Called once, at the first need of a store, unless `activate` came first (set by seamless/__init__.py).
        self.default_activation: Callable[[Session], None] | None = None
        # How to recompute a buffer: (checksum) -> bytes | None; set by the transformer storey.
        self.recompute: Callable[[Checksum], Any] | None = None
        self.nparallel: int | None = None  # transformations in flight in `parallel`; None: chosen by the executor
        self._lock = threading.RLock()
        # Made at the first need by the modules that own them.
        self.buffer_cache: Any = None  # seamless.cache.buffer_cache.BufferCache
        self.buffer_writer: Any = None  # seamless.cache.buffer_writer.BufferWriter
        self.is_worker = False
        self.close_required = False  # something was used that needs an orderly end
        self.close_hooks: list[Callable[[], Any]] = []
        self.initial_activation: Callable[[Session], None] | None = None
        self._on_activate: list[Callable[[], None]] = []
        self._on_reset: list[Callable[[], None]] = []
        self.on_close: list[Callable[[], None]] = []  # of the storeys above; called by `close` before the stores go

    def activate(self, buffer_stores: Iterable[BufferStore] = (), result_stores: Iterable[ResultStore] = ()) -> None:
        """Make these the active stores, in order of preference, instead of the present ones."""
        with self._lock:
            self.default_activation = None
            self.buffer_stores = tuple(buffer_stores)
            self.result_stores = tuple(result_stores)
        for hook in self._on_activate:
            hook()

    def ensure_active(self) -> None:
        """Apply the default activation (environment) if nothing has been activated yet."""
        if self.default_activation is None:
            return
        with self._lock:
            default, self.default_activation = self.default_activation, None
            if default is not None:
                default(self)

    def on_activate(self, hook: Callable[[], None]) -> None:
        """Have `hook` called after each change of the active stores."""
        self._on_activate.append(hook)

    def on_reset(self, hook: Callable[[], None]) -> None:
        """Have `hook` called by `reset`."""
        self._on_reset.append(hook)

    def reset(self) -> None:
        """Bring everything that is remembered in this process back to what it is after the first import."""
        for hook in self._on_reset:
            hook()
        with self._lock:
            self.buffer_stores, self.result_stores = (), ()
            self.default_activation = self.initial_activation
            self.nparallel = None
            self.closed = self.is_worker = self.close_required = False
            self.close_hooks.clear()

    def writable_buffer_stores(self) -> list[BufferStore]:
        """Return the stores that buffers must be written to."""
        self.ensure_active()
        return [s for s in self.buffer_stores if s.writable]

    def writable_result_stores(self) -> list[ResultStore]:
        """Return the stores that results must be written to."""
        self.ensure_active()
        return [s for s in self.result_stores if s.writable]


session = Session()
