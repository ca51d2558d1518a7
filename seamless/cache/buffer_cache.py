"""The in-memory buffer cache: weak and strong references, fading interest, working limits.

Weak: a buffer can be found while some object holds it. Strong: an entry with references or interest
keeps its bytes. Over the soft cap bytes are evicted by ascending score, but references never are, and
bytes that exist nowhere else are spilled to a temporary directory instead of being dropped.
"""

from __future__ import annotations

import threading
import time

from seamless.buffer import Buffer
from seamless.cache.eviction_cost import get_cost
from seamless.cache.memory_limits import default_caps
from seamless.cache.spill import SpillDirectory
from seamless.cache.tempref import TempRef
from seamless.cache.weak import WeakBuffers
from seamless.session import session
from seamless.shutdown import ensure_open

TYPE_CHECKING = False
if TYPE_CHECKING:
    from seamless.checksum import Checksum

_TIMER_INTERVAL = 5.0  # seconds between looks at expired temporary references
_GIB = 1024**3
_MANY = 1000  # entries from which a look at all of them must be worth it
_SLACK = 64  # ... which it is when the bytes have grown by a 64th of the soft cap since the last one


class _Entry:
    __slots__ = ("buffer", "extra_interest", "refs", "scratch", "size", "spilled", "stored", "tempref")

    def __init__(self) -> None:
        self.buffer: Buffer | None = None
        self.refs = 0
        self.tempref: TempRef | None = None
        self.scratch = True  # until a non-scratch reference comes
        self.size: int | None = None
        self.stored = False  # every active store acknowledged the bytes
        self.spilled = False
        self.extra_interest = 0.0

    def interest(self) -> float:
        return self.refs + self.extra_interest + (self.tempref.current_interest() if self.tempref else 0.0)


