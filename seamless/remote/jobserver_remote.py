"""The active clients of jobservers: define them, activate them, and have transformations executed by them.

The clients are tried in order: the next one if a jobserver cannot be reached, never because a step has failed.
"""

from __future__ import annotations

from seamless.checksum import Checksum
from seamless.remote.errors import RemoteError, RemoteUsageError
from seamless.remote.registry import Registry
from seamless.remote.wiring import wiring
from seamless.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, TypeVar

    from seamless.remote.jobserver_client import JobOrder, JobserverClient

    T = TypeVar("T")

DISABLED = False  # set it to have `activate` activate nothing


def _launch(*key: Any) -> Any:
    from seamless.remote.jobserver_launched import JobserverLaunchedClient

    return JobserverLaunchedClient(*key)


registry = Registry("jobserver", _launch)


class _Active:
    """The active clients, and whether they execute in record mode.

    Those that a configuration calls for are made when somebody asks for them.
    """

    def __init__(self) -> None:
        self._clients: tuple[JobserverClient, ...] = ()
        self._record = False

    def set(self, clients: Sequence[JobserverClient], *, record: bool) -> None:
        """Make these the active clients."""
        wiring.jobserver = None
        self._clients, self._record = tuple(clients), record

    def forget(self) -> None:
        """Have no active clients."""
        self.set((), record=False)

    @property
    def clients(self) -> tuple[JobserverClient, ...]:
        """The active clients."""
        if wiring.jobserver is not None:
            wiring.jobserver()
        return self._clients

    @property
    def record(self) -> bool:
        """Whether they execute in record mode."""
        return self._record


active = _Active()
session.on_reset(active.forget)


def define_launched_client(
    cluster: str, project: str, subproject: str | None = "", stage: str | None = "", substage: str | None = ""
) -> Any:
    """Return the client of the jobserver of a cluster, project, stage and substage. Launches nothing."""
    return registry.define_launched(False, cluster, project, subproject, stage, *filter(None, [substage]))


def define_extern_client(
    name: str, type_: str, *, params: dict[str, Any] | None = None, url: str | None = None, token: str | None = None
) -> Any:
    """Define a client of a `jobserver` that others run. `params` may hold the token. Raises RemoteUsageError."""
    params = dict(params or {})
    token = params.pop("token", token)
    if type_ != "jobserver":
        raise RemoteUsageError(f"extern client {name!r}: type {type_!r} is not known; use jobserver")
    if not url:
        raise RemoteUsageError(f"extern client {name!r}: a jobserver needs a url")
    from seamless.remote.jobserver_client import JobserverClient

    return registry.define_extern(name, JobserverClient(url, token=token, **params))


def activate(
    *,
    extra_launched_clients: Sequence[Any] = (),
    extern_clients: Sequence[Any] = (),
    no_main: bool = False,
    record: bool = False,
) -> None:
    """Make these the active clients, instead of the present ones. Contacts and launches nothing.

    The main client is that of the selected cluster, project, stage and substage. Raises RemoteUsageError.
    """
    if DISABLED:
        deactivate()
        return
    main = None if no_main else (False, *wiring.selection(), *filter(None, [wiring.substage()]))
    active.set(registry.selected(main, extra_launched_clients, extern_clients), record=record)


def deactivate() -> None:
    """Have no active clients. Definitions stay."""
    active.forget()


def ensure_initialized() -> None:
    """Launch or contact every active client. Blocks; raises StoreError for the first that cannot be used."""
    for client in active.clients:
        client.validate()


def inspect_launched_clients() -> list[dict[str, Any]]:
    """Return the entry of every launched client that is active: readonly, url, remote_url, token."""
    return [client.describe() for client in active.clients if hasattr(client, "describe")]


def inspect_extern_clients() -> list[dict[str, Any]]:
    """Return the entry of every extern client that is active: name, readonly, url, token."""
    from seamless.remote.forwarding import extern_entries

    return extern_entries(registry, active.clients)


# --- blocking -----------------------------------------------------------------------------------


def execute(order: JobOrder) -> tuple[JobserverClient, dict[str, Any]]:
    """Have a transformation executed; return who has done it and the answer. As JobserverClient.execute."""
    return first(lambda client: (client, client.execute(order)))


def first(use: Callable[[JobserverClient], T]) -> T:
    """Return what `use` makes of the first client that can be reached. Raises RemoteError, and what `use` raises."""
    if not active.clients:
        raise RemoteUsageError("no jobserver is active: activate one, or select a cluster that has one")
    failure: RemoteError | None = None
    for client in active.clients:
        try:
            return use(client)
        except RemoteError as exc:
            failure = failure or exc
    assert failure is not None
    raise failure


def cancel_transformation(tf_checksum: Checksum | str) -> bool:
    """End a transformation at every jobserver; True if one was executing it."""
    canceled = [client.cancel_transformation(tf_checksum) for client in active.clients]
    return any(canceled)


def transformation_status(tf_checksum: Checksum | str) -> str:
    """Return what the first jobserver says that knows the transformation, else not-running."""
    said = (client.transformation_status(tf_checksum) for client in active.clients)
    return next((status for status in said if status != "not-running"), "not-running")


# --- async --------------------------------------------------------------------------------------


async def run_transformation(
    transformation_dict: Mapping[str, Any],
    *,
    tf_checksum: Checksum | str,
    tf_dunder: Mapping[str, Any] | None = None,
    scratch: bool = False,
    strict_dunder: bool = False,
) -> dict[str, Any]:
    """Have a transformation executed, as JobserverClient.run_transformation. Canceled, it is canceled there, too."""
    import asyncio

    from seamless.remote.asynchronous import background
    from seamless.remote.jobserver_client import JobOrder

    order = JobOrder(transformation_dict, Checksum(tf_checksum), tf_dunder or {}, scratch, strict_dunder, active.record)
    try:
        _, answer = await background.in_thread(execute, order)
    except asyncio.CancelledError:
        order.canceled.set()
        for client in active.clients:
            await asyncio.shield(background.in_thread(client.leave, order))
        raise
    found: dict[str, Any] = answer
    return found


async def cancel_transformation_async(tf_checksum: Checksum | str) -> bool:
    """End a transformation at every jobserver; True if one was executing it."""
    from seamless.remote.asynchronous import background

    return bool(await background.in_thread(cancel_transformation, tf_checksum))


async def transformation_status_async(tf_checksum: Checksum | str) -> str:
    """Return what the first jobserver says that knows the transformation, else not-running."""
    from seamless.remote.asynchronous import background

    return str(await background.in_thread(transformation_status, tf_checksum))
