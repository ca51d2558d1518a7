"""What is configured, as data for people and programs: the dict of `describe()` and `seamless-config show --json`."""

from __future__ import annotations

from seamless.config.errors import ConfigurationError
from seamless.config.extern_clients import collect_remote_clients
from seamless.config.launch import SERVICES, daskserver, database, hashserver, jobserver, pure_daskserver
from seamless.config.scope import Scope

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from seamless.config.resolved import ResolvedConfig


def describe_config(
    config: ResolvedConfig, *, active: Sequence[str] | None = None, services: bool = False
) -> dict[str, Any]:
    """Return a configuration as data. `active`: what is active; default what would be."""
    described: dict[str, Any] = {
        "state": config.state(),
        "active": config.active() if active is None else list(active),
        "warnings": [{"code": w.code, "message": w.message, "where": w.where} for w in config.warnings],
        "local_cluster": config.local_cluster,
        "clusters": sorted(config.clusters),
        "workdir": config.workdir,
        "files": [{"path": path, "commands": commands} for path, commands in config.files],
        "origin": config.origins(),
    }
    if services:
        described["services"] = {service: _launch_dict(config, service) for service in SERVICES}
    return described


def _launch_dict(config: ResolvedConfig, service: str) -> dict[str, Any]:
    try:
        return launch_dict(config, service)
    except ConfigurationError as exc:
        return {"error": exc.findings[0].message}


def launch_dict(
    config: ResolvedConfig,
    service: str,
    mode: str = "rw",
    *,
    cluster: str | None = None,
    project: str | None = None,
    subproject: str | None = None,
    stage: str | None = None,
    substage: str | None = None,
    queue: str | None = None,
    frontend_name: str | None = None,
) -> dict[str, Any]:
    """Return the launch dict of a service (spelt with `_` or `-`); what is not given is as configured.

    Raises ConfigurationError.
    """
    scope = Scope(config, cluster=cluster, project=project, subproject=subproject, stage=stage, substage=substage)
    if service == "hashserver":
        return hashserver(scope, mode, frontend_name)
    if service == "database":
        return database(scope, mode, frontend_name)
    if service == "jobserver":
        clients = collect_remote_clients(scope.cluster.name)
        return jobserver(scope, clients, frontend_name, record=config.record)
    if service == "daskserver":
        return daskserver(scope, frontend_name)
    if service in ("pure_daskserver", "pure-daskserver"):
        return pure_daskserver(scope, queue, frontend_name)
    raise ConfigurationError(f"there is no service {service!r}; services: {', '.join(SERVICES)}")


def difference(first: dict[str, Any], second: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return what differs between two descriptions: fields of the state, and what is active.

    >>> difference({"state": {"stage": "a", "node": None}}, {"state": {"stage": "b", "node": None}})
    {'stage': ('a', 'b')}
    """

    def flat(described: dict[str, Any]) -> dict[str, Any]:
        return {**described["state"], "active": ", ".join(described.get("active", ())) or None}

    one, other = flat(first), flat(second)
    return {name: (one[name], other[name]) for name in one if one[name] != other[name]}
