"""Whether the kernel has ended a process for want of memory."""

from __future__ import annotations

import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from seamless.transformer.workers.supervisor import Exit

_GROUPS = "/proc/self/cgroup"
_MACHINE = "/proc/vmstat"
_ALL = "/sys/fs/cgroup/memory.events"  # of the container that this is
_LOOK_SECONDS = 10.0  # between looks, which cost a tenth of a millisecond
_REMEMBERED = 100  # changes of the count

MEANING = "The system has run out of memory meanwhile, and ends processes then."


class OutOfMemory:
    """Tells whether the kernel's count of such ends has grown since something began. Any thread may ask."""

    def __init__(self) -> None:
        self._looked = float("-inf")
        self._counts: list[tuple[float, int]] = []  # since when the count is what it is, the last one last
        self._accounted = -1  # the count when an end was put down to it last

    def begin(self) -> float:
        """Return when something begins that may be ended for that, in terms of time.monotonic()."""
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._look()
        return time.monotonic()

    def noticed(self, begun: float) -> bool:
        """Tell whether something that has begun then, and was killed, was ended for that, as far as one can tell."""
        before = next((count for since, count in reversed(self._counts) if since <= begun), None)
        now = self._look()
        if before is None or now is None or now <= max(before, self._accounted):
            return False
        self._accounted = now
        return True

    def _look(self) -> int | None:
        self._looked = time.monotonic()
        count = kills()
        if count is not None and not (self._counts and self._counts[-1][1] == count):
            self._counts = [*self._counts[1 - _REMEMBERED :], (self._looked, count)]
        return count

    @staticmethod
    def text(how: Exit, noticed: bool) -> str:
        """Return what there is to say about a process that was killed; empty if memory has nothing to do with it."""
        if how.code != -signal.SIGKILL:
            return ""
        meaning = MEANING if noticed else "The system does that when memory runs out; or somebody did."
        return f"{meaning}{used_up_to(how.peak_bytes)}\n"


out_of_memory = OutOfMemory()  # of this process, for what it starts itself


def used_up_to(peak_bytes: int | None) -> str:
    """Return the sentence about the memory of a process, with a blank before it; empty if it is not known.

    >>> used_up_to(3_400_000)
    ' It had used up to 3 MB.'
    """
    return f" It had used up to {peak_bytes / 1e6:.0f} MB." if peak_bytes else ""


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
