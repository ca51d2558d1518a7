"""Where launched services are: asked of the launcher once, remembered, and asked again when one has gone."""

from __future__ import annotations

import threading
import time

from seamless.remote.address import Address
from seamless.remote.errors import RemoteError
from seamless.remote.settings import on_mismatch
from seamless.remote.wiring import wiring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LIMIT = 1000  # services that are remembered
_PAUSE = 10.0  # seconds for which a failed launch is not repeated


def frozen(config: dict[str, Any]) -> str:
    """Return a text that is the same for equal launch dicts."""
    import json

    return json.dumps(config, sort_keys=True, default=str)


class _Service:
    """One launch dict: what the launcher has said of it. The lock is held while it is asked."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.payload: dict[str, Any] | None = None
        self.failure: tuple[float, RemoteError] | None = None


class Launches:
    """The services that this process has had launched, or found running."""

    def __init__(self) -> None:
        self._services: dict[str, _Service] = {}
        self._lock = threading.Lock()

    def locate(self, service: str, config: dict[str, Any], failed: Address | None = None) -> dict[str, Any]:
        """Return what the launcher says of the service, which it launches if need be. Blocks; raises RemoteError.

        `failed`: an address that does not answer: what is remembered of it is forgotten.
        """
        entry = self._entry(frozen(config))
        with entry.lock:
            if entry.payload is not None and (failed is None or address_of(entry.payload) != failed):
                return entry.payload
            if entry.failure is not None and time.monotonic() < entry.failure[0]:
                raise entry.failure[1]
            entry.payload = entry.failure = None
            try:
                entry.payload = _run(service, config, trust=failed is None)
            except RemoteError as exc:
                entry.failure = (time.monotonic() + _PAUSE, exc)
                raise
            return entry.payload

    def forget(self) -> None:
        """Forget everything; services go on."""
        with self._lock:
            self._services.clear()

    def _entry(self, key: str) -> _Service:
        with self._lock:
            entry = self._services.pop(key, None) or _Service()
            self._services[key] = entry  # now the one used last
            if len(self._services) > _LIMIT:
                del self._services[next(iter(self._services))]
            return entry


launches = Launches()


def address_of(payload: dict[str, Any]) -> Address:
    """Return the address that the launcher's answer means for this process."""
    launch_id = payload.get("launch_id")
    return Address(
        _url(payload.get("hostname"), payload.get("port")),
        payload.get("token"),
        launch_id if isinstance(launch_id, str) else None,
    )


def remote_url(config: dict[str, Any], payload: dict[str, Any]) -> str:
    """Return the URL of the service as seen from inside its cluster: past any tunnel."""
    host = config.get("hostname") or payload.get("tunneled-host") or payload.get("hostname")
    return Address(_url(host, payload.get("tunneled-port", payload.get("port")))).url


def _url(host: Any, port: Any) -> str:
    if not isinstance(host, str) or not isinstance(port, int):
        raise RemoteError(f"the launcher has said neither where the service is nor on which port: {host!r}, {port!r}")
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _run(service: str, config: dict[str, Any], *, trust: bool) -> dict[str, Any]:
    """Ask the launcher; with `trust` it need not look whether a service that has just answered still does."""
    import os

    from seamless.launcher import LauncherError, connect, run

    key = config.get("key", service)
    if os.environ.get("SEAMLESS_NO_LAUNCH", "").strip().lower() not in ("", "0", "false", "no"):
        raise RemoteError(
            f"the {service} {key} is needed, but SEAMLESS_NO_LAUNCH forbids to launch it", service=service
        )
    mode = wiring.on_mismatch or on_mismatch()
    try:
        if mode != "warn":
            return run(config, reconnect=not trust, on_mismatch=mode)
        return connect(config) if trust else run(config, reconnect=True)
    except LauncherError as exc:
        raise RemoteError(f"the {service} {key} cannot be launched: {exc}", service=service) from exc
