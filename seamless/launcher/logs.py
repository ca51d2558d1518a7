"""The end of a log, read from its end: a log may be long."""

from __future__ import annotations

import os

_BLOCK = 64 << 10


def tail_bytes(path: str, lines: int) -> bytes:
    """Return the last `lines` lines of a file as they are. Raises OSError."""
    with open(path, "rb") as f:
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
