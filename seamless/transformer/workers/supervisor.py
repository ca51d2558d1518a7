"""The parent's side of the nursery: starts it, has it fork and end workers, and hears how they have ended."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from seamless.errors import WorkerLostError
from seamless.transformer.workers.protocol import Gone, Link, pair

_END_SECONDS = 6.0  # for the nursery, which gives its workers less
_PROGRAM = "import sys; sys.path[:] = sys.argv[3:]; from seamless.transformer.workers.nursery import main; "
_COMPLAINT_BYTES = 8000


@dataclass
class Exit:
    """How a worker has ended: `code` is its status, or minus the number of the signal; None: not known."""

    code: int | None
    peak_bytes: int = 0
    reason: str = ""  # why it could not be started
    pid: int = 0

    def text(self) -> str:
        """Return the end of a sentence that begins with the worker."""
        if self.code is None:
            return self.reason or "has ended"
        if self.code >= 0:
            return f"has ended with exit status {self.code}"
        try:
            name = signal.Signals(-self.code).name
        except ValueError:
            name = "unknown"
        return f"was killed by signal {-self.code} ({name}{_MEANINGS.get(-self.code, '')})"


_MEANINGS: dict[int, str] = {
    signal.SIGSEGV: ": invalid memory access",
    signal.SIGBUS: ": memory that is not there",
    signal.SIGFPE: ": arithmetic error",
    signal.SIGILL: ": invalid instruction",
    signal.SIGABRT: ": abort, often a failed check in a library",
}


class Supervisor:
    """One nursery process. `on_exit(number, exit)` is called in a thread of its own for each worker that has ended."""

    def __init__(self, on_exit: Callable[[int, Exit], None]) -> None:
        self._on_exit = on_exit
        self._lock = threading.Lock()
        self._exits: dict[int, Exit] = {}
        self._changed = threading.Condition()
        self._living: set[int] = set()
        self.pids: dict[int, int] = {}  # of workers
        self._complaints = os.memfd_create("seamless-workers", os.MFD_CLOEXEC)
        ours, theirs = pair()
        try:
            self._process = self._start(theirs.fileno())
        except OSError as exc:
            ours.close()
            os.close(self._complaints)
            raise WorkerLostError(f"no worker processes can be started: {exc}\n") from exc
        finally:
            theirs.close()
        self._link = Link(ours)
        self.alive = True
        self._thread = threading.Thread(target=self._listen, name="SeamlessWorkers", daemon=True)
        self._thread.start()

    def _start(self, control: int) -> Any:
        import subprocess

        program = f"{_PROGRAM}main({control}, sys.argv[2].split(','))"
        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        return subprocess.Popen(
            [sys.executable, *flags, "-c", program, "seamless-workers", ",".join(modules_to_load()), *sys.path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._complaints,
            pass_fds=[control],
            start_new_session=True,  # Ctrl-C is for the program, which then ends what is to be ended
        )

    @property
    def pid(self) -> int:
        """The nursery process."""
        return int(self._process.pid)

    # --- workers ------------------------------------------------------------------------------

    def fork(self, number: int, fds: list[int]) -> None:
        """Have a worker begin, with these descriptors; returns at once. Raises WorkerLostError."""
        with self._changed:
            self._living.add(number)
        try:
            self._link.send(("fork", number, modules_to_load()), fds)
        except Gone as exc:
            raise WorkerLostError(f"no worker process can be started{self._complaint()}\n") from exc

    def kill(self, number: int) -> None:
        """End a worker at once; returns before it has."""
        self._ask("kill", number)

    def stop(self, number: int) -> None:
        """End a worker, which may clean up for a few seconds; returns before it has."""
        self._ask("stop", number)

    def _ask(self, what: str, number: int) -> None:
        try:
            self._link.send((what, number))
        except Gone:
            return  # and so are all workers

    def exit_of(self, number: int, timeout: float) -> Exit:
        """Wait for the end of a worker and return how it has ended."""
        with self._changed:
            self._changed.wait_for(lambda: number not in self._living, timeout)
            return self._exits.pop(number, Exit(None))

    # --- the thread ---------------------------------------------------------------------------

    def _listen(self) -> None:
        while True:
            try:
                message, _ = self._link.receive()
            except Gone:
                break
            if message[0] == "forked":
                self.pids[message[1]] = message[2]
            else:
                self._ended(message[1], Exit(*message[2:]))
        self.alive = False
        for number in list(self._living):
            self._ended(number, Exit(None))

    def _ended(self, number: int, how: Exit) -> None:
        with self._changed:
            self._living.discard(number)
            how.pid = self.pids.pop(number, 0)
            self._exits[number] = how
            while len(self._exits) > 1000:  # of workers that nobody has asked about
                del self._exits[next(iter(self._exits))]
            self._changed.notify_all()
        self._on_exit(number, how)

    # --- the end ------------------------------------------------------------------------------

    def close(self, *, wait: bool = True) -> None:
        """End the nursery and with it all workers; with `wait`, return when they have ended."""
        self._link.close()
        if wait:
            self._reap()
        else:
            threading.Thread(target=self._reap, name="SeamlessWorkersEnd", daemon=True).start()

    def _reap(self) -> None:
        import subprocess

        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its workers have asked the kernel to end with it
            self._process.wait()
        if self._thread is not threading.current_thread():
            self._thread.join(_END_SECONDS)
        os.close(self._complaints)

    def abandon(self) -> None:
        """In a forked child: let go of the descriptors, without a word to the nursery, which is the parent's."""
        self._link.sock.close()
        os.close(self._complaints)
        self._process.returncode = 0  # nobody's child here: not to be waited for

    def _complaint(self) -> str:
        """Return what the nursery has said before it ended."""
        size = os.fstat(self._complaints).st_size
        text = os.pread(self._complaints, _COMPLAINT_BYTES, max(0, size - _COMPLAINT_BYTES)).decode(errors="replace")
        return f":\n{text.rstrip()}" if text.strip() else ""


def modules_to_load() -> list[str]:
    """Return what workers will probably need, as it takes long to load: before they begin, once for all."""
    return [name for name in ("numpy",) if name in sys.modules]
