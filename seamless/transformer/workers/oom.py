"""Whether the kernel has ended a process for want of memory."""

from __future__ import annotations

import signal

from seamless.transformer.workers.supervisor import Exit

_GROUPS = "/proc/self/cgroup"
_MACHINE = "/proc/vmstat"
_ALL = "/sys/fs/cgroup/memory.events"  # of the container that this is


class OutOfMemory:
    """Compares the kernel's count of such ends with that of before."""

    def __init__(self) -> None:
        self._before = kills()

    def noticed(self, how: Exit) -> bool:
        """Tell whether a process that has ended in this way was ended for that, as far as one can tell."""
        if how.code != -signal.SIGKILL:
            return False
        before, self._before = self._before, kills()
        return before is not None and self._before is not None and self._before > before

    @staticmethod
    def text(how: Exit, noticed: bool) -> str:
        """Return what there is to say about a process that was killed; empty if memory has nothing to do with it."""
        if how.code != -signal.SIGKILL:
            return ""
        used = f" It had used up to {how.peak_bytes / 1e6:.0f} MB." if how.peak_bytes else ""
        if noticed:
            return f"The system has run out of memory meanwhile, and ends processes then.{used}\n"
        return f"The system does that when memory runs out; or somebody did.{used}\n"


def kills() -> int | None:
    """Return how many processes were ended for want of memory, in the group of this one or anywhere; None: not known.

    Only the difference of two calls means something.
    """
    found = [count for path in (*_own_counters(), _ALL, _MACHINE) if (count := _count(path)) is not None]
    return sum(found) if found else None


def _own_counters() -> list[str]:
    """Return the files with the counts of the group of processes that this one is in, as a job is one."""
    paths = []
    try:
        with open(_GROUPS) as file:
            for line in file:
                _, controllers, group = line.rstrip("\n").split(":", 2)
                if group == "/":
                    continue
                if not controllers:
                    paths += [f"/sys/fs/cgroup{group}/memory.events", f"/sys/fs/cgroup/unified{group}/memory.events"]
                elif "memory" in controllers.split(","):
                    paths.append(f"/sys/fs/cgroup/memory{group}/memory.oom_control")
    except (OSError, ValueError):
        return []
    return paths


def _count(path: str) -> int | None:
    try:
        with open(path) as file:
            for line in file:
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    except (OSError, ValueError):
        return None
    return None
