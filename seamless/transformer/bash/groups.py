"""The process groups of the commands that a worker is executing, told to whoever has forked the worker.

A worker that is killed cannot end its commands; the nursery reads here what they are. In a process without a nursery
a guard hears it instead.
"""

from __future__ import annotations

import mmap
import os
import signal
import struct
import threading

from seamless.transformer.bash.guard import guard

_MOST = 256  # groups at once; more are not noted
_NUMBER = struct.Struct("=i")


class GroupTable:
    """Numbers of process groups in memory that is shared with forked children."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _MOST * _NUMBER.size)
        self._lock = threading.Lock()

    def members(self) -> list[int]:
        """Return the groups that are noted."""
        return [group for (group,) in _NUMBER.iter_unpack(self._memory[:]) if group]

    def replace(self, present: int, group: int) -> None:
        """Write a number in the first place that has the number `present`; 0 is an empty place."""
        with self._lock:
            for place in range(0, _MOST * _NUMBER.size, _NUMBER.size):
                if _NUMBER.unpack_from(self._memory, place)[0] == present:
                    _NUMBER.pack_into(self._memory, place, group)
                    return

    def kill(self) -> None:
        """End the groups that are noted, at once. For the process that has forked the one that noted them."""
        for group in self.members():
            try:
                os.killpg(group, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue  # it has ended, or belongs to another user by now

    def close(self) -> None:
        """Release the memory."""
        self._memory.close()


class _Noted:
    """The groups of this process: in its table, or, where that is None because nobody would read it, at its guard."""

    def __init__(self) -> None:
        self.table: GroupTable | None = None

    def prepare(self) -> None:
        """Get ready for a group that is about to begin."""
        if self.table is None:
            guard.prepare()

    def add(self, group: int) -> None:
        """Note a group that has begun."""
        if self.table is not None:
            self.table.replace(0, group)
        else:
            guard.add(group)

    def discard(self, group: int) -> None:
        """Forget a group that has ended."""
        if self.table is not None:
            self.table.replace(group, 0)
        else:
            guard.discard(group)


noted = _Noted()
