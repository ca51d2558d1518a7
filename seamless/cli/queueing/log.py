"""The log file of one step: what its command has printed, and why it has failed. It appears with its first line."""

from __future__ import annotations

import os
from typing import Literal

_TAIL = 4096  # bytes


class JobLog:
    """A stream for messages and output; `path` is there as soon as something was written. Thread-safe."""

    def __init__(self, directory: str, number: int):
        self.path = os.path.join(directory, f"job-{number}.log")
        self._fd = -1
        self._tail = b""  # of what the command has printed

    def write(self, text: str) -> int:
        """Append text."""
        self._append(text.encode("utf-8", "replace"))
        return len(text)

    def output(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        """Append what a command has printed."""
        self._tail = (self._tail + data)[-_TAIL:]
        self._append(data)

    def _append(self, data: bytes) -> None:
        if self._fd < 0:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def flush(self) -> None:
        """Do nothing: everything is written at once."""

    def isatty(self) -> bool:
        """Tell that it is no terminal."""
        return False

    @property
    def last_line(self) -> str:
        """The last line of the command that says something, '' if there is none."""
        lines = self._tail.decode(errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    @property
    def written(self) -> bool:
        """Whether there is a file."""
        return self._fd >= 0

    def close(self) -> None:
        """Release the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
