"""The errors of the launcher: what failed, where and in which phase, what the log says, what to do.

LauncherError
  ConfigurationRefused    the launch dict (or the file that holds it) cannot be used
  StartFailed             the service was started, but did not become available
  ElsewhereError          the service is recorded as running on another machine
  SSHConnectionError      a host cannot be reached over SSH, or not in time
  GuardRejected           the key may not do this on that host: its guard has refused
  HelperMissing           the host was reached, but has no helper of the launcher (or no Python for it)
  TunnelError             the service runs, but cannot be reached through a tunnel
"""

from __future__ import annotations

from seamless.errors import SeamlessError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class LauncherError(SeamlessError, RuntimeError):
    """A service could not be made available, stopped or inspected.

    `phase`, `key`, `host` and `hint` are empty if they do not apply; `log_tail` holds the last lines of the log of the
    service, `log_path` says where all of it is. `reported` tells whether an observer has shown the text already.
    """

    def __init__(
        self,
        message: str,
        *,
        phase: str = "",
        key: str = "",
        host: str = "",
        hint: str = "",
        log_path: str = "",
        log_tail: Sequence[str] = (),
    ):
        self.message, self.phase, self.key, self.host, self.hint = message, str(phase), key, host, hint
        self.log_path, self.log_tail, self.reported = log_path, tuple(log_tail), False
        super().__init__(message)

    def __str__(self) -> str:
        lines = [self.message]
        place = f"{self.log_path} on {self.host}" if self.host else self.log_path
        if self.log_tail:
            lines.append(f"  last log lines ({place}):")
            lines += [f"    {line}" for line in self.log_tail]
        elif self.log_path:
            lines.append(f"  its log is empty: {place}")
        if self.hint:
            lines.append(f"  what to do: {self.hint}")
        return "\n".join(lines)


class ConfigurationRefused(LauncherError):
    """The launch dict cannot be used; the text names the field."""


class StartFailed(LauncherError):
    """The process was started, but the service did not become available. `exit_status` is None if unknown."""

    exit_status: int | None = None


class ElsewhereError(LauncherError):
    """The state file says that the service runs on another machine that shares the directory."""


class SSHConnectionError(LauncherError):
    """`host` cannot be reached over SSH: unreachable, key or host key refused, connection lost, or no answer in time.

    Says nothing about the service.
    """


class GuardRejected(LauncherError):
    """The guard of `host` has refused a command; `reason` is what it said."""

    def __init__(self, message: str, *, reason: str = "", **more: str):
        super().__init__(message, **more)  # type: ignore[arg-type]
        self.reason = reason


class HelperMissing(LauncherError):
    """`host` was reached, but the helper is not installed there and could not be brought.

    `guarded`: a guard has said so. `older`: other helpers of the launcher are there, of a version without this one.
    """

    guarded = older = False


class TunnelError(LauncherError):
    """No connection could be made through the tunnel to `host`."""
