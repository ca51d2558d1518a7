"""The in-memory buffer cache: weak and strong references, fading interest, working limits.

Weak: a buffer can be found while some object holds it. Strong: an entry with references or interest
keeps its bytes. Over the soft cap bytes are evicted by ascending score, but references never are, and
bytes that exist nowhere else are spilled to a temporary directory instead of being dropped.
"""

from __future__ import annotations

import threading
import time
import weakref

from seamless.buffer import Buffer
from seamless.cache.eviction_cost import get_cost
from seamless.cache.memory_limits import default_caps
from seamless.cache.spill import SpillDirectory
from seamless.checksum import Checksum
from seamless.session import session

INTEREST_THRESHOLD = 1 / 128  # below this a temporary reference has expired
_TIMER_INTERVAL = 5.0  # seconds between looks at expired temporary references
_GIB = 1024**3


class TempRef:
    """A reference whose interest fades: divided by `fade_factor` every `fade_interval` seconds."""

    __slots__ = ("checksum", "fade_factor", "fade_interval", "interest", "refreshed", "scratch")

    def __init__(
        self, checksum: Checksum, interest: float, fade_factor: float, fade_interval: float, scratch: bool
    ) -> None:
        self.checksum = checksum
        self.interest, self.fade_factor, self.fade_interval = interest, fade_factor, fade_interval
        self.scratch = scratch
        self.refreshed = time.monotonic()

    def current_interest(self) -> float:
        """Return the interest that is left now."""
        elapsed = time.monotonic() - self.refreshed
        return self.interest / self.fade_factor ** min(elapsed / self.fade_interval, 1000.0)

    def expired(self) -> bool:
        """Tell whether the interest has faded below the threshold."""
        return self.current_interest() < INTEREST_THRESHOLD

    def clear(self) -> None:
        """Give the interest up at once."""
        self.interest = 0.0

    def refresh(self, interest: float, fade_factor: float, fade_interval: float) -> None:
        """Start anew; a stronger interest or a faster fading replaces the present one."""
        self.refreshed = time.monotonic()
        self.interest = max(self.interest, interest)
        if fade_factor ** (1 / fade_interval) > self.fade_factor ** (1 / self.fade_interval):
            self.fade_factor, self.fade_interval = fade_factor, fade_interval


class _Entry:
    __slots__ = ("buffer", "extra_interest", "refs", "scratch", "size", "spilled", "stored", "tempref")

    def __init__(self) -> None:
        self.buffer: Buffer | None = None
        self.refs = 0
        self.tempref: TempRef | None = None
        self.scratch = True  # until a non-scratch reference comes
        self.size: int | None = None
        self.stored = False  # some store acknowledged the bytes
        self.spilled = False
        self.extra_interest = 0.0

    def interest(self) -> float:
        return self.refs + self.extra_interest + (self.tempref.current_interest() if self.tempref else 0.0)


