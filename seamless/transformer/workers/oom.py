"""Whether the kernel has ended a process for want of memory."""

from __future__ import annotations

import signal

from seamless.transformer.workers.supervisor import Exit

_COUNTERS = ("/sys/fs/cgroup/memory.events", "/proc/vmstat")


class OutOfMemory:
    """Compares the kernel's count of such ends with that of before."""

    def __init__(self) -> None:
        self._before = _count()

    def text(self, how: Exit) -> str:
        """Return what there is to say about a process that was killed; empty if memory has nothing to do with it."""
        if how.code != -signal.SIGKILL:
            return ""
        used = f" It had used up to {how.peak_bytes / 1e6:.0f} MB." if how.peak_bytes else ""
        now = _count()
        if now is not None and self._before is not None and now > self._before:
            self._before = now
            return f"The system has run out of memory meanwhile, and ends processes then.{used}\n"
        return f"The system does that when memory runs out; or somebody did.{used}\n"


def _count() -> int | None:
    total = None
    for path in _COUNTERS:
        try:
            with open(path) as file:
                for line in file:
                    if line.startswith("oom_kill "):
                        total = (total or 0) + int(line.split()[1])
        except (OSError, ValueError):
            continue
    return total
