"""Logs of services, never read through a link; the end of one is read from its end, as it may be long."""

from __future__ import annotations

import os
from typing import BinaryIO

_BLOCK = 64 << 10


def open_log(path: str) -> BinaryIO:
    """Open a log for reading. Raises OSError, also if it is a link."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


def tail_bytes(path: str, lines: int) -> bytes:
    """Return the last `lines` lines of a log as they are. Raises OSError."""
    with open_log(path) as f:
        position = f.seek(0, os.SEEK_END)
        data = b""
        while position > 0 and data.count(b"\n") <= lines:
            step = min(_BLOCK, position)
            position -= step
            f.seek(position)
            data = f.read(step) + data
    return b"".join(data.splitlines(keepends=True)[-lines:]) if lines else b""


def tail(path: str, lines: int) -> list[str]:
    """Return the last lines as text for a message: no control characters, none for a log that cannot be read."""
    try:
        text = tail_bytes(path, lines).decode("utf-8", "replace")
    except OSError:
        return []
    cleaned = ["".join(char if char.isprintable() else " " for char in line).rstrip() for line in text.splitlines()]
    return [line for line in cleaned if line][-lines:]
