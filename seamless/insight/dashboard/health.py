"""The services that the launcher knows of on this machine, each asked whether it is well. Never shows a token."""

from __future__ import annotations

import http.client
import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from seamless.insight.definition import is_hex
from seamless.launcher.listing import client_rows, server_rows
from seamless.launcher.paths import client_directory, server_directory
from seamless.launcher.statefile import MalformedStateError, read_state

_PATIENCE = 1.0  # seconds for an answer
_LONGEST = 1 << 20  # bytes of an answer
_COUNTS = ("executed", "cached", "failed", "running", "queued", "workers", "uptime_seconds", "requests")


def services() -> list[dict[str, Any]]:
    """Return each service with `health`: ok, unwell, or the status that is recorded if it does not run. Blocks."""
    listed: dict[str, dict[str, Any]] = {row["key"]: row for row in client_rows()}
    listed.update({row["key"]: row for row in server_rows()})
    if not listed:
        return []
    with ThreadPoolExecutor(8, "seamless-dashboard-health") as pool:
        return list(pool.map(_examined, listed.values()))


def hit_rate(found: list[dict[str, Any]]) -> float | None:
    """Return which part of what jobservers were asked for was known, from 0 to 1; None if nothing was counted.

    A hit in a directory writes nothing, so that nobody counts it.
    """
    cached = sum(row["counts"].get("cached", 0) for row in found)
    every = cached + sum(row["counts"].get("executed", 0) for row in found)
    return cached / every if every else None


def _examined(row: dict[str, Any]) -> dict[str, Any]:
    key, meta = row["key"], row["meta"]
    found: dict[str, Any] = {name: row.get(name) for name in ("host", "port", "pid")}
    found |= {"key": key, "service": meta.get("service") or key.partition("-")[0], "counts": {}}
    found |= {"project": meta.get("project"), "cluster": meta.get("cluster"), "problem": row.get("error")}
    found["health"] = row.get("status") or "unknown"
    dashboard_port = row.get("dashboard_port")
    if isinstance(dashboard_port, int):
        found["link"] = f"http://127.0.0.1:{dashboard_port}/status"
    port = row.get("port")
    if isinstance(port, int) and found["health"] in ("running", "unknown"):
        _ask(found, str(row.get("host") or "127.0.0.1"), port, dashboard_port, _token(key))
    return found


def _ask(found: dict[str, Any], host: str, port: int, dashboard_port: Any, token: str | None) -> None:
    target = (dashboard_port, "/health") if isinstance(dashboard_port, int) else (port, "/healthcheck")
    try:
        status, _ = _get(host, *target)
        found["health"] = "ok" if status == 200 else "unwell"
        if not isinstance(dashboard_port, int):
            counts = _object(_get(host, port, "/status", token))
            found["counts"] = {name: counts[name] for name in _COUNTS if isinstance(counts.get(name), (int, float))}
    except (OSError, http.client.HTTPException, ValueError) as exc:
        found["health"], found["problem"] = "unwell", f"{type(exc).__name__}: {exc}"


class Databases:
    """The database servers of this machine, asked what is executed under a claim of theirs. Thread-safe."""

    def __init__(self, path: str):
        """`path`: of the file whose server is asked."""
        self._path = os.path.realpath(path)

    def running(self) -> list[dict[str, Any]]:
        """Return tf_checksum, host, pid and start of each claim; nothing of a server that does not answer. Blocks."""
        found = []
        for row in server_rows():
            port, name = row.get("port"), row["meta"].get("service") or row["key"].partition("-")[0]
            if isinstance(port, int) and name == "database" and row.get("status") in ("running", "unknown"):
                found += self._claims(row["key"], str(row.get("host") or "127.0.0.1"), port)
        return found

    def _claims(self, key: str, host: str, port: int) -> list[dict[str, Any]]:
        try:
            status = _object(_get(host, port, "/status", _token(key)))
        except (OSError, http.client.HTTPException, ValueError):
            return []  # its health is shown elsewhere
        if os.path.realpath(str(status.get("database", ""))) != self._path:
            return []
        listed = status.get("running", [])
        return [entry for entry in listed if isinstance(entry, dict) and is_hex(str(entry.get("tf_checksum")))]


def _object(answer: tuple[int, bytes]) -> dict[str, Any]:
    """Return the object that was answered, or an empty one. Raises ValueError."""
    status, body = answer
    found = json.loads(body) if status == 200 else {}
    return found if isinstance(found, dict) else {}


def _get(host: str, port: int, path: str, token: str | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host, port, timeout=_PATIENCE)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        return answer.status, answer.read(_LONGEST)
    finally:
        connection.close()


def _token(key: str) -> str | None:
    """Return the token of a service, which only this user may read."""
    for directory in (client_directory(), server_directory()):
        try:
            state = read_state(f"{directory}/{key}.json")
        except MalformedStateError:
            continue
        if state is not None and isinstance(state.get("token"), str):
            return str(state["token"])
    return None
