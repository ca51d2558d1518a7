"""The process that forks workers: small, single-threaded, with everything loaded that a worker needs.

Started once per pool. It ends its workers when their parent has ended, however that happened, and tells the parent
how each of them has ended. Never executes a step itself, and never returns to the program of its parent.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from seamless.transformer.bash.groups import GroupTable, noted
from seamless.transformer.workers.protocol import Gone, Link, close_all

FAREWELL = 0.3  # seconds that workers get to end by themselves when the parent has gone
GRACE = 3.0  # seconds between SIGTERM and SIGKILL
_PR_SET_PDEATHSIG = 1

PRELOADED = (
    "seamless.transformer.workers.process",
    "seamless.transformer.execute",
    "seamless.transformer.capture",
    "seamless.transformer.deliver",
    "seamless.transformer.python_run",
    "seamless.transformer.freevars",
    "seamless.transformer.runner",
    "seamless.celltypes.mixed",
    "seamless.celltypes.text",
    "linecache",
    "traceback",
)


class Nursery:
    """Its workers, by the number that the parent has given each."""

    def __init__(self, link: Link, wakeup: int) -> None:
        self._link, self._wakeup, self._pid = link, wakeup, os.getpid()
        self._workers: dict[int, int] = {}  # number -> pid
        self._commands: dict[int, GroupTable] = {}  # number -> what it executes outside of its own process group
        self._killed: dict[int, float] = {}  # number -> when SIGKILL follows
        self._prctl = _prctl()

    def run(self) -> None:
        """Serve until the parent is gone, then end all workers."""
        poll = select.poll()
        poll.register(self._link.sock.fileno(), select.POLLIN)
        poll.register(self._wakeup, select.POLLIN)
        try:
            while True:
                ready = [fd for fd, _ in poll.poll(self._milliseconds())]
                if self._wakeup in ready:
                    os.read(self._wakeup, 4096)
                self._reap()
                self._kill_late()
                if self._link.sock.fileno() in ready:
                    message, fds = self._link.receive()
                    getattr(self, f"_{message[0]}")(*message[1:], fds=fds)
        except Gone:
            self._end_all()

    # --- what the parent asks for -------------------------------------------------------------

    def _fork(self, number: int, modules: Sequence[str], fds: list[int]) -> None:
        """Begin a worker with these descriptors: its end of the link, and where stdout and stderr go."""
        _load(modules)
        try:
            commands = GroupTable()
            pid = os.fork()
        except OSError as exc:  # too many processes, or no memory for another one
            close_all(fds)
            self._link.send(("exited", number, None, 0, f"could not be started: {exc.strerror}"))
            return
        if not pid:
            noted.table = commands
            self._become_worker(fds)
        self._workers[number], self._commands[number] = pid, commands
        close_all(fds)
        self._link.send(("forked", number, pid))

    def _become_worker(self, fds: list[int]) -> None:
        """In the child: serve the parent, and end."""
        status = 70
        try:
            os.setpgid(0, 0)
            if self._prctl is not None:
                self._prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            if os.getppid() != self._pid:  # it has ended before it could be tied to this process
                os._exit(status)
            sock, out, err, mark = fds
            os.dup2(out, 1)
            os.dup2(err, 2)
            close_all([out, err, self._wakeup])
            self._link.sock.close()
            from seamless.transformer.workers.process import main

            main(socket.socket(fileno=sock), mark)
            status = 0
        except BaseException:  # noqa: BLE001  this copy of the process must not go on
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)

    def _kill(self, number: int, fds: list[int]) -> None:
        """End a worker and everything in its process group, at once."""
        if number in self._workers:
            self._signal(number, signal.SIGKILL)

    def _stop(self, number: int, fds: list[int]) -> None:
        """End a worker; it may clean up for a few seconds."""
        if number in self._workers:
            self._signal(number, signal.SIGTERM)
            self._killed[number] = time.monotonic() + GRACE

    # --- ends ---------------------------------------------------------------------------------

    def _signal(self, number: int, which: int) -> None:
        pid = self._workers[number]
        try:
            os.killpg(pid, which)
        except ProcessLookupError:
            os.kill(pid, which)  # not yet the leader of a group of its own; not reaped, so the pid is still its own

    def _reap(self) -> None:
        for number, pid in list(self._workers.items()):
            found, status, usage = os.wait4(pid, os.WNOHANG)
            if found:
                del self._workers[number]
                self._killed.pop(number, None)
                self._end_rest(number, pid)
                self._link.send(("exited", number, os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024, ""))

    def _milliseconds(self) -> float | None:
        if not self._killed:
            return None
        return max(0.0, min(self._killed.values()) - time.monotonic()) * 1000

    def _kill_late(self) -> None:
        for number, deadline in list(self._killed.items()):
            if time.monotonic() >= deadline:
                del self._killed[number]
                self._signal(number, signal.SIGKILL)

    def _end_all(self) -> None:
        """Let those that are idle end by themselves; the others have to be told, and told again."""
        for seconds, which in ((FAREWELL, signal.SIGTERM), (GRACE, signal.SIGKILL)):
            deadline = time.monotonic() + seconds
            while self._workers and (left := deadline - time.monotonic()) > 0:
                if select.select([self._wakeup], [], [], left)[0]:
                    os.read(self._wakeup, 4096)
                self._reap_silently()
            for number in self._workers:
                self._signal(number, which)
        for commands in self._commands.values():
            commands.kill()

    def _reap_silently(self) -> None:
        for number, pid in list(self._workers.items()):
            if os.waitpid(pid, os.WNOHANG)[0]:
                del self._workers[number]
                self._end_rest(number, pid)

    def _end_rest(self, number: int, pid: int) -> None:
        """End what a worker has left: in its own process group, and its commands, which have groups of their own."""
        _kill_group(pid)
        commands = self._commands.pop(number)
        commands.kill()
        commands.close()


def _kill_group(leader: int) -> None:
    """End what a worker has left in its process group."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # nothing is left, or nothing of ours


def _load(modules: Sequence[str]) -> None:
    for name in modules:
        if name and name not in sys.modules:
            try:
                importlib.import_module(name)
            except ImportError:
                continue  # a step that needs it says so


def _prctl() -> Callable[..., Any] | None:
    """Return the C function; None where there is none."""
    import ctypes

    try:
        return ctypes.CDLL(None).prctl  # type: ignore[no-any-return]
    except (OSError, AttributeError):
        return None


def main(control: int, modules: Sequence[str]) -> None:
    """Be the nursery of the process at the other end of the descriptor `control`."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    os.set_blocking(reading, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _load(PRELOADED)
    _load(modules)
    gc.collect()
    gc.freeze()
    Nursery(Link(socket.socket(fileno=control)), reading).run()
    os._exit(0)
