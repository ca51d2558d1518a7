"""Clients as entries of a dict that another process can use: `{"database": [...], "buffer": [...]}`.

Each entry: `readonly`, and where known `url`, `remote_url`, `directory`, `remote_directory`, `token`. The `remote_`
ones are as seen from inside the cluster.
"""

from __future__ import annotations

import os

from seamless.remote import buffer_remote, database_remote
from seamless.remote.active import active
from seamless.remote.errors import RemoteUsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from seamless.remote.registry import Registry

_TEXTS = ("url", "remote_url", "directory", "remote_directory", "token")


def collect(cluster: str) -> dict[str, list[dict[str, Any]]]:
    """Return the entries of all extern clients, and of the launched clients of a cluster, that are active.

    Launched services whose address is not known are launched. Blocks; raises StoreError.
    """
    databases = _of_cluster(active.databases, cluster)
    servers = _of_cluster(active.buffer_servers, cluster)
    return {
        "database": [
            *(client.describe() for client in databases),
            *map(_unnamed, database_remote.inspect_extern_clients()),
        ],
        "buffer": [*(client.describe() for client in servers), *map(_unnamed, buffer_remote.inspect_extern_clients())],
    }


def extern_entries(registry: Registry, clients: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the entries, each with its `name`, of those clients that are extern ones."""
    names = {id(client): name for name, client in registry.externs.items()}
    return [{"name": names[id(c)], **_extern_entry(c)} for c in clients if id(c) in names]


def activate_forwarded(clients: dict[str, Any], *, in_remote: bool = False) -> None:
    """Make the clients of such a dict the active ones, and no others. Raises RemoteUsageError (a ValueError).

    `in_remote`: this process is inside the cluster.
    """
    if not isinstance(clients, dict):
        raise RemoteUsageError(f"remote clients are a dict with database and buffer, not {type(clients).__name__}")
    unknown = sorted(map(str, set(clients) - {"database", "buffer"}))
    if unknown:
        raise RemoteUsageError(f"remote clients: unknown key {', '.join(unknown)}; expected database and buffer")
    databases = [_define_database(i, entry, in_remote) for i, entry in enumerate(_entries(clients, "database"))]
    buffers = [
        client for i, entry in enumerate(_entries(clients, "buffer")) for client in _define_buffer(i, entry, in_remote)
    ]
    with active.together():
        database_remote.activate(extern_clients=databases, no_main=True)
        buffer_remote.activate(extern_clients=buffers, no_main=True)


def _of_cluster(clients: Iterable[Any], cluster: str) -> list[Any]:
    return [client for client in clients if hasattr(client, "describe") and client.key[1] == cluster]


def _extern_entry(client: Any) -> dict[str, Any]:
    """Return the entry of an extern client: what it is called here is also what it is called in the cluster."""
    entry: dict[str, Any] = {"readonly": client.readonly}
    if client.url is not None:
        entry["url"] = entry["remote_url"] = client.url
        if client.token is not None:
            entry["token"] = client.token
    elif client.directory is not None:
        entry["directory"] = entry["remote_directory"] = client.directory
    return entry


def _unnamed(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "name"}


def _entries(clients: dict[str, Any], kind: str) -> Sequence[dict[str, Any]]:
    entries = clients.get(kind) or []
    if not isinstance(entries, (list, tuple)) or not all(isinstance(entry, dict) for entry in entries):
        raise RemoteUsageError(f"remote clients: {kind} is {entries!r}, expected a list of dicts")
    for i, entry in enumerate(entries):
        if not isinstance(entry.get("readonly", True), bool):
            raise RemoteUsageError(f"remote clients: {kind} {i}: readonly is {entry['readonly']!r}, expected a boolean")
        for key in _TEXTS:
            if not isinstance(entry.get(key), (str, type(None))):
                raise RemoteUsageError(f"remote clients: {kind} {i}: {key} is {entry[key]!r}, expected a string")
    return entries


def _define_database(i: int, entry: dict[str, Any], in_remote: bool) -> Any:
    url = entry.get("remote_url" if in_remote else "url")
    if not url:
        raise RemoteUsageError(
            f"remote clients: database {i} has no {'remote_url' if in_remote else 'url'}: {_shown(entry)}"
        )
    return database_remote.define_extern_client(
        f"extern-db-{i}", "database", url=url, readonly=entry.get("readonly", True), **_token(entry)
    )


def _define_buffer(i: int, entry: dict[str, Any], in_remote: bool) -> list[Any]:
    """Define a folder, a server, or both."""
    prefix = "remote_" if in_remote else ""
    url, directory = entry.get(f"{prefix}url"), entry.get(f"{prefix}directory")
    if not url and not directory:
        raise RemoteUsageError(
            f"remote clients: buffer {i} has neither {prefix}url nor {prefix}directory: {_shown(entry)}"
        )
    if directory and in_remote:
        directory = os.path.expanduser(directory)  # the home of the cluster, which is this machine
    name = f"extern-buffer-{i}"
    both = bool(url and directory)
    defined = []
    if directory:
        defined.append(
            buffer_remote.define_extern_client(
                f"{name}-folder" if both else name, "bufferfolder", directory=directory, readonly=True
            )
        )
    if url:
        defined.append(
            buffer_remote.define_extern_client(
                f"{name}-server" if both else name,
                "hashserver",
                url=url,
                readonly=entry.get("readonly", True),
                **_token(entry),
            )
        )
    return defined


def _token(entry: dict[str, Any]) -> dict[str, Any]:
    token = entry.get("token")
    return {} if token is None else {"token": token}


def _shown(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry for a message, which must not show the token."""
    return {key: "..." if key == "token" else value for key, value in entry.items()}
