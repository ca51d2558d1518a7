"""Rows about services: what their files say, with the status that follows from whether their process lives."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from seamless.launcher.paths import client_directory, server_directory
from seamless.launcher.processes import is_pid, recorded_elsewhere, recorded_process
from seamless.launcher.statefile import MalformedStateError, State, read_state

Row = dict[str, Any]


def derived_row(key: str, state: State, *, check: bool = True) -> Row:
    """Return the state with `key`, `json_status` (as recorded), `status`, `live` (None: not known) and `meta`.

    Without `check` no process is looked at.
    """
    recorded = state.get("status")
    status = recorded if isinstance(recorded, str) else "failed"
    live: bool | None = None
    if check and status != "failed" and recorded_elsewhere(state) is None:
        if is_pid(state.get("pid")):
            live = recorded_process(state) is not None
            if not live and status in ("running", "starting"):
                status = "stale"
        elif status == "running":
            status = "stale"
    row: Row = {**state, "key": key, "json_status": recorded, "status": status, "live": live}
    if not isinstance(row.get("meta"), dict):
        row["meta"] = {}
    return row


def _states(directory: str) -> Iterator[tuple[str, State | None, str]]:
    """Yield (key, state or None, problem) of each file, sorted by name."""
    try:
        names = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        if not name.endswith(".json") or name.startswith("."):
            continue
        try:
            state = read_state(os.path.join(directory, name))
        except MalformedStateError as exc:
            yield name[:-5], None, exc.message
        else:
            if state is not None:
                yield name[:-5], state, ""


def server_rows(*, check: bool = True) -> list[Row]:
    """Return a row for each service of this machine; a damaged file is a row with status `failed` and `error`."""
    rows: list[Row] = []
    for key, state, problem in _states(server_directory()):
        if state is None:
            rows.append(
                {"key": key, "json_status": None, "status": "failed", "live": None, "meta": {}, "error": problem}
            )
        else:
            rows.append(derived_row(key, state, check=check))
    return rows


def client_rows() -> list[Row]:
    """Return a row for each service that this machine has a connection file of, with `host`, `ssh_host`, `port`.

    A token is not shown.
    """
    rows = []
    for key, state, problem in _states(client_directory()):
        payload = state or {}
        ssh_host = payload.get("tunneled-host") or payload.get("ssh_hostname") or payload.get("hostname")
        row: Row = {name: value for name, value in payload.items() if name != "token"}
        row |= {"key": key, "host": payload.get("hostname"), "ssh_host": ssh_host, "port": payload.get("port")}
        row["meta"] = payload["meta"] if isinstance(payload.get("meta"), dict) else {}
        if problem:
            row |= {"status": "failed", "error": problem}
        rows.append(row)
    return rows
