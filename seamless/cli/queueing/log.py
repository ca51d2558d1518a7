"""The log file of one step: what its command has printed, and why it has failed. It appears with its first line."""

from __future__ import annotations

import os
from typing import Literal


class JobLog:
    """A stream for messages and output; `path` is there as soon as something was written. Thread-safe."""

    def __init__(self, directory: str, number: int):
        self.path = os.path.join(directory, f"job-{number}.log")
        self._fd = -1

    def write(self, text: str) -> int:
        """Append text."""
        self.output("stderr", text.encode("utf-8", "replace"))
        return len(text)

    def output(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        """Append what a command has printed."""
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
    def written(self) -> bool:
        """Whether there is a file."""
        return self._fd >= 0

    def close(self) -> None:
        """Release the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def last_line(path: str) -> str:
    """Return the last line of a log that says something, '' if there is none."""
    try:
        with open(path, "rb") as f:
            f.seek(max(0, os.fstat(f.fileno()).st_size - 4096))
            lines = f.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