class BufferCache:
    """The buffers of this process. Thread-safe.

    The lock is never held while a store or the writer is called: those may need this cache.
    """

    def __init__(self, soft_cap: int | None = None, hard_cap: int | None = None) -> None:
        default_soft, default_hard = default_caps()
        self.soft_cap = default_soft if soft_cap is None else soft_cap
        self.hard_cap = default_hard if hard_cap is None else hard_cap
        self.benefit_per_gb = 2.0
        self.weak_cache = WeakBuffers()
        self.strong_cache: dict[Checksum, _Entry] = {}
        self._lock = threading.RLock()
        self._strong_bytes = 0
        self._tolerated = 0  # strong bytes up to which another eviction pass is not worth it
        self._spill = SpillDirectory()
        self._timer: threading.Thread | None = None
        self._timer_stop = threading.Event()
        self._interval = _TIMER_INTERVAL

    # --- finding ------------------------------------------------------------------------------

    def note(self, checksum: Checksum, buffer: Buffer) -> None:
        """Make a buffer with this, verified, checksum findable while it lives. No lock unless somebody waits for it."""
        self.weak_cache.remember(checksum, buffer)
        if checksum in self.strong_cache:
            self._attach_to_entry(checksum, buffer)

    def register(self, checksum: Checksum, buffer: Buffer, size: int | None = None) -> None:
        """Make `buffer` findable while it lives; attach it to an entry that waits for its bytes.

        Raises ValueError if the bytes do not have the checksum.
        """
        _verify(checksum, buffer)
        self.note(checksum, buffer)

    def get(self, checksum: Checksum) -> Buffer | None:
        """Return the buffer if it is in memory or spilled, else None."""
        entry = self.strong_cache.get(checksum)
        if entry is None:
            return self.weak_cache.get(checksum)
        with self._lock:  # it may just be leaving memory for the disk, or coming back
            buffer = entry.buffer or self.weak_cache.get(checksum)
            if buffer is None and entry.spilled:
                content = self._spill.load(checksum)
                if content is not None:
                    buffer = Buffer.verified(content, checksum)
                    self.weak_cache.remember(checksum, buffer)
        return buffer

    # --- references ---------------------------------------------------------------------------

    def incref(self, checksum: Checksum, *, buffer: Buffer | None = None, scratch: bool = False) -> None:
        """Add a reference. Without known bytes the entry is a pledge that captures them when they appear."""
        with self._lock:
            entry, to_store = self._referenced(checksum, buffer, scratch)
            entry.refs += 1
        self._after_growth(checksum, to_store)

    def decref(self, checksum: Checksum) -> None:
        """Take a reference away; the last one demotes the buffer to weak. Without references: nothing."""
        with self._lock:
            entry = self.strong_cache.get(checksum)
            if entry is None or entry.refs == 0:
                return
            entry.refs -= 1
            if entry.refs == 0 and entry.tempref is None:
                self._demote(checksum, entry)

    def tempref(
        self,
        checksum: Checksum,
        *,
        buffer: Buffer | None = None,
        interest: float = 128.0,
        fade_factor: float = 2.0,
        fade_interval: float = 2.0,
        scratch: bool = False,
    ) -> TempRef:
        """Add or refresh the temporary reference of this checksum (there is at most one)."""
        tempref = TempRef(checksum, interest, fade_factor, fade_interval, scratch)
        with self._lock:
            entry, to_store = self._referenced(checksum, buffer, scratch)
            if entry.tempref is None:
                entry.tempref = tempref
            else:
                entry.tempref.refresh(interest, fade_factor, fade_interval)
                entry.tempref.scratch = entry.tempref.scratch and scratch
                tempref = entry.tempref
            self._start_timer()
        self._after_growth(checksum, to_store)
        return tempref

    def refresh_tempref(self, checksum: Checksum) -> None:
        """Let the temporary reference of this checksum start anew, if there is one."""
        with self._lock:
            entry = self.strong_cache.get(checksum)
            if entry is not None and entry.tempref is not None:
                entry.tempref.refreshed = time.monotonic()

    def is_scratch_ref(self, checksum: Checksum) -> bool:
        """Tell whether all references to this checksum so far are scratch."""
        entry = self.strong_cache.get(checksum)
        return entry is not None and entry.scratch

    def purge_scratch(self, checksum: Checksum | None = None) -> int:
        """Drop entries that only scratch temporary references hold; return how many."""
        with self._lock:
            chosen = [checksum] if checksum is not None else list(self.strong_cache)
            count = 0
            for key in chosen:
                entry = self.strong_cache.get(key)
                if entry is not None and entry.scratch and entry.refs == 0 and entry.tempref is not None:
                    self._demote(key, entry)
                    count += 1
            return count

    def add_interest(self, checksum: Checksum, interest: float) -> None:
        """Raise the score of an entry by `interest` references' worth."""
        with self._lock:
            if entry := self.strong_cache.get(checksum):
                entry.extra_interest += interest

    def remove_interest(self, checksum: Checksum, interest: float) -> None:
        """Take back what `add_interest` added."""
        with self._lock:
            if entry := self.strong_cache.get(checksum):
                entry.extra_interest = max(0.0, entry.extra_interest - interest)

    # --- what the stores have -----------------------------------------------------------------

    def mark_stored(self, checksum: Checksum) -> None:
        """Note that the active stores have acknowledged the bytes: they may be dropped from memory."""
        with self._lock:
            if entry := self.strong_cache.get(checksum):
                entry.stored = True

    def forget_stored(self) -> None:
        """Note that other stores are active now: what is in memory may be nowhere else that can be reached."""
        with self._lock:
            for checksum, entry in self.strong_cache.items():
                if entry.stored and (entry.buffer is not None or checksum in self.weak_cache):
                    entry.stored = False

    def unstored(self) -> list[Checksum]:
        """Return the referenced, non-scratch checksums whose bytes are here and not acknowledged by the stores."""
        with self._lock:
            wanted = [(key, e) for key, e in self.strong_cache.items() if not e.scratch and not e.stored]
            return [key for key, e in wanted if e.buffer is not None or e.spilled or key in self.weak_cache]

    # --- limits -------------------------------------------------------------------------------

    def run_eviction_once(self) -> tuple[int, int]:
        """Drop expired temporary references, then evict down to the caps; return bytes (before, after)."""
        with self._lock:
            before = self._strong_bytes
            for checksum, entry in list(self.strong_cache.items()):
                if entry.tempref is not None and entry.tempref.expired():
                    entry.tempref = None
                    if entry.refs == 0:
                        self._demote(checksum, entry)
            soft_cap = min(self.soft_cap, self.hard_cap)
            if self._strong_bytes > soft_cap:
                self._evict(soft_cap)
            self._tolerated = self._next_look(soft_cap)
            return before, self._strong_bytes

    def _next_look(self, soft_cap: int) -> int:
        """Return the strong bytes from which on eviction is to be tried again."""
        if len(self.strong_cache) < _MANY:
            return soft_cap
        limit = max(self._strong_bytes, soft_cap) + soft_cap // _SLACK
        return limit if self._strong_bytes > self.hard_cap else min(limit, self.hard_cap)

    def _evict(self, soft_cap: int) -> None:
        writer = session.buffer_writer
        queued = writer.queued() if writer is not None else frozenset()  # the writer holds those bytes anyway
        candidates = [
            (self._score(c, e), c, e) for c, e in self.strong_cache.items() if e.buffer is not None and c not in queued
        ]
        for score, checksum, entry in sorted(candidates, key=lambda item: item[0]):
            if self._strong_bytes <= soft_cap:
                break
            if self._strong_bytes <= self.hard_cap and score >= self.benefit_per_gb:
                break  # between the caps only what is cheaper to get back than to keep
            self._drop_bytes(checksum, entry)

    def _score(self, checksum: Checksum, entry: _Entry) -> float:
        cost = get_cost(checksum, entry.size) or 0.0
        return cost * entry.interest() / (max(entry.size or 1, 1) / _GIB)

    def _drop_bytes(self, checksum: Checksum, entry: _Entry) -> None:
        """Drop the bytes of an entry, never its references; spill them unless a store has them."""
        buffer = entry.buffer
        if buffer is None:
            return
        if not entry.stored:
            if not self._spill.save(checksum, buffer.view):
                return  # no room on disk either: memory is the only place, so it stays
            entry.spilled = True
        self._detach(entry)

    def start_timer(self) -> None:
        """Have expired temporary references dropped in the background."""
        with self._lock:
            self._start_timer()

    def _start_timer(self) -> None:
        if self._timer is not None and self._timer.is_alive():
            return
        self._timer_stop = threading.Event()
        self._timer = threading.Thread(
            target=self._run_timer, args=(self._timer_stop,), name="SeamlessBufferCache", daemon=True
        )
        self._timer.start()

    def _run_timer(self, stop: threading.Event) -> None:
        while not stop.wait(self._interval):
            self.run_eviction_once()
            with self._lock:
                if not any(e.tempref for e in self.strong_cache.values()):
                    self._timer = None
                    return

    async def start_eviction_loop(self, interval: float = _TIMER_INTERVAL) -> None:
        """Have the caps and fading enforced in the background, every `interval` seconds."""
        self._interval = interval
        self.start_timer()

    async def stop_eviction_loop(self) -> None:
        """Stop the background pass, until the next temporary reference."""
        self._stop_timer()

    def _stop_timer(self) -> None:
        with self._lock:
            self._timer_stop.set()
            self._timer = None

    def stats(self) -> dict[str, int]:
        """Return strong_bytes, strong_count, weak_count, soft_cap, hard_cap."""
        with self._lock:
            return {
                "strong_bytes": self._strong_bytes,
                "strong_count": len(self.strong_cache),
                "weak_count": len(self.weak_cache),
                "soft_cap": self.soft_cap,
                "hard_cap": self.hard_cap,
            }

    def close(self) -> None:
        """Stop the background pass and remove spilled bytes."""
        self._stop_timer()
        self._spill.remove()

    def forked(self) -> None:
        """Work on in a forked child: a thread that is not here may have held the lock."""
        self._lock = threading.RLock()
        self._timer = None
        self._spill.forked()

    # --- inner workings -----------------------------------------------------------------------

    def _attach_to_entry(self, checksum: Checksum, buffer: Buffer) -> None:
        with self._lock:
            entry = self.strong_cache.get(checksum)
            if entry is None or entry.buffer is not None or entry.spilled:
                return
            self._attach(entry, buffer)
            to_store = not entry.scratch and not entry.stored
        self._after_growth(checksum, to_store)

    def _referenced(self, checksum: Checksum, buffer: Buffer | None, scratch: bool) -> tuple[_Entry, bool]:
        """Return the entry for a new reference, and whether its bytes are to be stored now. The lock is held."""
        entry = self.strong_cache.get(checksum)
        if buffer is not None:
            _verify(checksum, buffer)
        else:
            buffer = (entry.buffer if entry is not None else None) or self.weak_cache.get(checksum)
        if buffer is not None:
            ensure_open("incref/tempref", mark_required=False)
        if entry is None:
            entry = self.strong_cache[checksum] = _Entry()
        if buffer is not None and entry.buffer is None:
            self.weak_cache.remember(checksum, buffer)
            self._attach(entry, self.weak_cache.get(checksum) or buffer)  # of two that are equal, keep one
            if entry.spilled:
                self._spill.discard(checksum)
                entry.spilled = False
        was_scratch = entry.scratch
        entry.scratch = was_scratch and scratch
        return entry, was_scratch and not scratch and (buffer is not None or entry.spilled)

    def _after_growth(self, checksum: Checksum, to_store: bool) -> None:
        """Do what a new reference asks for once the lock is free: have the bytes stored, keep to the caps."""
        if to_store:
            from seamless.cache.buffer_writer import get_writer

            get_writer().enqueue(checksum)
        if self._strong_bytes > min(self.soft_cap, self.hard_cap) and self._strong_bytes > self._tolerated:
            self.run_eviction_once()

    def _attach(self, entry: _Entry, buffer: Buffer) -> None:
        entry.buffer = buffer
        entry.size = len(buffer)
        self._strong_bytes += entry.size

    def _detach(self, entry: _Entry) -> None:
        if entry.buffer is not None:
            self._strong_bytes -= entry.size or 0
            entry.buffer = None
            if self._strong_bytes < self.soft_cap - self.soft_cap // _SLACK:
                self._tolerated = 0

    def _demote(self, checksum: Checksum, entry: _Entry) -> None:
        self._detach(entry)
        if entry.spilled:
            self._keep_for_writer(checksum)
            self._spill.discard(checksum)
        del self.strong_cache[checksum]

    def _keep_for_writer(self, checksum: Checksum) -> None:
        """Give spilled bytes to the writer if it has yet to store them."""
        writer = session.buffer_writer
        if writer is None or checksum not in writer.queued():
            return
        content = self._spill.load(checksum)
        if content is not None:
            buffer = Buffer.verified(content, checksum)
            self.weak_cache.remember(checksum, buffer)
            writer.hold(checksum, buffer)


