"""One ssh process that forwards ports of this machine to addresses that another machine reaches, and what it says.

It has a connection of its own, so that it neither keeps nor loses that of commands. It dies with its parent.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from seamless.launcher.processes import Member, is_same_process, start_time
from seamless.launcher.ssh.command import options, ssh_program
from seamless.launcher.ssh.reach import LISTENER

_ALIVE_SECONDS = 5
_MAX_LINES = 50
_END_SECONDS = 2.0
_PR_SET_PDEATHSIG = 1
_NOT_BOUND = re.compile(r"cannot listen to port: (\d+)")
_REFUSED = re.compile(r"open failed: ")


class TunnelProcess:
    """A running ssh with these forwards ({local, target, remote}). Call `close`."""

    def __init__(self, host: str, forwards: Sequence[Mapping[str, Any]]):
        self.ports = {int(forward["local"]) for forward in forwards}
        self.said: list[str] = []  # the last lines that ssh has written
        self._partial, self._complaint, self._bound = b"", False, True
        self._failure = ""
        try:
            self.process: subprocess.Popen[bytes] | None = subprocess.Popen(
                _argv(host, forwards),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
                preexec_fn=_die_with_parent(),
            )
        except (OSError, ValueError) as exc:
            self.process = None
            self._failure = f"cannot start ssh: {exc}"
            self.member = Member(0, 0)
            return
        assert self.process.stderr is not None
        os.set_blocking(self.process.stderr.fileno(), False)
        self.member = Member(self.process.pid, start_time(self.process.pid) or 0)

    def descriptors(self) -> list[int]:
        """Return what becomes readable when there is something to be read, or the end has come."""
        stream = self.process.stderr if self.process is not None else None
        return [] if stream is None or stream.closed else [stream.fileno()]

    def read(self) -> None:
        """Take what ssh has written."""
        stream = self.process.stderr if self.process is not None else None
        while stream is not None and not stream.closed:
            try:
                piece = os.read(stream.fileno(), 65536)
            except BlockingIOError:
                return
            if not piece:
                stream.close()
            *lines, self._partial = (self._partial + piece).split(b"\n")
            for line in lines:
                self._take(line.decode("utf-8", "replace").strip())

    def _take(self, line: str) -> None:
        text = "".join(char if char.isprintable() else " " for char in line).strip()
        if not text:
            return
        self.said = [*self.said[-_MAX_LINES:], text]
        refused = _NOT_BOUND.search(text)
        if refused and int(refused[1]) in self.ports:
            self._bound = False
        self._complaint = self._complaint or _REFUSED.search(text) is not None

    def take_complaint(self) -> bool:
        """Tell whether a connection has failed on the other side since this was asked last."""
        self.read()
        found, self._complaint = self._complaint, False
        return found

    def problem(self) -> str:
        """Return why this tunnel is of no use, or nothing."""
        if self.process is None:
            return self._failure
        self.read()
        if not self._bound:
            return next(line for line in reversed(self.said) if _NOT_BOUND.search(line))
        status = self.process.poll()
        if status is None:
            return ""
        self.read()
        return self.said[-1] if self.said else f"ssh ended with status {status}"

    def close(self) -> None:
        """End it and everything that it has started."""
        if self.process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is None and is_same_process(*self.member):
                try:
                    os.killpg(self.process.pid, number)
                except ProcessLookupError:
                    break
            try:
                self.process.wait(_END_SECONDS)
                break
            except subprocess.TimeoutExpired:
                continue
        self.read()
        if self.process.stderr is not None:
            self.process.stderr.close()


def _argv(host: str, forwards: Sequence[Mapping[str, Any]]) -> list[str]:
    # Not ExitOnForwardFailure: forwards of the user's configuration may fail, and ours are looked at.
    more = ["ControlMaster=no", "ControlPath=none", "ExitOnForwardFailure=no", "GatewayPorts=no", "LogLevel=INFO"]
    argv = [*ssh_program(), *options(alive_seconds=_ALIVE_SECONDS, more=more), "-N"]
    for forward in forwards:
        target = f"[{forward['target']}]" if ":" in forward["target"] else forward["target"]
        argv += ["-L", f"{LISTENER}:{forward['local']}:{target}:{forward['remote']}"]
    return [*argv, "--", host]


def _die_with_parent() -> Any:
    """Return what a child does first, so that it ends if this process is killed; None where that is not to be had."""
    try:
        import ctypes

        prctl = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return None
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
