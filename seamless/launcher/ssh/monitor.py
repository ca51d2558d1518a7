"""The process that holds the tunnel of one connection file: one ssh with all forwards of the service.

Told what to hold on stdin; answers on stdout when the ports are open; goes on when the connection file names it.
Connects again on the same ports when the network fails. Ends when the service has ended (then the file is marked as
stale), when the file is gone or names another process, and at once at a signal. Leaves no ssh behind.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping
from types import FrameType
from typing import Any, NoReturn

from seamless.launcher.errors import LauncherError
from seamless.launcher.locking import file_lock
from seamless.launcher.sockets import listens
from seamless.launcher.ssh.tunnel_process import TunnelProcess
from seamless.launcher.statefile import read_state_or_none, write_state

CHECK_SECONDS = 20.0  # between two looks at the service, when nobody complains
FILE_SECONDS = 1.0  # between two looks at the connection file
OPEN_SECONDS = 30.0  # for the ports to be open
_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # before connecting again
_GIVE_UP_SECONDS = 24 * 3600.0
_FAILED_CHECKS = 3  # one after the other, until the service counts as ended
_CLOSED_SECONDS = 1.0  # a connection that is refused over there is closed here within this time
_FOREVER = "Permission denied", "Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED"


class Stopped(BaseException):
    """A signal asks for the end."""


class Monitor:
    """One tunnel. `spec`: host, path (of the connection file), forwards ([{local, target, remote}])."""

    def __init__(self, spec: Mapping[str, Any], control: int):
        self.host, self.path, self.forwards = str(spec["host"]), str(spec["path"]), list(spec["forwards"])
        self.control: int | None = control
        self.tunnel: TunnelProcess | None = None
        self.woken, waker = os.pipe()
        for fd in (self.woken, waker):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(waker)
        self.failed_checks = 0

    # --- the way to the first answer ------------------------------------------------------------

    def open(self) -> str:
        """Start ssh and wait until it listens on all ports; return what is wrong, or nothing."""
        self.tunnel = TunnelProcess(self.host, self.forwards)
        deadline = time.monotonic() + OPEN_SECONDS
        while not all(listens(self.tunnel.member, forward["local"]) for forward in self.forwards):
            problem = self.tunnel.problem()
            if not problem and time.monotonic() >= deadline:
                problem = f"ssh has not opened the ports within {OPEN_SECONDS:g} s"
            if not problem and self.control is not None and self._client_is_gone():
                problem = "nobody waits for it"
            if problem:
                self.tunnel.close()
                return problem
            self._wait(0.02)
        return ""

    def _client_is_gone(self) -> bool:
        poll = select.poll()
        poll.register(self.control or 0, select.POLLIN)
        return any(event & select.POLLHUP for _, event in poll.poll(0))

    def is_kept(self) -> bool:
        """Wait for the client to write the connection file; tell whether it says that this tunnel is to stay."""
        assert self.control is not None and self.tunnel is not None
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        while not poll.poll(50):
            self.tunnel.read()  # what ssh says meanwhile may be asked for
        word = os.read(self.control, 64)
        self.control = None
        if word.startswith(b"keep"):
            return True
        self.tunnel.read()
        _answer({"said": self.tunnel.said})
        return False

    # --- the life of a tunnel -------------------------------------------------------------------

    def hold(self) -> str:
        """Hold the tunnel until there is a reason to end, and return that."""
        assert self.tunnel is not None
        next_file, next_check = 0.0, time.monotonic() + CHECK_SECONDS
        while True:
            now = time.monotonic()
            if now >= next_file:
                if not self._is_ours():
                    return "the connection file is gone, or is that of another tunnel"
                next_file = now + FILE_SECONDS
            problem = self.tunnel.problem()
            if problem:
                reason = self._reconnected(problem)
                if reason:
                    return self._abandoned(reason)
                next_check = time.monotonic()
            elif now >= next_check or self.tunnel.take_complaint():
                if self._has_ended():
                    return self._abandoned("the service does not listen any more")
                next_check = time.monotonic() + (1.0 if self.failed_checks else CHECK_SECONDS)
            self._wait(max(0.0, min(next_file, next_check) - time.monotonic()))

    def _is_ours(self) -> bool:
        found = read_state_or_none(self.path)
        return found is not None and found.get("tunnel_pid") == os.getpid() and found.get("status") != "stale"

    def _wait(self, seconds: float) -> bool:
        """Wait for a message of ssh, its end, or a signal; tell whether there was a signal to go on at once."""
        assert self.tunnel is not None
        poll = select.poll()
        poll.register(self.woken, select.POLLIN)
        for fd in self.tunnel.descriptors():
            poll.register(fd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(seconds * 1000)}
        if self.woken not in ready:
            return False
        try:
            return bool(os.read(self.woken, 4096))
        except BlockingIOError:
            return False

    def _has_ended(self) -> bool:
        """Look once whether something accepts connections over there; tell whether it has failed to often enough."""
        self.failed_checks = self.failed_checks + 1 if self._is_refused(self.forwards[0]["local"]) else 0
        return self.failed_checks >= _FAILED_CHECKS

    def _is_refused(self, port: int) -> bool:
        """Tell whether a connection through the tunnel is closed at once. One that hangs is a matter of the network."""
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=_CLOSED_SECONDS) as connection:
                connection.settimeout(_CLOSED_SECONDS)
                refused = connection.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            refused = True
        assert self.tunnel is not None
        return refused and not self.tunnel.problem()

    def _reconnected(self, problem: str) -> str:
        """Connect again, as often as it takes; return why it is given up, or nothing."""
        assert self.tunnel is not None
        deadline, attempt = time.monotonic() + _GIVE_UP_SECONDS, 0
        while problem:
            _note(f"the tunnel is interrupted: {problem}")
            self.tunnel.close()
            if any(text in problem for text in _FOREVER) or time.monotonic() >= deadline:
                return problem
            until = time.monotonic() + _PAUSES[min(attempt, len(_PAUSES) - 1)]
            while (left := until - time.monotonic()) > 0:
                if not self._is_ours():
                    return "the connection file is gone, or is that of another tunnel"
                if self._wait(min(left, FILE_SECONDS)):
                    break
            attempt += 1
            problem = self.open()
        _note("the tunnel is there again")
        self.failed_checks = 0
        return ""

    def _abandoned(self, reason: str) -> str:
        """Mark the connection file as stale, unless somebody is just making a new one."""
        try:
            with file_lock(self.path + ".lock", wait=0.0):
                found = read_state_or_none(self.path)
                if found is not None and found.get("tunnel_pid") == os.getpid():
                    write_state(self.path, {**found, "status": "stale"})
        except LauncherError as exc:
            _note(exc.message)
        return reason

    def close(self) -> None:
        """End ssh."""
        if self.tunnel is not None:
            self.tunnel.close()


def _answer(value: Mapping[str, Any]) -> None:
    """Tell the client something; it may have gone."""
    try:
        os.write(1, json.dumps(value).encode() + b"\n")
    except BrokenPipeError:
        _note("nobody listens")


def _note(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
    sys.stderr.flush()


def _on_signal(number: int, frame: FrameType | None) -> NoReturn:
    raise Stopped(signal.Signals(number).name)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing but wake up."""


def main() -> int:
    """Hold the tunnel that is described by the first line of stdin."""
    if os.fork():
        os._exit(0)  # the client waits for this one only
    spec = json.loads(_first_line())
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    monitor = Monitor(spec, 0)
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, _on_signal)
        signal.signal(signal.SIGUSR1, _ignore)
        problem = monitor.open()
        _answer({"status": "error", "message": problem} if problem else {"status": "ready", "pid": os.getpid()})
        if problem or not monitor.is_kept():
            return 1
        _detach()
        _note(f"ends: {monitor.hold()}")
    except Stopped as exc:
        _note(f"ends: {exc}")
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        monitor.close()
    return 0


def _first_line() -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        piece = os.read(0, 1)
        if not piece:
            raise SystemExit(1)
        data += piece
    return data


def _detach() -> None:
    """Hold nothing of the client."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):
        os.dup2(null, fd)
    if null > 1:
        os.close(null)


if __name__ == "__main__":
    raise SystemExit(main())
