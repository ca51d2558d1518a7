"""Activation: from a `ResolvedConfig` to the stores that are active in this process.

With $SEAMLESS_CACHE its directory is opened in-process; else clients of services, which are started at the first need.
"""

from __future__ import annotations

import os
import sys
from functools import partial

from seamless.config.errors import ConfigurationError, Finding
from seamless.config.resolved import CACHE_PROJECT
from seamless.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from seamless.config.resolved import ResolvedConfig
    from seamless.session import Session

    class Backends(Protocol):
        """What brings clients of services into force."""

        def activate(self, config: ResolvedConfig, launch: dict[str, dict[str, Any]]) -> None:
            """Make the clients for these launch dicts (of hashserver and database) the active stores."""


def no_launch() -> bool:
    """Tell whether $SEAMLESS_NO_LAUNCH forbids to start or contact anything."""
    return os.environ.get("SEAMLESS_NO_LAUNCH", "").strip().lower() not in ("", "0", "false", "no")


REMOTE_BACKENDS = (
    "jobserver",
    "daskserver",
    "pure_daskserver",
)  # services that execute, as far as there is an executor for them


class Activation:
    """What has been activated by the configuration. `active` names it."""

    def __init__(self, backends: Backends | None = None):
        self._backends = backends
        self.forget()

    def forget(self) -> None:
        """Start afresh, as if nothing had been activated."""
        self.active: list[str] = []
        self._key: Any = None
        self._stores: Any = None

    def switch(self, config: ResolvedConfig) -> None:
        """Activate what `config` calls for, instead of what is active.

        Raises ConfigurationError, StoreError; then everything stays as it was.
        """
        names = config.active()
        if no_launch():
            self._forbid(bool(names))
        else:
            refuse_unsupported(config)
            self._activate(config)
            _configure_execution(config)
        configure_records(config)
        self.active = names

    def _forbid(self, needed: bool) -> None:
        """Have the first use of a store fail, if stores or workers are called for."""
        if needed or self._key is not None:
            session.activate((), ())
        if needed:
            session.default_activation = _refuse_to_launch
        self._key, self._stores = ("forbidden",) if needed else None, None

    def _activate(self, config: ResolvedConfig) -> None:
        launch: dict[str, dict[str, Any]] = {}
        key: Any = None
        if config.cache is not None:
            key = ("cache", config.cache, config.project, config.subproject, config.stage)
        elif config.cluster is not None and config.persistent:
            launch = _launch_dicts(config)
            key = ("services", launch)
        in_force = self._stores is not None and self._stores == (session.buffer_stores, session.result_stores)
        if key == self._key and (in_force or key is None):
            if key is None:
                session.ensure_active()  # nothing is configured: what the program has activated stays
            return
        if config.cache is not None:
            from seamless.config.embedded import activate_embedded
            from seamless.config.limit import watch_limit

            project = None if config.project == CACHE_PROJECT else config.project
            scope = {"project": project, "subproject": config.subproject, "stage": config.stage}
            watch_limit(activate_embedded(directory=config.cache, **scope))
        elif launch:
            self._remote().activate(config, launch)
        else:
            session.activate((), ())
        self._key, self._stores = key, (session.buffer_stores, session.result_stores)

    def _remote(self) -> Backends:
        if self._backends is None:
            self._backends = RemoteBackends()
        return self._backends


class RemoteBackends:
    """The clients of `seamless.remote`."""

    def activate(self, config: ResolvedConfig, launch: dict[str, dict[str, Any]]) -> None:
        """Make the clients for these launch dicts the active stores."""
        from seamless.remote import buffer_remote, database_remote
        from seamless.remote.active import active

        connect_wiring(config)
        for module, service in ((buffer_remote, "hashserver"), (database_remote, "database")):
            key = (False, config.cluster, config.project, config.subproject or "", config.stage or "")
            known = module.registry.launched.get(key)
            if known is not None and known.config() != launch[service]:  # the definition of the cluster has changed
                del module.registry.launched[key]
        with active.together():
            buffer_remote.activate()
            database_remote.activate()


def connect_wiring(config: ResolvedConfig) -> None:
    """Have clients of launched services ask this configuration how they are launched, and what is selected."""
    from seamless.config.launch import database, hashserver
    from seamless.config.scope import Scope
    from seamless.remote.wiring import wiring

    def configure(make: Any) -> Any:
        return lambda mode, **scope: make(Scope(config, **scope), mode)

    def configure_jobserver(mode: str, **scope: Any) -> dict[str, Any]:
        from seamless.config.description import launch_dict

        return launch_dict(config, "jobserver", **scope)

    def configure_daskserver(mode: str, **scope: Any) -> dict[str, Any]:
        from seamless.config.description import launch_dict

        return launch_dict(config, "daskserver", **scope)

    selected = (config.cluster, config.project, config.subproject, config.stage, config.substage)
    wiring.connect(
        hashserver=configure(hashserver),
        database=configure(database),
        jobserver=configure_jobserver,
        daskserver=configure_daskserver,
        current=lambda: selected,
    )


