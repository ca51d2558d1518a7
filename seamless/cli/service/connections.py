"""The connection files of this machine, after the commands have changed something about their services."""

from __future__ import annotations

from seamless.launcher.client import client_file
from seamless.launcher.statefile import read_state_or_none, remove_file, write_state


def mark_stale(key: str) -> None:
    """Mark the connection of a stopped service as stale, and close its tunnel."""
    path = client_file(key)
    if _end_tunnel(path):
        return
    payload = read_state_or_none(path)
    if payload is not None and payload.get("status") != "stale":
        write_state(path, {**payload, "status": "stale"})


def remove_connection(key: str) -> str | None:
    """Remove the connection of a service, and close its tunnel; return the path, or None if there was none."""
    path = client_file(key)
    _end_tunnel(path)
    return path if remove_file(path) else None


def _end_tunnel(path: str) -> bool:
    """Close the tunnel of a connection; tell whether it has one."""
    payload = read_state_or_none(path)
    if payload is None or "tunnel_pid" not in payload:
        return False
    from seamless.launcher.ssh.tunnel import end_tunnel

    end_tunnel(path)
    return True
