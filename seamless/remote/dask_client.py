"""The connection to a Dask scheduler that Seamless has launched. Knows no transformations."""

from __future__ import annotations

import threading

from seamless.errors import MissingDependencyError
from seamless.remote.dask_security import security
from seamless.remote.errors import RemoteError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

_CONNECT_SECONDS = 10.0
TOPIC = "seamless-wrapper"  # of what the wrapper has to say
JOBS = "seamless-jobs"  # the extension of a scheduler whose workers are in jobs of a batch system
LOST = "seamless-lost"  # the reason of a task that no job is large enough for; the message says why


class SeamlessDaskClient:
    """A connected `distributed.Client` with what is known of its cluster. Thread-safe. Close it.

    `workers`: how many steps one Dask worker executes at once; `most`: all of them together; `shares`: whether a
    worker may have several short ones as one task; `resources`: what each worker has for its steps, by name.
    """

    def __init__(
        self,
        client: Any,
        *,
        workers: int = 1,
        most: int = 1,
        remote_clients: dict[str, Any] | None = None,
        is_local_cluster: bool = False,
        interactive: bool = False,
        shares: bool = True,
        resources: Mapping[str, float] | None = None,
    ):
        self.client, self.workers, self.most = client, workers, most
        self.remote_clients = remote_clients or {}
        self.is_local_cluster, self.interactive, self.shares = is_local_cluster, interactive, shares
        self.resources = {"S": float(workers), **(resources or {})}
        self.groups: Any = None  # of short steps; made by who sends them
        self._prepared = False
        self._preparing = threading.Lock()
        client.subscribe_topic(TOPIC, _warn)

    @property
    def connected(self) -> bool:
        """Whether the scheduler is still there."""
        return str(self.client.status) == "running"

    def prepare(self, setup: Callable[[SeamlessDaskClient], None]) -> None:
        """Have `setup` called with this client once."""
        with self._preparing:
            if not self._prepared:
                setup(self)
                self._prepared = True

    def close(self) -> None:
        """Disconnect. The scheduler goes on."""
        self.client.close(timeout=5)


def connect(payload: dict[str, Any], *, as_default: bool = False) -> Any:
    """Return a `distributed.Client` for what the launcher says of a scheduler. Raises RemoteError."""
    try:
        from distributed import Client
    except ImportError as exc:
        raise MissingDependencyError("distributed", extra="dask", purpose="execution on a daskserver") from exc
    if not as_default:
        _leave_versions_to_us()
    host, token = payload.get("hostname"), payload.get("token")
    scheme = "tcp" if token is None else "tls"
    where = f"[{host}]" if ":" in str(host) else host
    address = f"{scheme}://{where}:{payload.get('port')}"
    try:
        return Client(address, timeout=_CONNECT_SECONDS, set_as_default=as_default, security=security(token))
    except (OSError, TimeoutError) as exc:
        raise RemoteError(f"the Dask scheduler at {address} cannot be reached: {exc}", service="daskserver") from exc


def _leave_versions_to_us() -> None:
    """Silence Dask's table of versions, which counts patch levels too; the version of Seamless is compared here."""
    import warnings

    from distributed.versions import VersionMismatchWarning

    warnings.filterwarnings("ignore", category=VersionMismatchWarning)


def _warn(event: tuple[float, Any]) -> None:
    import logging

    logging.getLogger(__name__).warning("daskserver: %s", event[1])
