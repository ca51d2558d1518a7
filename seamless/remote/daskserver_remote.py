"""The active daskserver: which one it is, launched and connected at the first need, again when it has ended."""

from __future__ import annotations

import threading

from seamless.remote.errors import RemoteUsageError
from seamless.remote.launching import address_of, launches
from seamless.remote.wiring import wiring
from seamless.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from seamless.remote.dask_client import SeamlessDaskClient

DISABLED = False  # set it to have `activate` activate nothing


class DaskserverLaunchedHandle:
    """The daskserver of a cluster, project, stage and substage. Nothing is launched before it is needed. Thread-safe.

    `launch_dict`: how to launch it; asked of the configuration if left out.
    """

    service = "daskserver"

    def __init__(
        self,
        cluster: str,
        project: str,
        subproject: str | None = "",
        stage: str | None = "",
        substage: str | None = "",
        *,
        launch_dict: dict[str, Any] | None = None,
    ):
        self.key = (cluster, project, subproject or "", stage or "", substage or "")
        self._launch_dict = launch_dict
        self._lock = threading.Lock()
        self._client: SeamlessDaskClient | None = None
        self._payload: dict[str, Any] | None = None

    def config(self) -> dict[str, Any]:
        """Return the launch dict. Raises what the configuration raises."""
        if self._launch_dict is None:
            cluster, project, subproject, stage, substage = self.key
            self._launch_dict = wiring.launch_dict(
                self.service,
                "rw",
                cluster=cluster,
                project=project,
                subproject=subproject,
                stage=stage,
                substage=substage,
            )
        return self._launch_dict

    @property
    def client(self) -> SeamlessDaskClient:
        """The connected client; the wrapper is launched, and connected again, if need be. Blocks; raises StoreError."""
        with self._lock:
            if self._client is None or not self._client.connected:
                self._connect()
            assert self._client is not None
            return self._client

    @property
    def dashboard_url(self) -> str:
        """Where the dashboard of Dask is."""
        self.client  # noqa: B018  it must be there
        payload = self._payload or {}
        return f"http://{payload.get('hostname')}:{payload.get('dashboard_port')}/status"

    def close(self) -> None:
        """Disconnect; the wrapper goes on until it is idle for too long."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _connect(self) -> None:
        from seamless.remote.dask_client import SeamlessDaskClient, connect

        failed = None if self._payload is None else address_of(self._payload)
        if self._client is not None:
            self._client.close()
            self._client = None
        self._payload = launches.locate(self.service, self.config(), failed)
        parameters = self.config().get("file_parameters") or {}
        cores = 1 if parameters.get("exclusive") else int(parameters.get("cores") or 1)
        self._client = SeamlessDaskClient(
            connect(self._payload),
            workers=cores,
            most=cores * int(parameters.get("maximum_jobs") or 1),
            remote_clients=self._remote_clients(),
            is_local_cluster=str(self.config().get("cluster_string", "")).endswith("LocalCluster"),
            interactive=bool(parameters.get("interactive")),
            shares=not parameters.get("exclusive"),
            resources=parameters.get("dask-resources"),
        )

    def _remote_clients(self) -> dict[str, Any]:
        from seamless.remote.forwarding import collect

        return collect(self.key[0])


class PureDaskserverHandle(DaskserverLaunchedHandle):
    """The daskserver of a queue without stores: for programs that use Dask themselves."""

    service = "pure_daskserver"

    def _remote_clients(self) -> dict[str, Any]:
        return {}

    def _connect(self) -> None:
        super()._connect()
        from distributed.client import _set_global_client

        assert self._client is not None
        _set_global_client(self._client.client)


class _Active:
    """The active handle."""

    def __init__(self) -> None:
        self.handle: DaskserverLaunchedHandle | None = None

    def use(self, handle: DaskserverLaunchedHandle | None) -> None:
        """Make this the active one."""
        present, self.handle = self.handle, handle
        if present is not None and present is not handle:
            present.close()
        if handle is not None:
            session.close_required = True

    def close(self) -> None:
        """Disconnect the active one; it may be used again."""
        if self.handle is not None:
            self.handle.close()

    def forget(self) -> None:
        """Have none."""
        self.use(None)


active = _Active()
session.on_reset(active.forget)
session.on_close.append(active.close)


def activate(no_main: bool = False) -> None:
    """Make the daskserver of the selection the active one. Contacts and launches nothing. Raises RemoteUsageError."""
    if no_main or DISABLED:
        deactivate()
        return
    cluster, project, subproject, stage = wiring.selection()
    key = (cluster, project, subproject, stage, wiring.substage())
    if active.handle is None or type(active.handle) is not DaskserverLaunchedHandle or active.handle.key != key:
        active.use(DaskserverLaunchedHandle(*key))


def activate_pure(launch_dict: dict[str, Any]) -> None:
    """Make a daskserver without stores the active one. Contacts and launches nothing."""
    if active.handle is None or active.handle.config() != launch_dict:
        active.use(PureDaskserverHandle("", "", launch_dict=launch_dict))


def deactivate() -> None:
    """Have no active daskserver; a connected one is disconnected."""
    wiring.daskserver = None
    active.forget()


def ensure_initialized() -> None:
    """Launch and connect the active daskserver. Blocks; raises StoreError."""
    if active.handle is not None or wiring.daskserver is not None:
        client()


def stores() -> dict[str, Any]:
    """Return where the stores are now, for the workers; have them run again, if need be. Blocks; raises StoreError."""
    from seamless.remote import buffer_remote, database_remote

    for module in (buffer_remote, database_remote):
        module.ensure_initialized()
    return {} if active.handle is None else active.handle._remote_clients()


def queue() -> tuple[str | None, dict[str, Any]]:
    """Return name and parameters of the queue of the active daskserver. Raises what the configuration raises."""
    config = {} if active.handle is None else active.handle.config()
    return (config.get("meta") or {}).get("queue"), dict(config.get("file_parameters") or {})


def client() -> SeamlessDaskClient:
    """Return the client of the active daskserver, connected. Blocks; raises StoreError, RemoteUsageError."""
    if active.handle is None and wiring.daskserver is not None:
        wiring.daskserver()
    if active.handle is None:
        raise RemoteUsageError("no daskserver is active: select a cluster that has one, with '- execution: remote'")
    return active.handle.client
