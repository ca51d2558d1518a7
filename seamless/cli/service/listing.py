"""What `seamless-service-ps` lists: processes and data of clusters, from this machine and, all at once, from others."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from seamless.cli.service.common import STORAGE, hosts_of, is_here, ssh_target, unknown_cluster
from seamless.cli.service.data import DATABASE, MARKER, SIZE_SECONDS, look, places
from seamless.cli.service.remote import RemoteMachine, at_once
from seamless.cli.service.rows import Row, rows_of_cluster, shown_project
from seamless.config.description import launch_dict
from seamless.config.errors import ConfigurationError
from seamless.config.resolved import ResolvedConfig
from seamless.errors import SeamlessError
from seamless.launcher.configuration import Configuration
from seamless.launcher.listing import server_rows
from seamless.launcher.paths import expand_home

_SCOPE = ("service", "cluster", "project", "subproject", "stage")
_LEVELS = 2  # of directories below the one of all projects that are looked at on another machine
_PROBE = "x"  # a project that stands for all


class Listed(NamedTuple):
    """The rows that were found, and what went wrong meanwhile, each problem with its cluster."""

    rows: list[Row]
    problems: list[tuple[str, SeamlessError]]


def of_clusters(config: ResolvedConfig, clusters: Iterable[str], data: str, frontend_name: str | None = None) -> Listed:
    """Return the processes of some clusters, and their data: `all`, those of the configured `project`, or `none`.

    What cannot be looked at is a problem of its cluster, and does not hide the rest.
    """
    names = list(clusters)
    tasks: dict[Any, Callable[[], list[Row]]] = {}
    problems: list[tuple[str, SeamlessError]] = []
    places_of: dict[str, list[tuple[str | None, Any]]] = {}
    for cluster in names:
        try:
            found = _tasks(config, cluster, data, frontend_name)
        except ConfigurationError as exc:
            problems.append((cluster, exc))
            continue
        places_of[cluster] = list(found)
        tasks |= found
    answers = at_once(tasks)
    here = server_rows()
    rows: list[Row] = []
    for cluster in names:
        processes = rows_of_cluster(here, cluster)
        kept: list[Row] = []
        failed: list[SeamlessError] = []
        for task in places_of.get(cluster, ()):
            answer = answers[task]
            if isinstance(answer, SeamlessError):
                if str(answer) not in map(str, failed):
                    failed.append(answer)
            elif task[1] is None:
                processes += rows_of_cluster(answer, cluster)
            else:
                kept += answer
        problems += [(cluster, error) for error in failed]
        rows += with_data(processes, kept)
    return Listed(rows, problems)


def of_cluster(config: ResolvedConfig, cluster: str, data: str, frontend_name: str | None = None) -> Listed:
    """Return the processes and data of one cluster. Raises ConfigurationError if nobody knows it."""
    if cluster in config.clusters:
        config.get_cluster(cluster)
        return of_clusters(config, [cluster], data, frontend_name)
    rows = rows_of_cluster(server_rows(), cluster)
    if not rows:
        raise unknown_cluster(config, cluster)
    return Listed(rows, [])


def _tasks(
    config: ResolvedConfig, cluster: str, data: str, frontend_name: str | None
) -> dict[Any, Callable[[], list[Row]]]:
    """Return what is to be asked about a cluster: of other machines their processes, of all the data."""
    tasks: dict[Any, Callable[[], list[Row]]] = {
        (host, None): RemoteMachine(host).process_rows for host in hosts_of(config, cluster)[1]
    }
    if data == "all":
        return {**tasks, **_data_of_cluster(config, cluster)}
    return {**tasks, **_data_of_project(config, frontend_name)} if data == "project" else tasks


# --- data -----------------------------------------------------------------------------------------


def data_rows(config: ResolvedConfig, cluster: str | None, frontend_name: str | None = None) -> Listed:
    """Return the data of a cluster, or of the configured project, without processes. Raises ConfigurationError."""
    tasks = _data_of_cluster(config, cluster) if cluster else _data_of_project(config, frontend_name)
    rows: list[Row] = []
    problems = []
    for answer in at_once(tasks).values():
        if isinstance(answer, SeamlessError):
            problems.append((cluster or config.cluster or "", answer))
        else:
            rows += answer
    return Listed(rows, problems)


def _data_of_cluster(config: ResolvedConfig, cluster: str) -> dict[Any, Callable[[], list[Row]]]:
    """Return functions that list all data directories of a cluster."""
    deadline = time.monotonic() + SIZE_SECONDS
    definition = config.get_cluster(cluster)
    tasks: dict[Any, Callable[[], list[Row]]] = {}
    for service in STORAGE:
        frontend = next((one for one in definition.frontends if service in one), None)
        if frontend is None:
            continue
        launch = launch_dict(config, service, cluster=cluster, project=_PROBE, subproject="", stage="")
        root = launch["workdir"].removesuffix(f"/{_PROBE}")
        if is_here(config, definition, frontend):
            tasks[None, (cluster, service)] = partial(_below_here, cluster, service, expand_home(root), deadline)
        else:
            host = ssh_target(frontend)
            tasks[host, (cluster, service)] = partial(_below_there, RemoteMachine(host), cluster, service, root)
    return tasks


def _below_here(cluster: str, service: str, root: str, deadline: float) -> list[Row]:
    return [
        _data_row((service, cluster, place.project, place.subproject, place.stage), place.path, deadline)
        for place in places(root, service)
    ]


def _below_there(machine: RemoteMachine, cluster: str, service: str, root: str) -> list[Row]:
    found = machine.rows(*_words(service, root, _LEVELS))
    rows = []
    for row in found:
        parts = below_root(str(row["path"]), root)
        if row.get("state") == "absent" or not parts:
            continue
        stage = parts[-1].removeprefix("STAGE-") if parts[-1].startswith("STAGE-") else None
        names = parts[:-1] if stage is not None else parts
        if names:
            scope = (service, cluster, names[0], "/".join(names[1:]) or None, stage)
            size = row.get("size") if service == "database" else _own_size(row, found)
            rows.append(_remote_row(scope, row, size))
    return rows


def _words(service: str, path: str, level: int) -> list[str]:
    words = ["rhl-ps-persistent", "--json", "--level", str(level)]
    if service == "database":
        return [*words, "--file", DATABASE, "--marker", DATABASE, path]
    return [*words, "--marker", MARKER, path]


def below_root(path: str, root: str) -> list[str]:
    """Return the names that lead from the directory of all projects to one that was listed below it.

    The other machine may have replaced `~`, or links on the way; then it is the end of `root` that is looked for.

    >>> below_root("/buf/p/STAGE-s", "/buf"), below_root("/u/me/buf/p", "~/buf"), below_root("/real/p/STAGE-s", "/link")
    (['p', 'STAGE-s'], ['p'], ['p', 'STAGE-s'])
    """
    root = root.rstrip("/")
    if path == root:
        return []
    if path.startswith(f"{root}/"):
        return path[len(root) + 1 :].split("/")
    parts = path.strip("/").split("/")
    tail = root.removeprefix("~").strip("/").split("/")
    for count in range(_LEVELS + 1):
        above = parts[: len(parts) - count]
        if above[len(above) - len(tail) :] == tail and root.startswith("~"):
            return parts[len(parts) - count :]
    return parts[-2:] if parts[-1].startswith("STAGE-") else parts[-1:]


def _own_size(row: Row, listed: list[Row]) -> int | None:
    """Return the size of a directory without that of the ones below it that are listed, too."""
    size = row.get("size")
    if not isinstance(size, int):
        return None
    path = str(row["path"])
    nested = [other for other in listed if str(other["path"]).startswith(f"{path}/") and other.get("size")]
    direct = [other for other in nested if not any(str(other["path"]).startswith(f"{one['path']}/") for one in nested)]
    return max(0, size - sum(int(other["size"]) for other in direct))


def _data_of_project(config: ResolvedConfig, frontend_name: str | None) -> dict[Any, Callable[[], list[Row]]]:
    """Return functions that list the data directories of the configured project and stage, also if they are absent."""
    tasks: dict[Any, Callable[[], list[Row]]] = {}
    for service in STORAGE:
        launch = launch_dict(config, service, frontend_name=frontend_name)
        scope = (service, *(launch["meta"][name] for name in _SCOPE[1:]))
        checked = Configuration.from_mapping(launch)
        if checked.is_local:
            tasks[None, scope] = partial(_one_here, scope, expand_home(launch["workdir"]))
        else:
            host = str(checked.ssh_hostname or checked.hostname)
            tasks[host, scope] = partial(_one_there, RemoteMachine(host), scope, launch["workdir"])
    return tasks


def _one_here(scope: tuple[Any, ...], path: str) -> list[Row]:
    return [_data_row(scope, path)]


def _one_there(machine: RemoteMachine, scope: tuple[Any, ...], path: str) -> list[Row]:
    found = machine.rows(*_words(scope[0], path, 0))
    # without its marker a directory is not reported
    return [_remote_row(scope, row, row.get("size")) for row in found[:1] or [{"path": path, "state": "empty"}]]


def _data_row(scope: tuple[Any, ...], path: str, deadline: float | None = None) -> Row:
    content = look(scope[0], path, deadline)
    return _row(scope, persistent=content.state, size=content.size, path=path)


def _remote_row(scope: tuple[Any, ...], found: Row, size: int | None) -> Row:
    return _row(scope, persistent=found.get("state"), size=size, path=found["path"])


def _row(scope: tuple[Any, ...], **more: Any) -> Row:
    row: Row = dict.fromkeys(("substage", "mode", "queue", "process", "port", "key", "host", "pid", "meta"))
    row |= zip(_SCOPE, scope, strict=True)
    row["project"] = shown_project(row["project"])
    return {**row, **more}


def with_data(rows: list[Row], data: list[Row]) -> list[Row]:
    """Return the rows with what is known of their data, and after them the data without a service."""
    by_scope = {tuple(row[name] for name in _SCOPE): row for row in data}
    used = set()
    merged = []
    for row in rows:
        scope = tuple(row[name] for name in _SCOPE)
        found = by_scope.get(scope)
        if found is not None:
            used.add(scope)
            row = {**row, **{name: found[name] for name in ("persistent", "size", "path")}}
        merged.append(row)
    return merged + [row for scope, row in by_scope.items() if scope not in used]


def data_wanted(options: argparse.Namespace) -> str:
    """Return which data are shown beside the processes of a cluster: those of `all`, the `project`, or `none`."""
    if not (options.persistent or not (options.server or options.status)):
        return "none"
    return "all" if options.cluster or options.all_clusters else "project"
