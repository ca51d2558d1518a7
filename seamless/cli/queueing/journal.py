"""The journal of a queue: what has become of each step, one JSON object a line, on the disk before anybody is told.

    {"event": "server", "pid": 4711, "host": "ws", "marker": "..."}       a server has begun
    {"event": "done", "job": 3, "record": "...", "tf": "...", "result": "...", "targets": {"/data/x": ["file", "..."]}}
    {"event": "failed", "job": 4, "record": "...", "tf": "...", "status": 2, "error": "..."}
    {"event": "blocked", "job": 5, "record": "...", "error": "..."}

Steps are numbered by their place in the queue file, from 1; `record` is a digest of it. The server holds a lock on the
journal while it lives.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

DONE, FAILED, BLOCKED = "done", "failed", "blocked"
ENDS = (DONE, FAILED, BLOCKED)
SERVER = "server"


class Journal:
    """The journal as the server of its queue writes it."""

    def __init__(self, path: str, fd: int):
        self.path, self._fd = path, fd

    def write(self, event: str, **fields: Any) -> None:
        """Append an event; it is on the disk afterwards."""
        line = json.dumps({"event": event, **fields}, separators=(",", ":")).encode() + b"\n"
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            line = b"\n" + line  # a killed server has left half a line
        os.write(self._fd, line)
        os.fsync(self._fd)

    def events(self) -> list[dict[str, Any]]:
        """Return what has been written so far."""
        return list(read_events(self.path))

    def clear(self) -> None:
        """Forget everything."""
        os.ftruncate(self._fd, 0)

    def remove(self) -> None:
        """Delete the journal: its queue is finished."""
        os.unlink(self.path)

    def close(self) -> None:
        """Release the lock."""
        os.close(self._fd)


def acquire(path: str) -> Journal | None:
    """Become the server of a queue, until `close` or the end of the process; None if another process is.

    A file system without locks lets everybody be it.
    """
    import errno
    import fcntl

    from seamless.cli.queueing.records import is_at

    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            if exc.errno in (errno.EAGAIN, errno.EACCES):
                os.close(fd)
                return None
        if is_at(fd, path):
            return Journal(path, fd)
        os.close(fd)  # the server before has just removed it


def read_events(path: str) -> Iterator[dict[str, Any]]:
    """Yield the events of a journal, the oldest first; lines that are none (a crash) are skipped."""
    try:
        with open(path, "rb") as f:
            lines = f.read().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            yield event


def record_digest(record: bytes) -> str:
    """Return what tells one record from another.

    An end counts only for the record it was written for: the journal may be that of an earlier file of this name.
    """
    from hashlib import sha256

    return sha256(record).hexdigest()[:16]


def ends(path: str) -> dict[int, dict[str, Any]]:
    """Return the latest end of each step: number -> event."""
    return {
        event["job"]: event
        for event in read_events(path)
        if event["event"] in ENDS and isinstance(event.get("job"), int)
    }


def living_server(path: str) -> dict[str, Any] | None:
    """Return the event of the server that works on the queue now; None if there is none."""
    import fcntl

    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        servers = [event for event in read_events(path) if event["event"] == SERVER]
        return servers[-1] if servers else {"event": SERVER}
    except OSError:
        return None  # no locks on this file system: nobody can tell
    finally:
        os.close(fd)
    return None
