"""The JSON files of the launcher: read without following links, rewritten whole, readable for the owner only.

Keys that are not known here are kept. A file that a dry run has left behind counts as absent.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from seamless.launcher.errors import LauncherError
from seamless.launcher.paths import make_private
from seamless.util.files import write_atomically

State = dict[str, Any]

_MAX_BYTES = 64 << 20


class MalformedStateError(LauncherError):
    """The file is there, but holds no JSON object."""


def read_state(path: str) -> State | None:
    """Return the object in the file, or None if there is none. Raises MalformedStateError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise MalformedStateError(f"cannot read {path}: {exc.strerror}") from exc
    try:
        with os.fdopen(fd, "rb") as f:
            value = json.loads(f.read(_MAX_BYTES))
    except (ValueError, RecursionError, OSError) as exc:
        raise MalformedStateError(f"malformed JSON in {path}: {exc}") from exc
    if not isinstance(value, dict):
        raise MalformedStateError(f"malformed JSON in {path}: a JSON object is expected")
    return None if value.get("dry_run") is True else value


def read_state_or_none(path: str) -> State | None:
    """Return the object in the file, or None if there is none that can be used."""
    try:
        return read_state(path)
    except MalformedStateError:
        return None


def write_state(path: str, state: Mapping[str, Any]) -> None:
    """Replace the file by `state`, mode 0600; make its directory. Raises LauncherError."""
    make_private(os.path.dirname(path))
    try:
        write_atomically(path, json.dumps(state, indent=2).encode() + b"\n", mode=0o600)
    except OSError as exc:
        raise LauncherError(f"cannot write {path}: {exc.strerror}") from exc


def update_state(path: str, **changes: Any) -> State:
    """Change these keys of the object in the file, keep the others, and return it all."""
    state = {**(read_state_or_none(path) or {}), **changes}
    write_state(path, state)
    return state


def make_file_private(path: str) -> None:
    """Make a file readable for its owner only."""
    try:
        os.chmod(path, 0o600)
    except FileNotFoundError:
        return


def remove_file(path: str) -> bool:
    """Remove a file (never what a link names); tell whether it was there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def is_port(value: object) -> bool:
    """Tell whether `value` is the number of a TCP port."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535


def secondary_ports(state: Mapping[str, Any]) -> dict[str, int]:
    """Return the ports that a service has beside `port`: keys that end in `_port` or `-port`.

    >>> secondary_ports({"port": 1, "dashboard_port": "8787", "x-port": 0, "a_port": True})
    {'dashboard_port': 8787}
    """
    found = {}
    for name, value in state.items():
        if name.endswith(("_port", "-port")) and isinstance(value, (int, str)) and not isinstance(value, bool):
            try:
                number = int(value)
            except ValueError:
                continue
            if is_port(number):
                found[name] = number
    return found


def check_running(state: Mapping[str, Any]) -> None:
    """Raise LauncherError, naming the first thing that a state with `"status": "running"` lacks."""

    def is_int(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    command, interface = state.get("command"), state.get("network_interface")
    problems = (
        (is_int(state.get("port")), "Remote JSON must provide integer port."),
        (is_port(state.get("port")), "Remote port is out of range."),
        (
            isinstance(command, str) and bool(command.strip()),
            "Remote JSON must include a plausible command string.",
        ),
        (interface is None or isinstance(interface, str), "Remote network_interface must be a string."),
        (isinstance(state.get("parameters", {}), dict), "Remote parameters must be an object."),
        (is_int(state.get("uid")), "Remote JSON must include uid."),
        (is_int(state.get("pid")), "Remote JSON must include pid."),
    )
    for good, text in problems:
        if not good:
            raise LauncherError(text)