def _verify(checksum: Checksum, buffer: Buffer) -> None:
    if buffer.get_checksum() != checksum:
        raise ValueError(f"the buffer has checksum {buffer.get_checksum()}, not {checksum}")


_making = threading.Lock()


def get_buffer_cache() -> BufferCache:
    """Return the cache of this process. RuntimeError in a worker process: workers use their parent's."""
    if session.is_worker:
        raise RuntimeError("a worker process has no buffer cache of its own; it uses that of its parent")
    cache: BufferCache | None = session.buffer_cache
    if cache is None:
        with _making:
            cache = session.buffer_cache = session.buffer_cache or BufferCache()
    return cache


def find_in_memory(checksum: Checksum) -> Buffer | None:
    """Return the buffer from the cache of this process, if it has both."""
    if session.is_worker:
        return None if session.worker_buffers is None else session.worker_buffers.get(checksum)  # type: ignore[no-any-return]
    return get_buffer_cache().get(checksum)


def register_weakly(checksum: Checksum, buffer: Buffer) -> None:
    """Make a buffer with a verified checksum findable while it lives; in a worker, until it is passed on."""
    if not session.is_worker:
        get_buffer_cache().note(checksum, buffer)
    elif session.worker_buffers is not None:
        session.worker_buffers.remember(checksum, buffer)


def _reset() -> None:
    cache, session.buffer_cache = session.buffer_cache, None
    if cache is not None:
        cache.close()


def _forked() -> None:
    if session.buffer_cache is not None:
        session.buffer_cache.forked()


session.on_reset(_reset)
session.on_fork(_forked)
