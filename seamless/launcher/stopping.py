"""Stop a service of this machine by its key, and mark what remains of it.

A signal is sent only to the process that the state records, never to a bare pid.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from seamless.launcher.errors import ElsewhereError, LauncherError
from seamless.launcher.locking import key_lock
from seamless.launcher.paths import client_directory, state_path
from seamless.launcher.processes import (
    INTERRUPT_SECONDS,
    is_pid,
    owner,
    recorded_elsewhere,
    recorded_process,
    start_time,
    stop_process,
)
from seamless.launcher.statefile import State, read_state, read_state_or_none, update_state, write_state

STOPPED, GONE, KILLED, MISSING, DENIED = (
    "stopped", "already gone", "kill required", "missing state", "permission denied",
)  # fmt: skip


def stop_service(key: str, *, patience: float = INTERRUPT_SECONDS) -> str:
    """Stop the service and its children; return what was found. Blocks up to three times `patience` seconds.

    Raises LauncherError for a state that cannot be used, ElsewhereError if the service is on another machine.
    """
    if read_state(state_path(key)) is None:
        return MISSING
    with key_lock(key):
        state = read_state(state_path(key))
        return MISSING if state is None else stop_recorded(key, state, patience=patience)


def stop_recorded(key: str, state: State, *, patience: float = INTERRUPT_SECONDS, status: str = "stale") -> str:
    """Stop what `state` records. The lock of `key` must be held."""
    refuse_elsewhere(key, state)
    if not is_pid(state.get("pid")):
        raise LauncherError(f"{key}: invalid PID {state.get('pid')!r} in {state_path(key)}", key=key)
    outcome = _stop(state, patience)
    if outcome != DENIED:
        mark_ended(key, state, status)
    return outcome


def _stop(state: State, patience: float) -> str:
    process = recorded_process(state)
    if process is None:
        return DENIED if _is_of_another_user(state) else GONE
    try:
        return KILLED if stop_process(process, patience=patience) else STOPPED
    except PermissionError:
        return DENIED


def _is_of_another_user(state: Mapping[str, Any]) -> bool:
    """Tell whether the recorded process runs, but for somebody else."""
    pid = state["pid"]
    recorded = state.get("start_time")
    return recorded is not None and start_time(pid) == recorded and owner(pid) != os.getuid()


def refuse_elsewhere(key: str, state: Mapping[str, Any]) -> None:
    """Raise ElsewhereError if the state is that of a service on another machine that may be alive."""
    host = recorded_elsewhere(state)
    if host is not None and state.get("status") in ("starting", "running"):
        raise ElsewhereError(
            f"{key} is recorded as {state['status']} on {host}, which shares the directory of the launcher with "
            "this machine",
            key=key,
            hint=f"stop it there (rhl-stop {key}); if that machine is gone, remove the record: rhl-rm --server {key}",
        )


def mark_ended(key: str, state: Mapping[str, Any], status: str, **more: object) -> None:
    """Write `status` into the state and the client file of a launch that is over, if they are still of that launch."""
    present = read_state_or_none(state_path(key))
    if present is not None and same_launch(present, state):
        update_state(state_path(key), status=status, **more)
    path = os.path.join(client_directory(), f"{key}.json")
    client = read_state_or_none(path)
    if client is not None and state.get("launch_id") and client.get("launch_id") == state["launch_id"]:
        write_state(path, {**client, "status": "stale"})


def same_launch(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether two states are of the same start of a service."""
    return all(one.get(name) == other.get(name) for name in ("launch_id", "pid", "start_time"))