class BufferCache:
    """The buffers of this process. Thread-safe."""

    def __init__(self, soft_cap: int | None = None, hard_cap: int | None = None) -> None:
        default_soft, default_hard = default_caps()
        self.soft_cap = default_soft if soft_cap is None else soft_cap
        self.hard_cap = default_hard if hard_cap is None else hard_cap
        self.benefit_per_gb = 2.0
        self.weak_cache: weakref.WeakValueDictionary[Checksum, Buffer] = weakref.WeakValueDictionary()
        self.strong_cache: dict[Checksum, _Entry] = {}
        self._lock = threading.RLock()
        self._strong_bytes = 0
        self._spill = SpillDirectory()
        self._timer: threading.Thread | None = None
        self._timer_stop = threading.Event()

    # --- finding ------------------------------------------------------------------------------

    def register(self, checksum: Checksum, buffer: Buffer, size: int | None = None) -> None:
        """Make `buffer` findable while it lives; attach it to an entry that waits for its bytes."""
        with self._lock:
            self.weak_cache[checksum] = buffer
            entry = self.strong_cache.get(checksum)
            if entry is not None and entry.buffer is None and not entry.spilled:
                self._attach(entry, buffer)
                if not entry.scratch:
                    self._have_stored(buffer)

    def get(self, checksum: Checksum) -> Buffer | None:
        """Return the buffer if it is in memory or spilled, else None."""
        entry = self.strong_cache.get(checksum)
        if entry is not None and entry.buffer is not None:
            return entry.buffer
        buffer = self.weak_cache.get(checksum)
        if buffer is None and entry is not None and entry.spilled:
            content = self._spill.load(checksum)
            if content is not None:
                buffer = Buffer.verified(content, checksum)
                self.weak_cache[checksum] = buffer
        return buffer

    # --- references ---------------------------------------------------------------------------

    def incref(self, checksum: Checksum, *, buffer: Buffer | None = None, scratch: bool = False) -> None:
        """Add a reference. Without known bytes the entry is a pledge that captures them when they appear."""
        with self._lock:
            entry = self._referenced(checksum, buffer, scratch)
            entry.refs += 1
        self._enforce_caps()

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
        with self._lock:
            entry = self._referenced(checksum, buffer, scratch)
            if entry.tempref is None:
                entry.tempref = TempRef(checksum, interest, fade_factor, fade_interval, scratch)
            else:
                entry.tempref.refresh(interest, fade_factor, fade_interval)
            tempref = entry.tempref
            self._start_timer()
        self._enforce_caps()
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

    def mark_stored(self, checksum: Checksum) -> None:
        """Note that a store has acknowledged the bytes: they may be dropped from memory."""
        with self._lock:
            if entry := self.strong_cache.get(checksum):
                entry.stored = True

    def unstored(self) -> list[Buffer]:
        """Return the referenced, non-scratch buffers that no store has acknowledged yet."""
        with self._lock:
            wanted = [key for key, e in self.strong_cache.items() if not e.scratch and not e.stored]
        return [buffer for key in wanted if (buffer := self.get(key)) is not None]

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
            if self._strong_bytes > self.soft_cap:
                self._evict()
            return before, self._strong_bytes

    def _evict(self) -> None:
        candidates = [(self._score(c, e), c, e) for c, e in self.strong_cache.items() if e.buffer is not None]
        for score, checksum, entry in sorted(candidates, key=lambda item: item[0]):
            if self._strong_bytes <= self.soft_cap:
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
            if not self._spill.save(checksum, buffer.content):
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
        self._timer_stop.clear()
        self._timer = threading.Thread(target=self._run_timer, name="SeamlessBufferCache", daemon=True)
        self._timer.start()

    def _run_timer(self) -> None:
        while not self._timer_stop.wait(_TIMER_INTERVAL):
            self.run_eviction_once()
            with self._lock:
                if not any(e.tempref for e in self.strong_cache.values()):
                    self._timer = None
                    return

    async def start_eviction_loop(self, interval: float = _TIMER_INTERVAL) -> None:
        """Have the caps and fading enforced in the background (they also are at each growth)."""
        self.start_timer()

    async def stop_eviction_loop(self) -> None:
        """Stop the background pass."""
        self._timer_stop.set()

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
        self._timer_stop.set()
        self._spill.remove()

    # --- inner workings (lock held) -----------------------------------------------------------

    def _referenced(self, checksum: Checksum, buffer: Buffer | None, scratch: bool) -> _Entry:
        entry = self.strong_cache.get(checksum)
        if entry is None:
            entry = self.strong_cache[checksum] = _Entry()
        if buffer is None:
            buffer = entry.buffer or self.weak_cache.get(checksum)
        if buffer is not None:
            if session.closed:
                from seamless.shutdown import ensure_open

                ensure_open("incref/tempref")
            if entry.buffer is None:
                self.weak_cache[checksum] = buffer
                self._attach(entry, buffer)
                if entry.spilled:
                    self._spill.discard(checksum)
                    entry.spilled = False
        if not scratch:
            was_scratch, entry.scratch = entry.scratch, False
            if was_scratch and buffer is not None:
                self._have_stored(buffer)
        return entry

    def _have_stored(self, buffer: Buffer) -> None:
        from seamless.cache.buffer_writer import get_writer

        get_writer().register(buffer)

    def _attach(self, entry: _Entry, buffer: Buffer) -> None:
        entry.buffer = buffer
        entry.size = len(buffer)
        self._strong_bytes += entry.size

    def _detach(self, entry: _Entry) -> None:
        if entry.buffer is not None:
            self._strong_bytes -= entry.size or 0
            entry.buffer = None

    def _demote(self, checksum: Checksum, entry: _Entry) -> None:
        self._detach(entry)
        del self.strong_cache[checksum]
        if entry.spilled:
            self._spill.discard(checksum)

    def _enforce_caps(self) -> None:
        if self._strong_bytes > self.soft_cap:
            self.run_eviction_once()


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


def register_weakly(checksum: Checksum, buffer: Buffer) -> None:
    """Make a buffer findable while it lives (cheap: no lock unless somebody waits for it)."""
    if session.is_worker:
        return
    cache = get_buffer_cache()
    if checksum in cache.strong_cache:
        cache.register(checksum, buffer)
    else:
        cache.weak_cache[checksum] = buffer


def _reset() -> None:
    cache, session.buffer_cache = session.buffer_cache, None
    if cache is not None:
        cache.close()


session.on_reset(_reset)
