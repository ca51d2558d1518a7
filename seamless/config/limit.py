"""Keeping the embedded stores of a program to their size limits: who looks is told by the session, here is only when.

A program that goes on looks now and then, in a thread; each one that has stored something looks at its end.
"""

from __future__ import annotations

import os
import time

from seamless.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading

    from seamless.stores.embedded import EmbeddedStore

EVERY = 600.0  # seconds


class LimitWatch:
    """Is told that something was stored in a directory, and has the limit of that enforced."""

    def __init__(self, directory: str, *, every: float = EVERY):
        self._directory, self._every = directory, every
        self._due: float | None = None  # when to look next; None: nothing was stored since the last look
        self._looking: threading.Thread | None = None

    def note(self) -> None:
        """Note that something was stored. Costs a look at the clock, mostly."""
        now = time.monotonic()
        if self._due is None:
            self._due = now + self._every
            session.close_required = True
        elif now >= self._due and (self._looking is None or not self._looking.is_alive()):
            self._due = None
            if self._has_limit():
                import threading

                self._looking = threading.Thread(target=self._look, name="SeamlessSizeLimit", daemon=True)
                self._looking.start()

    def finish(self) -> None:
        """Wait for a look that is under way; look once more if something was stored since. Blocks."""
        if self._looking is not None:
            self._looking.join()
        if self._due is not None:
            self._due = None
            if self._has_limit():
                self._look()

    def _has_limit(self) -> bool:
        from seamless.stores.embedded import SIZE_LIMIT

        return os.path.exists(os.path.join(self._directory, SIZE_LIMIT))

    def _look(self) -> None:
        if session.enforce_limit is not None:
            session.enforce_limit(self._directory)


_watches: dict[str, LimitWatch] = {}  # by directory: a program may go back and forth between its stages


def watch_limit(store: EmbeddedStore) -> None:
    """Keep a store to its size limit, if it has one, while this program stores in it and at its end."""
    if not store.buffers.writable:
        return
    watch = _watches.setdefault(store.directory, LimitWatch(store.directory))
    before = store.buffers.on_store

    def stored() -> None:
        if before is not None:
            before()
        watch.note()

    store.buffers.on_store = stored


def _finish() -> None:
    for watch in list(_watches.values()):
        watch.finish()


session.on_close.append(_finish)
session.on_reset(_watches.clear)
session.on_fork(_watches.clear)
