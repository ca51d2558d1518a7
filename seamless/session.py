"""The one piece of process-wide state: which stores are active, and whether Seamless is closed.

Core code reads and writes through the protocols of `seamless.cache.protocols` and never knows what is behind
them. The storeys above (`config`, or a program's own call of `Session.activate`) decide what is active.
"""

from __future__ import annotations

import os
import threading

TYPE_CHECKING = False  # that of `typing`, which takes longer to import than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from seamless.cache.protocols import BufferStore, ResultStore
    from seamless.checksum import Checksum


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
        # Keeps the store in a directory to its size limit; never raises. Set by seamless/__init__.py.
        self.enforce_limit: Callable[[str], None] | None = None
        self.nparallel: int | None = None  # transformations in flight in `parallel`; None: chosen by the executor
        self._lock = threading.RLock()
        self._activating = False
        # Made at the first need by the modules that own them.
        self.buffer_cache: Any = None  # seamless.cache.buffer_cache.BufferCache
        self.buffer_writer: Any = None  # seamless.cache.buffer_writer.BufferWriter
        self.is_worker = False
        self.worker_buffers: Any = None  # seamless.cache.weak.WeakBuffers of a worker process: what it has made itself
        self.unclosed: str | None = None  # what is to be said if the program ends without `close`
        self.close_required = False  # something was used that needs an orderly end
        self.close_hooks: list[Callable[[], Any]] = []
        self.initial_activation: Callable[[Session], None] | None = None
        self._on_activate: list[Callable[[], None]] = []
        self._on_reset: list[Callable[[], None]] = []
        self._on_fork: list[Callable[[], None]] = []
        self.on_close: list[Callable[[], None]] = []  # of the storeys above; called by `close` before the stores go

    def activate(self, buffer_stores: Iterable[BufferStore] = (), result_stores: Iterable[ResultStore] = ()) -> None:
        """Make these the active stores, in order of preference, instead of the present ones."""
        with self._lock:
            self.buffer_stores = tuple(buffer_stores)
            self.result_stores = tuple(result_stores)
            self.default_activation = None  # last: who sees this sees the stores
        for hook in self._on_activate:
            hook()

    def ensure_active(self) -> None:
        """Apply the default activation (environment) if nothing has been activated yet. Raises what it raises.

        Other threads wait for the end of it.
        """
        if self.default_activation is None:
            return
        with self._lock:
            default = self.default_activation
            if default is None or self._activating:  # done by another thread, or needed by the activation itself
                return
            self._activating = True
            try:
                default(self)
            finally:
                self._activating = False
            self.default_activation = None

    def on_activate(self, hook: Callable[[], None]) -> None:
        """Have `hook` called after each change of the active stores."""
        self._on_activate.append(hook)

    def on_reset(self, hook: Callable[[], None]) -> None:
        """Have `hook` called by `reset`."""
        self._on_reset.append(hook)

    def on_fork(self, hook: Callable[[], None]) -> None:
        """Have `hook` called in a forked child, where no other thread exists and the locks are new."""
        self._on_fork.append(hook)

    def forked(self) -> None:
        """Make the session of a forked child its own: what the parent must end, the child leaves alone."""
        self._lock = threading.RLock()
        self._activating = self.close_required = False
        self.unclosed = None
        self.close_hooks.clear()
        self.on_close.clear()
        for hook in self._on_fork:
            hook()

    def reset(self) -> None:
        """Bring everything that is remembered in this process back to what it is after the first import."""
        for hook in self._on_reset:
            hook()
        with self._lock:
            self.buffer_stores, self.result_stores = (), ()
            self.default_activation = self.initial_activation
            self.nparallel = None
            self.closed = self.is_worker = self.close_required = False
            self.worker_buffers = self.unclosed = None
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
os.register_at_fork(after_in_child=session.forked)


def __getattr__(name: str) -> Any:
    if name in ("BufferStore", "ResultStore"):
        from seamless.cache import protocols

        return getattr(protocols, name)
    raise AttributeError(f"module 'seamless.session' has no attribute {name!r}")
