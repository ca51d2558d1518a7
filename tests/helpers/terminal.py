"""A terminal with a program in it: type, wait for what the screen shows, read the screen as a user sees it.

The program has a pseudo-terminal as its controlling terminal; its output is drawn by a terminal emulator.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyte

ENTER = "\r"
DEADLINE = 30  # seconds until something that has to appear is given up

# Makes the terminal on descriptor 0 the controlling one, then becomes the program.
LAUNCH = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execvp(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """One program and its screen. Use as a context manager: leaving it hangs up."""

    def __init__(
        self, argv: Sequence[str], cwd: Path, env: Mapping[str, str], *, columns: int = 120, rows: int = 40
    ) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", LAUNCH, *argv],
            cwd=cwd,
            env={**env, "TERM": "xterm"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def type(self, text: str) -> None:
        """Send keys."""
        data = text.encode()
        while data:
            data = data[os.write(self._master, data) :]

    def lines(self) -> list[str]:
        """Return the lines of the screen, without blanks at their ends and without empty lines at the bottom."""
        lines = [line.rstrip() for line in self.screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def text(self) -> str:
        """Return the screen as one text."""
        return "\n".join(self.lines())

    def wait(self, condition: Callable[[list[str]], object], what: str) -> list[str]:
        """Return the lines of the screen as soon as they fulfil `condition`; fail with the screen if they never do."""
        deadline = time.monotonic() + DEADLINE
        while not condition(self.lines()):
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                raise AssertionError(f"{what} never came; the screen shows:\n{self.text()}")
        return self.lines()

    def _read(self, seconds: float) -> bool:
        """Draw what the program has written; False if it has closed the terminal, or says nothing for so long."""
        ready, _, _ = select.select([self._master], [], [], seconds)
        if not ready:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the other side is closed
            return False
        self._stream.feed(data)
        return bool(data)

    def close(self) -> None:
        """Hang up, and end what is still there."""
        os.close(self._master)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
