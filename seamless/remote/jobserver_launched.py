"""The client of a jobserver that Seamless launches itself, with the active stores for it to use."""

from __future__ import annotations

from seamless.remote.errors import RemoteError
from seamless.remote.jobserver_client import JobserverClient
from seamless.remote.launched import LaunchedClient
from seamless.remote.wiring import wiring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from seamless.remote.pool import Pool


class JobserverLaunchedClient(LaunchedClient, JobserverClient):
    """The jobserver of a cluster, project, stage and substage."""

    def __init__(
        self,
        readonly: bool,
        cluster: str,
        project: str,
        subproject: str | None = "",
        stage: str | None = "",
        substage: str | None = "",
        *,
        launch_dict: dict[str, Any] | None = None,
    ):
        super().__init__(readonly, cluster, project, subproject, stage, launch_dict=launch_dict)
        self._substage = substage or ""
        self.key = (*self.key, self._substage) if substage else self.key
        self._given = launch_dict is not None

    def config(self) -> dict[str, Any]:
        """Return the launch dict, computed when the service is looked for: the stores may have moved since."""
        if self._launch_dict is None:
            _, cluster, project, subproject, stage = self.key[:5]
            self._launch_dict = wiring.launch_dict(
                self.service,
                "rw",
                cluster=cluster,
                project=project,
                subproject=subproject,
                stage=stage,
                substage=self._substage,
            )
        return self._launch_dict

    def repair_stores(self) -> None:
        """Have the stores run again, and tell the jobserver where they are now. Raises StoreError."""
        from seamless.remote import buffer_remote, database_remote

        for module in (buffer_remote, database_remote):
            module.ensure_initialized()
        self._forget_config()
        self.use_stores(self.config().get("file_parameters") or {})

    def _relocate(self, failed: Pool, exc: RemoteError) -> bool:
        self._forget_config()
        return super()._relocate(failed, exc)

    def _forget_config(self) -> None:
        if not self._given:
            self._launch_dict = None
