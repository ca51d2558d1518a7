"""The status file: a JSON object through which launcher and server tell each other what they need to know.

The launcher creates it; the server adds `port`, `token` and `status`, keeping what else is there.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from seamless.errors import SeamlessError

WAIT = 20.0  # seconds until the launcher must have written the file
POLL = 0.1
_OURS = ("pid", "port", "token", "status")  # what tells one launch from another


class StatusFileError(SeamlessError):
    """The status file is not there, or holds something else than a JSON object."""


class StatusFile:
    """The status file of this process. `read` must succeed before anything is written."""

    def __init__(self, path: str, *, wait: float = WAIT):
        self.path = os.path.abspath(path)
        self.fields: dict[str, Any] | None = None  # what was read last
        self._given, self._wait = path, wait
        self._running = False

    @property
    def is_running(self) -> bool:
        """Whether `running` has been written by this server."""
        return self._running

    def read(self) -> dict[str, Any]:
        """Wait until the file holds a JSON object, and return it. Raises StatusFileError."""
        deadline = time.monotonic() + self._wait
        while True:
            problem: str
            try:
                with open(self.path, "rb") as f:
                    value = json.loads(f.read())
            except FileNotFoundError:
                problem = f"Status file '{self._given}' not found after {self._wait:.0f} seconds"
            except OSError as exc:
                raise StatusFileError(f"cannot read the status file '{self._given}': {exc.strerror}") from exc
            except (ValueError, RecursionError):
                problem = f"Status file '{self._given}' does not hold JSON"
            else:
                if not isinstance(value, dict):
                    raise StatusFileError(f"Status file '{self._given}' does not hold a JSON object")
                self.fields = value
                return value
            if time.monotonic() >= deadline:
                raise StatusFileError(problem)
            time.sleep(POLL)

    def running(self, **fields: Any) -> None:
        """Write `fields` and `"status": "running"`. Raises StatusFileError if the launcher has taken the file away."""
        if not os.path.exists(self.path):
            raise StatusFileError(f"the status file '{self._given}' was removed while the server started")
        self._write({**self.read(), **fields, "status": "running"})
        self._running = True

    def failed(self, reason: str) -> None:
        """Write `"status": "failed"` with the reason, unless the file is none that could be written."""
        if self.fields is not None and not os.path.exists(self.path):
            return  # taken away: nobody waits for us
        try:
            self._write({**(self.fields or self.read()), "status": "failed", "error": reason})
        except (StatusFileError, OSError) as exc:
            import sys

            print(f"cannot write to the status file: {exc}", file=sys.stderr)

    def ended(self, reason: str) -> None:
        """Write that this server has ended in order, unless the file now belongs to another one."""
        mine = self.fields or {}
        try:
            with open(self.path, "rb") as f:
                present = json.loads(f.read())
        except (OSError, ValueError, RecursionError):
            return  # taken away, or being written by somebody else: no longer ours
        if isinstance(present, dict) and all(present.get(key) == mine.get(key) for key in _OURS):
            self._write({**present, "status": "stale", "exit_reason": reason})

    def _write(self, fields: dict[str, Any]) -> None:
        temporary = self.path + ".tmp"
        try:
            os.unlink(temporary)
        except FileNotFoundError:
            pass
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as f:
            f.write(json.dumps(fields).encode() + b"\n")
        os.rename(temporary, self.path)
        self.fields = fields
