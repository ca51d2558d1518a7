"""What the configuration hands down to the clients: how a service is launched, and what is selected.

The configuration is a storey above; it connects its functions here.
"""

from __future__ import annotations

from seamless.remote.errors import RemoteUsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Configure = Callable[..., dict[str, Any]]  # (mode, *, cluster, project, subproject, stage) -> launch dict


class Wiring:
    """Functions of the configuration; None until it has connected them."""

    def __init__(self) -> None:
        self._configure: dict[str, Configure] = {}
        self._current: Callable[[], Sequence[Any]] | None = None
        self.jobserver: Callable[[], None] | None = (
            None  # activates the client of the configured one, when it is needed
        )
        self.daskserver: Callable[[], None] | None = None  # the same
        self.on_mismatch: str | None = None  # what a program has asked for; None: what the environment says

    def connect(self, *, current: Callable[[], Sequence[Any]], **configure: Configure) -> None:
        """Use these functions: launch dicts by service, and (cluster, project, subproject, stage[, substage])."""
        self._configure = configure
        self._current = current

    def disconnect(self) -> None:
        """Forget the functions."""
        self._configure, self._current, self.on_mismatch = {}, None, None
        self.jobserver = self.daskserver = None

    def launch_dict(
        self, service: str, mode: str, *, cluster: str, project: str, subproject: str, stage: str, **more: str
    ) -> dict[str, Any]:
        """Return how a service is launched; `mode` is "ro" or "rw". Raises what the configuration raises."""
        configure = self._configure.get(service)
        if configure is None:
            raise RemoteUsageError(
                f"cannot launch a {service} for cluster {cluster!r}: no configuration is loaded; call "
                "seamless.config.init(), or define an extern client with a url"
            )
        return configure(mode, cluster=cluster, project=project, subproject=subproject, stage=stage, **more)

    def selection(self) -> tuple[str, str, str, str]:
        """Return the selected (cluster, project, subproject, stage). Raises what the configuration raises."""
        if self._current is None:
            raise RemoteUsageError(
                "no cluster is selected: call seamless.config.init() first, or activate with no_main=True"
            )
        cluster, project, subproject, stage = self._current()[:4]
        return cluster, project, subproject or "", stage or ""

    def substage(self) -> str:
        """Return the selected substage, or nothing."""
        selected = self._current() if self._current is not None else ()
        return selected[4] or "" if len(selected) > 4 else ""


wiring = Wiring()
