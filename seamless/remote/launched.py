"""Clients of services that Seamless launches itself: found or launched at the first need, and again when they end."""

from __future__ import annotations

import os

from seamless.remote.address import Address
from seamless.remote.buffer_client import HashserverClient
from seamless.remote.client import Client
from seamless.remote.database_client import DatabaseClient
from seamless.remote.errors import RemoteError, TransportError, UnauthorizedError
from seamless.remote.launching import address_of, launches, remote_url
from seamless.remote.pool import Pool
from seamless.remote.wiring import wiring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from seamless.remote.folder_client import BufferFolderClient


class LaunchedClient(Client):
    """A client whose service is that of a cluster, project and stage. Nothing is launched before it is needed.

    `launch_dict`: how to launch it; asked of the configuration if left out.
    """

    def __init__(
        self,
        readonly: bool,
        cluster: str,
        project: str,
        subproject: str | None = "",
        stage: str | None = "",
        *,
        launch_dict: dict[str, Any] | None = None,
    ):
        super().__init__(readonly=readonly)
        self.key: tuple[Any, ...] = (readonly, cluster, project, subproject or "", stage or "")
        self._launch_dict = launch_dict
        self._launched_from: str | None = None

    @property
    def name(self) -> str:
        """What messages call it: its URL, or before it has one the key of the service."""
        return (
            self.url
            or (self._launch_dict or {}).get("key")
            or f"{self.service} of {'/'.join(filter(None, self.key[1:]))}"
        )

    def config(self) -> dict[str, Any]:
        """Return the launch dict of the service. Raises what the configuration raises."""
        if self._launch_dict is None:
            readonly, cluster, project, subproject, stage = self.key[:5]
            self._launch_dict = wiring.launch_dict(
                self.service,
                "ro" if readonly else "rw",
                cluster=cluster,
                project=project,
                subproject=subproject,
                stage=stage,
            )
        return self._launch_dict

    @property
    def local(self) -> bool:
        """Whether the service runs on this machine, so that its files are at hand."""
        return self.config().get("hostname") is None

    @property
    def workdir(self) -> str:
        """The directory in which the service keeps its files, on its machine."""
        return str(self.config()["workdir"])

    def describe(self) -> dict[str, Any]:
        """Return the entry by which another process reaches the service: readonly, url, remote_url, token.

        Launches the service if it is not yet known where it is.
        """
        address = self.located().address
        payload = launches.locate(self.service, self.config())
        entry: dict[str, Any] = {
            "readonly": self.readonly, "url": address.url, "remote_url": remote_url(self.config(), payload),
        }  # fmt: skip
        if address.token is not None:
            entry["token"] = address.token
        return entry

    def _locate(self) -> Address:
        return address_of(launches.locate(self.service, self.config()))

    def _relocate(self, failed: Pool, exc: RemoteError) -> bool:
        if not isinstance(exc, (TransportError, UnauthorizedError)):
            return False
        with self._location_lock:
            if self._pool is not None and self._pool is not failed:
                return True  # another thread has found it
            address = address_of(launches.locate(self.service, self.config(), failed.address))
            if address == failed.address and isinstance(exc, UnauthorizedError):
                return False
            failed.close()
            self._pool = Pool(address)
        return True

    def _advice(self) -> str:
        return "the launcher says that it runs; look into its log"


class BufferLaunchedClient(LaunchedClient, HashserverClient):
    """The hashserver of a cluster, project and stage."""

    def folder(self) -> BufferFolderClient | None:
        """Return its directory as a store to be read directly, None if it is on another machine."""
        if not self.local:
            return None
        from seamless.remote.folder_client import BufferFolderClient

        return BufferFolderClient(self.workdir, required=False)

    def describe(self) -> dict[str, Any]:
        """Return the entry by which another process reaches the buffers; with the directory if it is writable."""
        entry = super().describe()
        if self.writable:
            if self.local:
                entry["directory"] = os.path.expanduser(self.workdir)
            entry["remote_directory"] = self.workdir
        return entry


class DatabaseLaunchedClient(LaunchedClient, DatabaseClient):
    """The database of a cluster, project and stage."""
