"""Helpers of the launcher on other machines: call them over SSH, read what they print, say what went wrong.

Exit statuses tell three things apart: SSH itself failed (255), the helpers are missing there (127), a helper said no
(its own status).
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from seamless.cli.common import FAILURE, print_error, traceback_wanted
from seamless.errors import SeamlessError
from seamless.launcher.errors import HelperMissing, LauncherError, SSHConnectionError

if TYPE_CHECKING:
    from seamless.launcher.ssh.connection import Completed

SSH_FAILED = 255
NO_HELPER = 127
LOOK_SECONDS = 30.0  # for a helper that only looks
STOP_SECONDS = 30.0  # beyond that, for each service that is stopped
CLEAR_SECONDS = 3600.0  # for deleting data
_THREADS = 16  # machines that are asked at a time

Row = dict[str, Any]


class HelperFailed(SeamlessError):
    """A helper on another machine has said no. `status` is its exit status; the text what it printed on stderr."""

    def __init__(self, host: str, name: str, status: int, text: str):
        self.host, self.name, self.status = host, name, status
        super().__init__(text.strip() or f"{name} on {host} has ended with status {status}, without a message")


class RemoteMachine:
    """A machine that is reached by SSH under the name `host`."""

    def __init__(self, host: str):
        self.host = host

    def call(self, *words: str, seconds: float = LOOK_SECONDS) -> Completed:
        """Run a helper there; its exit status is part of the answer. Raises LauncherError."""
        from seamless.launcher.ssh.connection import SSHConnection

        return SSHConnection(self.host).helper(words, timeout=seconds)

    def output(self, *words: str, seconds: float = LOOK_SECONDS) -> str:
        """Return what a helper there prints. Raises LauncherError, HelperFailed."""
        done = self.call(*words, seconds=seconds)
        if done.status:
            raise HelperFailed(self.host, words[0], done.status, done.stderr)
        return done.stdout

    def value(self, *words: str) -> Row:
        """Return the JSON object that a helper there prints. Raises LauncherError, HelperFailed."""
        return self._parsed(words[0], self.output(*words))

    def rows(self, *words: str) -> list[Row]:
        """Return the JSON objects that a helper there prints, one a line. Raises LauncherError, HelperFailed."""
        return [self._parsed(words[0], line) for line in self.output(*words).splitlines() if line.strip()]

    def _parsed(self, name: str, text: str) -> Row:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            found = text if len(text) < 80 else text[:80] + "..."
            raise HelperFailed(
                self.host, name, FAILURE, f"{name} on {self.host}: no JSON object was printed: {found!r}"
            )
        return value

    def process_rows(self) -> list[Row]:
        """Return a row of the launcher for each service there. Raises LauncherError, HelperFailed."""
        return [
            {"host": self.host, **row, "meta": row["meta"] if isinstance(row.get("meta"), dict) else {}}
            for row in self.rows("rhl-ps", "--json")
            if isinstance(row.get("key"), str)
        ]

    def command_line(self, *words: str) -> str:
        """Return the command line that calls a helper there."""
        from seamless.launcher.ssh.command import options, remote_command, ssh_program

        return shlex.join([*ssh_program(), *options(), "--", self.host, remote_command(words)])


def machine_error_status(error: SeamlessError) -> int:
    """Return the exit status for what went wrong on another machine."""
    if isinstance(error, HelperFailed):
        return error.status
    if isinstance(error, SSHConnectionError):
        return SSH_FAILED
    return NO_HELPER if isinstance(error, HelperMissing) else FAILURE


def report(error: SeamlessError, *, before: str = "") -> int:
    """Show what went wrong on another machine; return the exit status for it."""
    text = f"{before}{error}"
    if isinstance(error, HelperFailed) and text.startswith("rhl") and ":" in text:
        label, _, text = text.partition(":")  # the helper has said already who it is
        print_error(text.strip(), label=label)
    else:
        print_error(text)
    return machine_error_status(error)


def with_statuses(action: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None) -> int:
    """Call `action(argv)`; what goes wrong on another machine is shown, and becomes the exit status."""
    try:
        return action(argv)
    except (LauncherError, HelperFailed) as exc:
        if traceback_wanted():
            import traceback

            traceback.print_exc()
        return report(exc)


def relay(text: str) -> None:
    """Write what a helper has printed on stderr."""
    if sys.stderr is not None and text:
        sys.stderr.write(text if text.endswith("\n") else f"{text}\n")


def at_once(tasks: Mapping[Any, Callable[[], Any]]) -> dict[Any, Any]:
    """Call all functions, each in a thread; return what each returned, or the SeamlessError that it raised."""

    def call(task: Callable[[], Any]) -> Any:
        try:
            return task()
        except SeamlessError as exc:
            return exc

    if len(tasks) < 2:
        return {name: call(task) for name, task in tasks.items()}
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(len(tasks), _THREADS)) as pool:
        return dict(zip(tasks, pool.map(call, tasks.values()), strict=True))


def unique(hosts: Iterable[str]) -> list[str]:
    """Return each host once, in the order of their first mention."""
    return list(dict.fromkeys(hosts))
