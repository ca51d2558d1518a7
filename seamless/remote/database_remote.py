"""The active clients for results: define them, activate them, and (async) ask them.

Reading asks the databases in order and takes the first answer; writing goes to every writable one.
"""

from __future__ import annotations

from seamless.remote import database_calls as calls
from seamless.remote.active import active
from seamless.remote.errors import ReadOnlyClientError, RemoteUsageError
from seamless.remote.registry import Registry
from seamless.remote.wiring import wiring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from seamless.checksum import Checksum

DISABLED = False  # set it to have `activate` activate nothing


def _launch(*key: Any) -> Any:
    from seamless.remote.launched import DatabaseLaunchedClient

    return DatabaseLaunchedClient(*key)


registry = Registry("database", _launch)


def define_launched_client(
    readonly: bool, cluster: str, project: str, subproject: str | None = "", stage: str | None = ""
) -> Any:
    """Return the client of the database of a cluster, project and stage. Launches nothing."""
    return registry.define_launched(readonly, cluster, project, subproject, stage)


def define_extern_client(
    name: str,
    type_: str,
    *,
    params: dict[str, Any] | None = None,
    url: str | None = None,
    readonly: bool = True,
    token: str | None = None,
) -> Any:
    """Define a client of a `database` that others run. `params` may hold the token. Raises RemoteUsageError."""
    params = dict(params or {})
    token = params.pop("token", token)
    if type_ != "database":
        raise RemoteUsageError(f"extern client {name!r}: type {type_!r} is not known; use database")
    if not url:
        raise RemoteUsageError(f"extern client {name!r}: a database needs a url")
    from seamless.remote.database_client import DatabaseClient

    return registry.define_extern(name, DatabaseClient(url, readonly=readonly, token=token, **params))


def activate(
    *,
    readonly: bool = False,
    extra_launched_clients: Sequence[Any] = (),
    extern_clients: Sequence[Any] = (),
    no_main: bool = False,
) -> None:
    """Make these the active clients for results, instead of the present ones. Contacts and launches nothing.

    The main client is that of the selected cluster, project and stage. Raises RemoteUsageError.
    """
    if DISABLED:
        deactivate()
        return
    main = None if no_main else (readonly, *wiring.selection())
    active.set_databases(registry.selected(main, extra_launched_clients, extern_clients))


def deactivate() -> None:
    """Have no active clients for results. Definitions stay."""
    active.set_databases(())


def has_read_server() -> bool:
    """Tell whether results can be read from a server."""
    return bool(active.databases)


def has_write_server() -> bool:
    """Tell whether results can be written to a server."""
    return any(client.writable for client in active.databases)


def ensure_initialized() -> None:
    """Launch or contact every active client. Blocks; raises StoreError for the first that cannot be used."""
    for client in active.databases:
        client.validate()


def inspect_launched_clients() -> list[dict[str, Any]]:
    """Return the entry of every launched client that is active: readonly, url, remote_url, token."""
    return [client.describe() for client in active.databases if hasattr(client, "describe")]


def inspect_extern_clients() -> list[dict[str, Any]]:
    """Return the entry of every extern client that is active: name, readonly, url, token."""
    from seamless.remote.forwarding import extern_entries

    return extern_entries(registry, active.databases)


# --- async --------------------------------------------------------------------------------------


async def get_transformation_result(tf_checksum: Checksum) -> Checksum | None:
    """Return the result from the first database that has one, or None."""
    found: Checksum | None = await _first(lambda: calls.get_result(tf_checksum))
    return found


async def get_rev_transformations(result_checksum: Checksum) -> list[Checksum]:
    """Return the transformations with this result that the first database with any knows."""
    return await _first(lambda: calls.get_transformations(result_checksum)) or []


async def get_execution_record(tf_checksum: Checksum) -> dict[str, Any] | None:
    """Return the record from the first database that has one, or None."""
    found: dict[str, Any] | None = await _first(lambda: calls.get_record(tf_checksum))
    return found


async def get_bucket_probe(bucket_kind: str, label: str) -> dict[str, Any] | None:
    """Return the probe from the first database that has it, or None."""
    found: dict[str, Any] | None = await _first(lambda: calls.get_bucket_probe(bucket_kind, label))
    return found


async def get_irreproducible_records(tf_checksum: Checksum, result: Checksum | None = None) -> list[dict[str, Any]]:
    """Return the contested results that the first database with any knows."""
    return await _first(lambda: calls.get_irreproducible(tf_checksum, result)) or []


async def set_transformation_result(tf_checksum: Checksum, result_checksum: Checksum) -> bool:
    """Keep the result; True if every database that is written to has it now, False if one keeps another."""
    kept = await _all(lambda: calls.set_result(tf_checksum, result_checksum))
    if None not in kept:
        return all(kept)
    stored = await _all(lambda: calls.get_result(tf_checksum))  # a server does not tell
    return False not in kept and all(result == result_checksum for result in stored)


async def set_execution_record(tf_checksum: Checksum, result_checksum: Checksum, record: dict[str, Any]) -> bool:
    """Keep the record; False if a database has a different one. Raises ConflictError, MalformedValueError."""
    from seamless.stores.records import check_record

    check_record(record, tf_checksum.hex(), result_checksum.hex())
    return all(await _all(lambda: calls.set_record(tf_checksum, result_checksum, record)))


async def set_bucket_probe(
    bucket_kind: str, label: str, bucket_checksum: Checksum, freshness_tokens: dict[str, Any], captured_at: str
) -> bool:
    """Keep a probe instead of the last one of this kind and label."""
    call = calls.set_bucket_probe(bucket_kind, label, bucket_checksum, captured_at, freshness_tokens)
    return all(await _all(lambda: call))


async def undo_transformation_result(tf_checksum: Checksum, result_checksum: Checksum) -> bool:
    """Say that a result could not be reproduced. Raises UnknownResultError, ConflictError."""
    return all(await _all(lambda: calls.contest(tf_checksum, result_checksum)))


async def _first(call: Callable[[], calls.Call]) -> Any:
    """Return the first answer that is not empty; an error counts only if no database has such an answer."""
    from seamless.errors import StoreError
    from seamless.remote import asynchronous

    failure: StoreError | None = None
    for client in active.databases:
        try:
            found = await asynchronous.perform(client, call())
        except StoreError as exc:
            failure = failure or exc
            continue
        if found:
            return found
    if failure is not None:
        raise failure
    return None


async def _all(call: Callable[[], calls.Call]) -> list[Any]:
    """Return the answers of every database that is written to. Raises the first error."""
    from seamless.remote import asynchronous

    clients = [client for client in active.databases if client.writable]
    if not clients:
        raise ReadOnlyClientError("no active database may be written to; activate one with readonly=False")
    return [await asynchronous.perform(client, call()) for client in clients]
