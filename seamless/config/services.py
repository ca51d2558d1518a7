"""Launch dicts of services for the current configuration: the functions `configure_*`."""

from __future__ import annotations

from seamless.config.context import context
from seamless.config.description import launch_dict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def configure_hashserver(
    mode: str,
    *,
    cluster: str | None = None,
    project: str | None = None,
    subproject: str | None = None,
    stage: str | None = None,
    frontend_name: str | None = None,
) -> dict[str, Any]:
    """Return the launch dict of a hashserver; `mode` is ro or rw. None: as configured; "": none.

    Raises ConfigurationError.
    """
    scope: dict[str, Any] = {"cluster": cluster, "project": project, "subproject": subproject, "stage": stage}
    return launch_dict(context.current(), "hashserver", mode, frontend_name=frontend_name, **scope)


def configure_database(
    mode: str,
    *,
    cluster: str | None = None,
    project: str | None = None,
    subproject: str | None = None,
    stage: str | None = None,
    frontend_name: str | None = None,
) -> dict[str, Any]:
    """Return the launch dict of a database, as `configure_hashserver` does."""
    scope: dict[str, Any] = {"cluster": cluster, "project": project, "subproject": subproject, "stage": stage}
    return launch_dict(context.current(), "database", mode, frontend_name=frontend_name, **scope)


def configure_jobserver(
    *,
    cluster: str | None = None,
    project: str | None = None,
    subproject: str | None = None,
    stage: str | None = None,
    substage: str | None = None,
    frontend_name: str | None = None,
) -> dict[str, Any]:
    """Return the launch dict of a jobserver, with the active stores for it to use."""
    scope: dict[str, Any] = {
        "cluster": cluster,
        "project": project,
        "subproject": subproject,
        "stage": stage,
        "substage": substage,
    }
    return launch_dict(context.current(), "jobserver", frontend_name=frontend_name, **scope)


def configure_daskserver(
    *,
    cluster: str | None = None,
    project: str | None = None,
    subproject: str | None = None,
    stage: str | None = None,
    substage: str | None = None,
    frontend_name: str | None = None,
) -> dict[str, Any]:
    """Return the launch dict of a daskserver for the configured queue, else the cluster's default one."""
    scope: dict[str, Any] = {
        "cluster": cluster,
        "project": project,
        "subproject": subproject,
        "stage": stage,
        "substage": substage,
    }
    return launch_dict(context.current(), "daskserver", frontend_name=frontend_name, **scope)


def configure_pure_daskserver(
    *, cluster: str | None = None, queue: str | None = None, frontend_name: str | None = None
) -> dict[str, Any]:
    """Return the launch dict of a daskserver without stores."""
    return launch_dict(context.current(), "pure_daskserver", cluster=cluster, queue=queue, frontend_name=frontend_name)
