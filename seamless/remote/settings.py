"""What the environment says about clients of services: timeouts in seconds, limits, debugging."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # that of `typing`, which takes longer to import than all of this
if TYPE_CHECKING:
    from collections.abc import Mapping

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 1200.0
HEALTHCHECK_TIMEOUT = 10.0
DATABASE_MAX_INFLIGHT = 30
ON_MISMATCH = ("warn", "restart", "error")
_OFF = ("", "none", "off", "false")


class Timeouts:
    """Seconds to wait for a connection, for the next bytes, for a whole request, for a health check; None: for ever."""

    __slots__ = ("connect", "healthcheck", "read", "total")

    def __init__(
        self, connect: float | None, read: float | None, total: float | None = None, healthcheck: float | None = None
    ):
        self.connect, self.read, self.total, self.healthcheck = connect, read, total, healthcheck

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Timeouts:
        """Return what SEAMLESS_REMOTE_*_TIMEOUT say."""
        env = os.environ if environ is None else environ
        return cls(
            seconds(env.get("SEAMLESS_REMOTE_CONNECT_TIMEOUT"), CONNECT_TIMEOUT),
            seconds(env.get("SEAMLESS_REMOTE_READ_TIMEOUT"), READ_TIMEOUT),
            seconds(env.get("SEAMLESS_REMOTE_TOTAL_TIMEOUT"), None),
            seconds(env.get("SEAMLESS_REMOTE_HEALTHCHECK_TIMEOUT"), HEALTHCHECK_TIMEOUT),
        )


def seconds(text: str | None, default: float | None) -> float | None:
    """Return the seconds that `text` says; None where it turns the limit off; `default` if unset or not a number.

    >>> seconds("2.5", 10.0), seconds("off", 10.0), seconds("-1", 10.0), seconds("soon", 10.0), seconds(None, 10.0)
    (2.5, None, None, 10.0, 10.0)
    """
    if text is None:
        return default
    text = text.strip().lower()
    if text in _OFF:
        return None
    try:
        value = float(text)
    except ValueError:
        return default
    if value != value:  # nan
        return default
    return value if 0 < value < float("inf") else None


def database_max_inflight() -> int:
    """Return how many requests may be under way at one database at a time; 0: any number."""
    text = os.environ.get("SEAMLESS_DATABASE_MAX_INFLIGHT", "").strip()
    try:
        return max(0, int(text))
    except ValueError:
        return DATABASE_MAX_INFLIGHT


def on_mismatch() -> str:
    """Return what is done about a running service that was started with other settings: SEAMLESS_ON_MISMATCH.

    `warn` if it is unset. Raises RemoteUsageError for an unknown word.
    """
    text = os.environ.get("SEAMLESS_ON_MISMATCH", "").strip().lower() or "warn"
    if text not in ON_MISMATCH:
        from seamless.remote.errors import RemoteUsageError

        raise RemoteUsageError(f"SEAMLESS_ON_MISMATCH is {text!r}; expected one of {', '.join(ON_MISMATCH)}")
    return text


def is_on(name: str) -> bool:
    """Tell whether an environment variable is `1`, `true` or `yes`."""
    return os.environ.get(name, "").strip().lower() in ("1", "true", "yes")
