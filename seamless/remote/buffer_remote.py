"""The active clients for buffers: define them, activate them, and (async) ask them.

Reading asks folders before servers and takes the first hit; writing goes to every writable server.
"""

from __future__ import annotations

from seamless.errors import BufferCorruptionError, StoreError
from seamless.remote.active import active
from seamless.remote.errors import RemoteUsageError
from seamless.remote.registry import Registry
from seamless.remote.wiring import wiring

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from typing import Any

    from seamless.buffer import Buffer
    from seamless.checksum import Checksum

DISABLED = False  # set it to have `activate` activate nothing
_RESERVED = ("urlmap", "foldermap", "git-lfs-server")


def _launch(*key: Any) -> Any:
    from seamless.remote.launched import BufferLaunchedClient

    return BufferLaunchedClient(*key)


registry = Registry("hashserver", _launch)


def define_launched_client(
    readonly: bool, cluster: str, project: str, subproject: str | None = "", stage: str | None = ""
) -> Any:
    """Return the client of the hashserver of a cluster, project and stage. Launches nothing."""
    return registry.define_launched(readonly, cluster, project, subproject, stage)


def define_extern_client(
    name: str,
    type_: str,
    *,
    params: dict[str, Any] | None = None,
    directory: str | os.PathLike[str] | None = None,
    url: str | None = None,
    readonly: bool = True,
    token: str | None = None,
) -> Any:
    """Define a client of what others run: a `hashserver` (url) or a `bufferfolder` (directory, read-only).

    `params` may hold the token, and for a hashserver `compress`. Raises RemoteUsageError.
    """
    params = dict(params or {})
    token = params.pop("token", token)
    if type_ == "hashserver" and url:
        from seamless.remote.buffer_client import HashserverClient

        return registry.define_extern(name, HashserverClient(url, readonly=readonly, token=token, **params))
    if type_ == "bufferfolder" and directory:
        from seamless.remote.folder_client import BufferFolderClient

        if not readonly:
            raise RemoteUsageError(f"extern client {name!r}: a bufferfolder can only be read; leave out readonly=False")
        return registry.define_extern(name, BufferFolderClient(directory))
    if type_ in ("hashserver", "bufferfolder"):
        needs = "url" if type_ == "hashserver" else "directory"
        raise RemoteUsageError(f"extern client {name!r}: a {type_} needs a {needs}")
    what = "is reserved, and cannot be used yet" if type_ in _RESERVED else "is not known"
    raise RemoteUsageError(f"extern client {name!r}: type {type_!r} {what}; use hashserver or bufferfolder")


def activate(
    *,
    readonly: bool = False,
    extra_launched_clients: Sequence[Any] = (),
    extern_clients: Sequence[Any] = (),
    no_main: bool = False,
) -> None:
    """Make these the active clients for buffers, instead of the present ones. Contacts and launches nothing.

    The main client is that of the selected cluster, project and stage. Raises RemoteUsageError.
    """
    if DISABLED:
        deactivate()
        return
    main = None if no_main else (readonly, *wiring.selection())
    folders, servers = [], []
    for client in registry.selected(main, extra_launched_clients, extern_clients):
        folder = client.folder() if hasattr(client, "folder") else None
        if folder is not None:
            folders.append(folder)
        if client.service == "hashserver":
            servers.append(client)
        else:
            folders.append(client)
    active.set_buffers(folders, servers)


def deactivate() -> None:
    """Have no active clients for buffers. Definitions stay."""
    active.set_buffers((), ())


def has_read_server() -> bool:
    """Tell whether buffers can be read from a server or folder."""
    return bool(active.folders or active.buffer_servers)


def has_write_server() -> bool:
    """Tell whether buffers can be written to a server."""
    return any(client.writable for client in active.buffer_servers)


def ensure_initialized() -> None:
    """Launch or contact every active client. Blocks; raises StoreError for the first that cannot be used."""
    for client in (*active.buffer_servers, *active.folders):
        client.validate()


def inspect_launched_clients() -> list[dict[str, Any]]:
    """Return the entry of every launched client that is active: readonly, url, remote_url, directories, token."""
    return [client.describe() for client in active.buffer_servers if hasattr(client, "describe")]


def inspect_extern_clients() -> list[dict[str, Any]]:
    """Return the entry of every extern client that is active: name, readonly, and url or directory, token."""
    from seamless.remote.forwarding import extern_entries

    return extern_entries(registry, (*active.folders, *active.buffer_servers))


# --- async --------------------------------------------------------------------------------------


async def get_buffer(checksum: Checksum) -> Buffer | None:
    """Return the buffer from the first client that has it, or None.

    Raises what a client has raised (StoreError, BufferCorruptionError) if no other has it.
    """
    from seamless.remote import asynchronous

    failure: Exception | None = None
    for client in (*active.folders, *active.buffer_servers):
        try:
            buffer = await asynchronous.get_buffer(client, checksum)
        except (StoreError, BufferCorruptionError) as exc:
            failure = failure or exc
            continue
        if buffer is not None:
            return buffer
    if failure is not None:
        raise failure
    return None


async def get_buffer_lengths(checksums: Sequence[Checksum]) -> list[int | None]:
    """Return the length of each buffer in bytes, from the first client that has it; None if none has."""
    from seamless.remote import asynchronous

    lengths: list[int | None] = [None] * len(checksums)
    for client in (*active.folders, *active.buffer_servers):
        missing = [i for i, length in enumerate(lengths) if length is None]
        if not missing:
            break
        found = await asynchronous.get_lengths(client, [checksums[i] for i in missing])
        for i, length in zip(missing, found, strict=True):
            lengths[i] = length
    return lengths


async def promise(checksum: Checksum) -> bool:
    """Tell every server that is written to that the buffer will come; True if one has taken note."""
    from seamless.remote import asynchronous

    taken = [await asynchronous.promise(c, checksum) for c in active.buffer_servers if c.writable]
    return any(taken)


async def write_buffer(checksum: Checksum, buffer: Buffer | bytes) -> bool:
    """Store the buffer in every server that is written to, all at once; True if one has taken it.

    False if there is no such server. Raises the first error if none has taken it.
    """
    import asyncio

    from seamless.remote import asynchronous

    clients = [client for client in active.buffer_servers if client.writable]
    writes = (asynchronous.write_buffer(client, checksum, buffer) for client in clients)
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    if errors and len(errors) == len(outcomes):
        raise errors[0]
    return bool(outcomes)
