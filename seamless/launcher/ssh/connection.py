"""Run commands on another machine over ssh, and tell apart why one did not run.

Commands share a connection, which OpenSSH keeps for a minute. Nothing is ever asked of a person.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from seamless.launcher.errors import GuardRejected, HelperMissing, SSHConnectionError
from seamless.launcher.ssh.command import CONNECT_SECONDS, options, remote_command, ssh_program
from seamless.launcher.ssh.process import Completed, OnLine, TimedOut, run_process
from seamless.launcher.ssh.sharing import control_path, sharing_options

__all__ = ["Completed", "SSHConnection"]

SSH_FAILED = 255
NOT_FOUND = 127
COMMAND_SECONDS = 60.0
_GUARD = re.compile(r"^rhl-guard: (?:rejected: (.*)|(configuration error: .*)|(this program is an SSH guard.*))$", re.M)
_GUARD_FAILED = re.compile(r"^Traceback .*rhl-guard.*^FileNotFoundError: ", re.M | re.S)  # it found no such helper
_UNKNOWN_COMMAND = re.compile(r"command not found", re.I)
_ADVICE = (
    ("permission denied", "see that `ssh {host}` works without a password: the key in ssh-agent or ~/.ssh/config here, "
     "and in authorized_keys there"),
    ("host key verification failed", "connect once by hand to accept its host key: ssh {host}"),
    ("remote host identification has changed", "its host key is not the known one; ask who runs that machine"),
    ("could not resolve", "check the name: ssh_hostname (or hostname) of the cluster, or Host in ~/.ssh/config"),
    ("connection refused", "no SSH server answers there: check the host name and the port in ~/.ssh/config"),
    ("timed out", "check the network (VPN?), the host name, and ProxyJump in ~/.ssh/config"),
    ("no route to host", "check the network (VPN?) and the host name"),
    ("network is unreachable", "check the network (VPN?)"),
)  # fmt: skip
_TRY_BY_HAND = "see whether `ssh {host}` works by hand"


class SSHConnection:
    """The way to `host`, which is a name that ssh understands. Cheap to make; connects with the first command."""

    def __init__(self, host: str):
        if not host or host.startswith("-"):
            raise ValueError(f"{host!r} is no name of a host")
        self.host = host
        self.carries = False  # whether the helpers are to be run from the file that was brought there

    def run(
        self,
        words: Sequence[str],
        *,
        timeout: float = COMMAND_SECONDS,
        data: bytes | None = None,
        on_line: OnLine | None = None,
        prefix_path: bool = True,
    ) -> Completed:
        """Run a command there and return its exit status and output. Blocks at most `timeout` seconds.

        `data`: its standard input. `on_line`: told each line of its output as it comes.
        Raises SSHConnectionError, GuardRejected, and HelperMissing if there is no such command.
        """
        text = remote_command(words, prefix_path=prefix_path)
        path = control_path(self.host)
        start = time.monotonic()
        completed = self._attempt(text, path, CONNECT_SECONDS, timeout, data, on_line)
        if completed.status == SSH_FAILED and path is not None and self._lost(completed):
            # The shared connection was dead, and has told us so late: once more with one of its own.
            self.drop()
            left = max(3, round(CONNECT_SECONDS - (time.monotonic() - start)))
            completed = self._attempt(text, None, left, timeout, data, on_line)
        return self._checked(completed, words[0])

    def helper(
        self,
        words: Sequence[str],
        *,
        timeout: float = COMMAND_SECONDS,
        data: bytes | None = None,
        on_line: OnLine | None = None,
    ) -> Completed:
        """Run a helper of the launcher (`rhl-...`) there, and bring the helpers along if that host has none.

        Under a guard only what is installed can be run. Raises what `run` raises.
        """
        from seamless.launcher.ssh.fallback import run_helper

        return run_helper(self, words, timeout=timeout, data=data, on_line=on_line)

    def drop(self) -> None:
        """Leave the shared connection to the commands that use it now; the next one makes a new one."""
        path = control_path(self.host)
        if path is not None:
            argv = [*ssh_program(), "-o", f"ControlPath={path}", "-O", "stop", "--", self.host]
            try:
                run_process(argv, timeout=5.0, data=None, on_line=None)
            except (OSError, TimedOut):
                return  # there is none, or it will be found dead

    def _attempt(
        self, text: str, path: str | None, connect: int, timeout: float, data: bytes | None, on_line: OnLine | None
    ) -> Completed:
        more = ["ClearAllForwardings=yes", "LogLevel=ERROR", *sharing_options(path)]
        try:
            program = ssh_program()
            argv = [*program, *options(connect_seconds=connect, more=more), "--", self.host, text]
            return run_process(argv, timeout=timeout, data=data, on_line=on_line)
        except TimedOut as exc:
            said = _last_line(exc.completed.stderr)
            raise SSHConnectionError(
                f"{self.host} did not finish a command within {timeout:g} s" + (f": {said}" if said else ""),
                host=self.host,
                hint=_TRY_BY_HAND.format(host=self.host),
            ) from None
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else str(exc)
            raise SSHConnectionError(
                f"cannot start ssh to reach {self.host}: {reason}",
                host=self.host,
                hint="install the OpenSSH client, or set SEAMLESS_SSH to the command line of an ssh program",
            ) from exc

    def _lost(self, completed: Completed) -> bool:
        """Tell whether a connection ended that had been there before the command, which has said nothing."""
        text = completed.stderr.lower()
        return not completed.stdout and ("mux_client" in text or "shared connection" in text or "master" in text)

    def _checked(self, completed: Completed, command: str) -> Completed:
        status, stderr = completed.status, completed.stderr
        if status == SSH_FAILED or status < 0:
            raise connection_error(self.host, stderr)
        refused = _GUARD.search(stderr) if status == 1 else None
        if refused:
            reason = next(part for part in refused.groups() if part)
            raise GuardRejected(
                f"{self.host} refuses {command}: {reason}",
                reason=reason,
                host=self.host,
                hint="the key is limited to what the guard (rhl-guard in authorized_keys there) permits; ask who set "
                "it up, or use another key",
            )
        guarded = status == 1 and _GUARD_FAILED.search(stderr) is not None
        unknown = status == 1 and not completed.stdout and _UNKNOWN_COMMAND.search(stderr) is not None
        if status == NOT_FOUND or guarded or unknown:
            error = HelperMissing(
                f"{self.host} has no command {command}",
                host=self.host,
                hint="install the launcher there, on PATH or in a conda environment ~/miniforge3 or ~/miniconda3",
            )
            error.guarded = guarded
            raise error
        return completed


def connection_error(host: str, stderr: str, **more: str) -> SSHConnectionError:
    """Return the error for what ssh has said before it gave up."""
    said = _last_line(stderr)
    lowered = stderr.lower()
    advice = next((advice for mark, advice in _ADVICE if mark in lowered), _TRY_BY_HAND)
    text = f"cannot reach {host} over SSH: {said}" if said else f"the SSH connection to {host} was lost"
    return SSHConnectionError(text, host=host, hint=advice.format(host=host), **more)


def _last_line(text: str) -> str:
    """Return the line of ssh's messages that says most: the last one that is not about a lost session."""
    lines = ["".join(char if char.isprintable() else " " for char in line).strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("mux_client", "Control socket"))]
    return lines[-1] if lines else ""
