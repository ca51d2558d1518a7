"""Clearing a data directory on another machine. Its helper empties the directory as a whole.

So this looks first: data of subprojects and stages, or of the other service, go only if that was asked for.
"""

from __future__ import annotations

import argparse
import sys
from typing import NamedTuple

from seamless.cli.common import FAILURE, OK, Messages, is_terminal
from seamless.cli.service.common import STORAGE, Target
from seamless.cli.service.data import DATABASE, MARKER
from seamless.cli.service.output import print_json, print_line, round_size, show_command
from seamless.cli.service.remote import CLEAR_SECONDS, RemoteMachine, relay
from seamless.errors import SeamlessError, UsageError

_MARKERS = {"hashserver": MARKER, "database": DATABASE}
_LEVELS = 2  # that are looked at below the directory


class Listed(NamedTuple):
    """What is in a directory: its size, the directories below it with data, and whether the other service has some."""

    size: int | None
    below: list[str]
    other: bool


def clear_there(machine: RemoteMachine, target: Target, options: argparse.Namespace, messages: Messages) -> int:
    """Clear the data of a service on another machine, after asking; return the exit status."""
    service, path = options.service, str(target.launch["workdir"])
    words = ["rhl-clear", *(["--force"] if options.force else []), path]
    if options.dry_run:
        show_command(machine.host, words, options)
        return OK
    if not options.force:
        _refuse_if_used(machine, path)
    found = look_there(machine, service, path)
    _refuse_beyond(machine, path, service, found, options)
    if not _agreed(machine, target, path, found, options):
        messages.message(-1, "nothing was deleted")
        return FAILURE
    done = machine.call(*words, seconds=CLEAR_SECONDS)
    relay(done.stderr)
    if options.json:
        removed = next((int(word) for word in done.stdout.split() if word.isdigit()), 0)
        row = {"host": machine.host, "key": target.key, "path": path, "removed": removed, "stay": []}
        print_json({**row, "problems": done.stderr.splitlines()})
    else:
        for line in done.stdout.splitlines():
            print_line(line)
    return int(done.status)


def look_there(machine: RemoteMachine, service: str, path: str) -> Listed:
    """Return what is in a directory there. Raises LauncherError, HelperFailed."""
    listed = {}
    for name in STORAGE:
        words = ["rhl-ps-persistent", path, "--level", str(_LEVELS), "--marker", _MARKERS[name], "--json"]
        listed[name] = machine.rows(*words, *(["--file", DATABASE] if name == "database" else []))
    own = next((row for row in listed[service] if is_itself(str(row["path"]), path)), None)
    below = {str(row["path"]) for rows in listed.values() for row in rows if not is_itself(str(row["path"]), path)}
    other = any(
        is_itself(str(row["path"]), path) and row.get("state") != "absent"
        for name, rows in listed.items()
        if name != service
        for row in rows
    )
    return Listed(None if own is None else own.get("size"), sorted(below), other)


def is_itself(path: str, asked: str) -> bool:
    """Tell whether a listed path is the directory that was asked for, whose `~` has been expanded.

    >>> is_itself("/u/me/buf/p", "~/buf/p"), is_itself("/u/me/buf/p/STAGE-s", "~/buf/p"), is_itself("/d", "/d/")
    (True, False, True)
    """
    asked, path = asked.rstrip("/"), path.rstrip("/")
    return path == asked or (asked.startswith("~/") and path.endswith(asked[1:]))


def _refuse_if_used(machine: RemoteMachine, path: str) -> None:
    """Raise SeamlessError if a living service has the directory."""
    for row in machine.process_rows():
        workdir = row.get("workdir")
        if row.get("live") and isinstance(workdir, str) and (is_itself(workdir, path) or is_itself(path, workdir)):
            raise SeamlessError(
                f"service {row['key']} is running in {path} on {machine.host}; stop it first "
                "(seamless-service-stop), or use --force"
            )


def _refuse_beyond(machine: RemoteMachine, path: str, service: str, found: Listed, options: argparse.Namespace) -> None:
    """Raise SeamlessError if the helper would delete more than was asked for."""
    if found.below and not options.recursive:
        names = ", ".join(name.rpartition("/")[2] for name in found.below)
        raise SeamlessError(
            f"{path} on {machine.host} also holds {names}, which rhl-clear would delete as well; use --recursive to "
            "delete all of it, or run seamless-service-clear there"
        )
    if found.other and not options.force:
        other = next(name for name in STORAGE if name != service)
        raise SeamlessError(
            f"{path} on {machine.host} also holds the data of a {other}, which rhl-clear would delete as well; use "
            "--force to delete all of it, or run seamless-service-clear there"
        )


def _agreed(machine: RemoteMachine, target: Target, path: str, found: Listed, options: argparse.Namespace) -> bool:
    """Tell whether the data may be deleted: ask on a terminal."""
    if options.yes or not is_terminal(sys.stdin):
        return True
    if not is_terminal(sys.stderr):
        raise UsageError("cannot ask whether to delete, because stderr is not a terminal; use --yes")
    size = "" if found.size is None else f", {round_size(found.size)}"
    sys.stderr.write(f"This deletes the data of {target.key} on {machine.host}{size}:\n")
    for name in [path, *found.below]:
        sys.stderr.write(f"  {name}\n")
    sys.stderr.write("Delete? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
