"""A note beside the database that says which server writes it. Two servers on one file work; they are told."""

from __future__ import annotations

import fcntl
import json
import logging
import os

_log = logging.getLogger(__name__)


class Presence:
    """Holds `<database>.server`, locked, until `close`. Where another server holds it, that one is logged."""

    def __init__(self, database: str):
        self.path = f"{database}.server"
        self._fd: int | None = None
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as exc:
            _log.warning("cannot note beside the database that it is being served: %s", exc)
            return
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log.warning("another server writes %s, too: %s. Both work, but one is enough", database, _holder(fd))
            os.close(fd)
        except OSError:  # a file system without locks
            os.close(fd)
        else:
            self._fd = fd
            self._describe(fd)

    def close(self) -> None:
        """Take the note away."""
        if self._fd is None:
            return
        try:
            os.unlink(self.path)
        except OSError as exc:
            _log.warning("cannot remove %s: %s", self.path, exc)
        os.close(self._fd)
        self._fd = None

    def _describe(self, fd: int) -> None:
        """Write down who holds it. Only for people to read: a full disk must not stop the server."""
        holder = {"pid": os.getpid(), "host": os.uname().nodename}
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps(holder).encode() + b"\n", 0)
        except OSError as exc:
            _log.warning("cannot write %s: %s", self.path, exc)


def _holder(fd: int) -> str:
    try:
        holder = json.loads(os.pread(fd, 4096, 0))
        return f"pid {holder['pid']} on {holder['host']}"
    except (OSError, ValueError, RecursionError, TypeError, KeyError):
        return "unknown"