def _launch_dicts(config: ResolvedConfig) -> dict[str, dict[str, Any]]:
    from seamless.config.launch import database, hashserver
    from seamless.config.scope import Scope

    scope = Scope(config)
    return {"hashserver": hashserver(scope, "rw"), "database": database(scope, "rw")}


def _configure_execution(config: ResolvedConfig) -> None:
    """Have transformations executed where the configuration says; nothing is started for a mere change of stage."""
    backend = remote_backend(config)
    if config.execution == "spawn" or "seamless.transformer.worker" in sys.modules:
        from seamless.transformer.worker import configure

        configure(config.pool_size() if config.execution == "spawn" else None)
    if "seamless.remote.jobserver_remote" in sys.modules:
        from seamless.remote import jobserver_remote

        jobserver_remote.deactivate()
    if backend == "jobserver":
        from seamless.remote.wiring import wiring

        connect_wiring(config)
        wiring.jobserver = partial(_activate_jobserver, config)
    if "seamless.remote.daskserver_remote" in sys.modules:
        from seamless.remote import daskserver_remote

        daskserver_remote.deactivate()
    if backend in ("daskserver", "pure_daskserver"):
        from seamless.remote.wiring import wiring

        connect_wiring(config)
        wiring.daskserver = partial(_activate_daskserver, config, pure=backend == "pure_daskserver")
    if backend is not None or "seamless.transformer.executors" in sys.modules:
        from seamless.transformer.executors import use_remote

        cluster = config.selected_cluster
        # Programs use a daskserver without stores themselves: their steps are executed in this process.
        use_remote(None if backend == "pure_daskserver" else backend, None if cluster is None else cluster.workers)


def _activate_jobserver(config: ResolvedConfig) -> None:
    from seamless.remote import jobserver_remote

    scope = (config.cluster, config.project, config.subproject or "", config.stage or "")
    key = (False, *scope, *filter(None, [config.substage]))
    jobserver_remote.registry.launched.pop(key, None)  # the definition of the cluster may have changed
    jobserver_remote.activate(record=config.record)


def _activate_daskserver(config: ResolvedConfig, *, pure: bool) -> None:
    from seamless.remote import daskserver_remote

    if pure:
        from seamless.config.description import launch_dict

        daskserver_remote.activate_pure(launch_dict(config, "pure_daskserver"))
    else:
        daskserver_remote.activate()


def remote_backend(config: ResolvedConfig) -> str | None:
    """Return which service executes transformations: jobserver, daskserver or pure_daskserver; None if none does."""
    if config.execution != "remote":
        return None
    return config.remote_effective if config.persistent else "pure_daskserver"


def configure_records(config: ResolvedConfig) -> None:
    """Have minimal or full records written, as the configuration says."""
    if not config.record and "seamless.transformer.recording.mode" not in sys.modules:
        return
    from seamless.transformer.recording.mode import RecordMode, recording

    recording.mode = RecordMode(config.record, config.cluster, config.queue, config.node)


def _refuse_to_launch(_: Session) -> None:
    raise ConfigurationError(
        "SEAMLESS_NO_LAUNCH is set, so the stores of this configuration cannot be used; unset it to start them"
    )


def refuse_unsupported(config: ResolvedConfig) -> None:
    """Raise ConfigurationError if transformations are to be executed where this version cannot."""
    backend = remote_backend(config)
    if config.execution in ("process", "spawn") or backend in REMOTE_BACKENDS:
        return
    because = "" if config.is_set("execution") else f" (the default, because cluster '{config.cluster}' is selected)"
    value = config.values.get("execution")
    node = None if value is None else value.node
    if backend is None:
        reason = "nothing executes transformations there: no frontend offers a jobserver or a daskserver"
    else:
        reason = f"this version of Seamless cannot execute on a {backend.replace('_', '-')}"
    raise ConfigurationError(
        findings=[
            Finding(
                f"execution is '{config.execution}'{because}, but {reason}; write '- execution: process' (in this "
                "process) or '- execution: spawn' (in worker processes) in seamless.profile.yaml",
                None if node is None else node.place,
                code="execution-not-supported",
            )
        ]
    )
