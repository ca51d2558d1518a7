"""Run one ssh process: its output line by line, at most so many seconds, no terminal, nothing left behind.

Does not wait for the end of its pipes, which a connection in the background may hold open.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import subprocess

OnLine = Callable[[str], None]
_PIECE = 1 << 16
_POLL_SECONDS = 0.5
_END_SECONDS = 2.0


class Completed(NamedTuple):
    """What a command has left: its exit status and its output."""

    status: int
    stdout: str
    stderr: str


class TimedOut(Exception):
    """The process did not end in time, and was killed. `completed` is what it had written until then."""

    def __init__(self, completed: Completed):
        super().__init__()
        self.completed = completed


def run_process(argv: Sequence[str], *, timeout: float, data: bytes | None, on_line: OnLine | None) -> Completed:
    """Run a command and wait for its end. Raises OSError if it cannot be started, and TimedOut.

    `data`: what it reads, nothing if None. `on_line`: told every complete line of its output at once.
    """
    import subprocess

    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL if data is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # an interrupt from the keyboard is for the caller, who decides
    )
    reader = _Reader(process, data, on_line)
    try:
        reader.read(time.monotonic() + timeout)
        return reader.completed()
    finally:
        reader.close()


class _Reader:
    """Moves bytes to and from a process until it ends."""

    def __init__(self, process: subprocess.Popen[bytes], data: bytes | None, on_line: OnLine | None):
        import selectors

        self.process, self.data, self.on_line = process, memoryview(data or b""), on_line
        self.selector = selectors.DefaultSelector()
        self.collected = {"stdout": bytearray(), "stderr": bytearray()}
        self.told = 0  # bytes of stdout that on_line knows
        events = {"stdin": selectors.EVENT_WRITE, "stdout": selectors.EVENT_READ, "stderr": selectors.EVENT_READ}
        for name, event in events.items():
            stream = getattr(process, name)
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                self.selector.register(stream, event, name)
        try:
            self.ended: int | None = os.pidfd_open(process.pid)
            self.selector.register(self.ended, selectors.EVENT_READ, "end")
        except (OSError, AttributeError):
            self.ended = None

    def read(self, deadline: float) -> None:
        """Move bytes until the process has ended. Raises TimedOut."""
        while self.process.poll() is None:
            left = deadline - time.monotonic()
            if left <= 0:
                self._kill()
                self._drain()
                raise TimedOut(self.completed())
            for key, _ in self.selector.select(min(left, _POLL_SECONDS)):
                self._serve(key.data)
        self._drain()

    def completed(self) -> Completed:
        """Return what there is."""
        texts = {name: bytes(data).decode("utf-8", "replace") for name, data in self.collected.items()}
        status = self.process.returncode
        return Completed(-1 if status is None else status, texts["stdout"], texts["stderr"])

    def close(self) -> None:
        """Leave nothing open and no process."""
        if self.process.poll() is None:
            self._kill()
        self.selector.close()
        if self.ended is not None:
            os.close(self.ended)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue  # it did not want the rest

    def _serve(self, name: str) -> None:
        if name == "stdin":
            self._write()
        elif name != "end":
            self._take(name)

    def _write(self) -> None:
        stream = self.process.stdin
        assert stream is not None
        try:
            if self.data:
                self.data = self.data[os.write(stream.fileno(), self.data[:_PIECE]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self.data = self.data[:0]
        if not self.data:
            self.selector.unregister(stream)
            stream.close()

    def _take(self, name: str) -> bool:
        """Read once from one of the pipes; tell whether there was something."""
        stream = getattr(self.process, name)
        try:
            piece = os.read(stream.fileno(), _PIECE)
        except BlockingIOError:
            return False
        if not piece:
            if stream in self.selector.get_map():
                self.selector.unregister(stream)
            return False
        self.collected[name] += piece
        if name == "stdout":
            self._tell()
        return True

    def _tell(self) -> None:
        if self.on_line is None:
            return
        data = self.collected["stdout"]
        while (end := data.find(b"\n", self.told)) >= 0:
            line = bytes(data[self.told : end])
            self.told = end + 1
            self.on_line(line.decode("utf-8", "replace"))

    def _drain(self) -> None:
        """Read what the process has left in its pipes."""
        for name in ("stdout", "stderr"):
            while self._take(name):
                continue

    def _kill(self) -> None:
        import subprocess

        self.process.terminate()
        try:
            self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
