"""The errors of the launcher: what failed, in which phase, what the log says, what to do.

LauncherError
  ConfigurationRefused    the launch dict (or the file that holds it) cannot be used
  StartFailed             the service was started, but did not become available
  ElsewhereError          the service is recorded as running on another machine
"""

from __future__ import annotations

from seamless.errors import SeamlessError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class LauncherError(SeamlessError, RuntimeError):
    """A service could not be made available, stopped or inspected.

    `phase`, `key` and `hint` are empty if they do not apply; `log_tail` holds the last lines of the log of the
    service, `log_path` says where all of it is. `reported` tells whether an observer has shown the text already.
    """

    def __init__(
        self,
        message: str,
        *,
        phase: str = "",
        key: str = "",
        hint: str = "",
        log_path: str = "",
        log_tail: Sequence[str] = (),
    ):
        self.message, self.phase, self.key, self.hint = message, str(phase), key, hint
        self.log_path, self.log_tail, self.reported = log_path, tuple(log_tail), False
        super().__init__(message)

    def __str__(self) -> str:
        lines = [self.message]
        if self.log_tail:
            lines.append(f"  last log lines ({self.log_path}):")
            lines += [f"    {line}" for line in self.log_tail]
        elif self.log_path:
            lines.append(f"  its log is empty: {self.log_path}")
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
