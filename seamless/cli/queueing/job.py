"""One step of a queue as its server sees it: what was submitted, and what has become of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from seamless.cli.queueing import records
from seamless.cli.queueing.promises import local_path
from seamless.errors import SeamlessError

if TYPE_CHECKING:
    from collections.abc import Mapping

WAITING, RUNNING, DONE, FAILED, BLOCKED, STOPPED = "waiting", "running", "done", "failed", "blocked", "stopped"
_COMMAND_SHOWN = 200  # characters


class Job:
    """A submitted step. `targets` maps the names of results to absolute paths, `promised` pins to absolute paths."""

    def __init__(self, number: int, record: Mapping[str, Any]):
        self.number = number
        try:
            self.parameters: dict[str, Any] = dict(record["params"])
            self.workdir: str = os.path.abspath(self.parameters["workdir"])
            self.command = str(record["original_command"])
            self.transformation: dict[str, Any] = dict(record["transformation_dict"])
            targets = dict(record["result_targets"])
            self.targets = {name: local_path(self.workdir, name, local) for name, local in targets.items()}
            self.promised: dict[str, str] = dict(record.get("promised") or {})
            self.tf: str | None = record["transformation_checksum"]
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise records.BadRecordError(f"step {number} is incomplete: {type(exc).__name__}: {exc}") from exc
        self.state = WAITING
        self.error = ""  # of a step that has failed, one line or more
        self.status: int | None = None  # exit status of a command that failed
        self.result: str | None = None
        self.cached = False
        self.attempts = 0
        self.started = self.seconds = 0.0
        self.needs: set[int] = set()  # unfinished steps that must be done before
        self.follows: set[int] = set()  # unfinished steps that must have ended before, however they do

    @property
    def title(self) -> str:
        """The command as it is shown."""
        return shortened(self.command)

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state not in (WAITING, RUNNING)

    def as_dict(self) -> dict[str, Any]:
        """Return what is shown of it with --json and on the dashboard."""
        return {
            "job": self.number,
            "command": self.command,
            "state": self.state,
            "tf_checksum": self.tf,
            "result_checksum": self.result,
            "cached": self.cached,
            "exit_status": self.status,
            "error": self.error or None,
            "seconds": round(self.seconds, 3),
            "targets": sorted(self.targets.values()),
            "waits_for": sorted(self.needs | self.follows),
        }


def shortened(command: str) -> str:
    """Return a command in one line of bounded length."""
    line = " ".join(command.split())
    return line if len(line) <= _COMMAND_SHOWN else line[: _COMMAND_SHOWN - 3] + "..."


class JobError(SeamlessError):
    """A step of a queue has failed. `status`: the exit status of its command, if it ran."""

    def __init__(self, text: str, status: int | None = None):
        super().__init__(text)
        self.status = status


class JobStoppedError(SeamlessError):
    """A step was stopped on request."""
