"""The command `seamless-service-ps`: list services and the data that they keep, one row each."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from seamless.cli.common import FAILURE, OK, print_error, run_main
from seamless.cli.service.common import (
    STORAGE,
    UNREACHABLE,
    elsewhere,
    evaluated,
    finished,
    hosts_elsewhere,
    is_here,
    service_parser,
    unknown_cluster,
)
from seamless.cli.service.data import SIZE_SECONDS, look, places
from seamless.cli.service.output import print_json, print_table, round_size
from seamless.cli.service.rows import Row, matches, rows_of_cluster, service_row, shown_project
from seamless.config.description import launch_dict
from seamless.config.errors import ConfigurationError
from seamless.config.resolved import ResolvedConfig
from seamless.launcher.configuration import Configuration
from seamless.launcher.listing import client_rows, server_rows
from seamless.launcher.paths import expand_home

PROG = "seamless-service-ps"
STATUSES = ("running", "starting", "failed", "stale", "client")
_SCOPE = ("service", "cluster", "project", "subproject", "stage")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = service_parser(
        PROG,
        "List services: by default those that this machine has connections to, with\n"
        "--cluster the processes and data of a cluster.",
        examples=(
            "seamless-service-ps",
            "seamless-service-ps --cluster local --wide",
            "seamless-service-ps --server --persistent --json",
        ),
        otherwise="Only rows that these options describe; what is not given may be anything.",
        exit_codes=(
            (0, "done, also if there are no services"),
            (1, "with --all-clusters: a cluster could not be looked at"),
            (2, "a mistake in the arguments or in the configuration"),
            (3, "the services are on another machine, which this version does not reach"),
        ),
    )
    view = parser.add_argument_group("View").add_mutually_exclusive_group()
    view.add_argument("--client", action="store_true", help="the connections of this machine (default)")
    view.add_argument(
        "--server", action="store_true", help="the processes of the cluster (--cluster, or as configured)"
    )
    view.add_argument("--all-clusters", action="store_true", help="the processes and data of every defined cluster")
    output = parser.add_argument_group("Output")
    output.add_argument("--status", choices=STATUSES, help="only services with this PROCESS")
    output.add_argument("--persistent", action="store_true", help="also the data directories, and how large they are")
    output.add_argument("--wide", action="store_true", help="also the columns CLUSTER, SUBSTAGE and KEY")
    output.add_argument("--bytes", action="store_true", help="sizes in bytes")
    output.add_argument("--json", action="store_true", help="one JSON object a line, with sorted keys; sizes in bytes")
    return finished(parser)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_main(PROG, partial(_run, argv))


def _run(argv: Sequence[str] | None) -> int:
    parser = build_parser()
    options = parser.parse_args(argv)
    if options.all_clusters:
        if options.cluster is not None:
            parser.error("--all-clusters and --cluster exclude each other")
        rows, status = _all_clusters(options)
    elif options.server or (options.cluster is not None and not options.client):
        rows, status = _one_cluster(parser, options)
    else:
        rows, status = _connections(options)
    rows = [row for row in rows if matches(row, options) and options.status in (None, row["process"])]
    _print(rows, options)
    return status


# --- rows -----------------------------------------------------------------------------------------


def _connections(options: argparse.Namespace) -> tuple[list[Row], int]:
    listed = client_rows()
    if options.cluster is None:
        rows = [service_row(row, client=True) for row in listed]
    else:
        rows = rows_of_cluster(listed, options.cluster, client=True)
    if not options.persistent:
        return rows, OK
    config = evaluated(options)
    data = _data_of_cluster(config, options.cluster) if options.cluster else _data_of_project(config, options)
    rows = _with_data(rows, list(data))
    return rows, _told_of_others(hosts_elsewhere(config, config.cluster)[1], config.cluster) if config.cluster else OK


def _told_of_others(hosts: list[str], cluster: str) -> int:
    """Say that a cluster has services on other machines; return the exit status for it."""
    if not hosts:
        return OK
    print_error(elsewhere(f"cluster '{cluster}' has services on {', '.join(hosts)}"))
    return UNREACHABLE


def _one_cluster(parser: argparse.ArgumentParser, options: argparse.Namespace) -> tuple[list[Row], int]:
    config = evaluated(options)
    cluster = config.cluster if options.cluster is None else options.cluster
    if cluster is None:
        parser.error("--server requires --cluster")
    rows = rows_of_cluster(server_rows(), cluster)
    if cluster not in config.clusters:
        if not rows:
            raise unknown_cluster(config, cluster)
        return rows, OK
    here, hosts = hosts_elsewhere(config, cluster)
    if here and _wants_data(options):
        data = _data_of_cluster(config, cluster) if options.cluster else _data_of_project(config, options)
        rows = _with_data(rows, list(data))
    return rows, _told_of_others(hosts, cluster)


def _all_clusters(options: argparse.Namespace) -> tuple[list[Row], int]:
    config = evaluated(options)
    listed = server_rows()
    rows: list[Row] = []
    status = OK
    for cluster in sorted(config.clusters):
        found = rows_of_cluster(listed, cluster)
        try:
            here, hosts = hosts_elsewhere(config, cluster)
            if here and _wants_data(options):
                found = _with_data(found, list(_data_of_cluster(config, cluster)))
            if _told_of_others(hosts, cluster) != OK:
                status = FAILURE
        except ConfigurationError as exc:
            print_error(f"cluster '{cluster}': {exc}")
            status = FAILURE
        rows += found
    return rows, status


def _wants_data(options: argparse.Namespace) -> bool:
    """Tell whether data directories are shown beside the processes of a cluster."""
    return options.persistent or not (options.server or options.status)


# --- data -----------------------------------------------------------------------------------------


def _data_of_cluster(config: ResolvedConfig, cluster: str) -> Iterator[Row]:
    """Yield a row for each data directory of a cluster on this machine."""
    deadline = time.monotonic() + SIZE_SECONDS
    definition = config.get_cluster(cluster)
    probe = "x"
    for service in STORAGE:
        frontend = next((one for one in definition.frontends if service in one), None)
        if frontend is None or not is_here(config, definition, frontend):
            continue
        launch = launch_dict(config, service, cluster=cluster, project=probe, subproject="", stage="")
        root = expand_home(launch["workdir"].removesuffix(f"/{probe}"))
        for place in places(root, service):
            scope = (service, cluster, place.project, place.subproject, place.stage)
            yield _data_row(scope, place.path, deadline)


def _data_of_project(config: ResolvedConfig, options: argparse.Namespace) -> Iterator[Row]:
    """Yield a row for each data directory of the configured project and stage, also if it is absent."""
    for service in STORAGE:
        launch = launch_dict(config, service, options.mode or "rw", frontend_name=options.frontend_name)
        meta = launch["meta"]
        if Configuration.from_mapping(launch).is_local:
            scope = (service, *(meta[name] for name in _SCOPE[1:]))
            yield _data_row(scope, expand_home(launch["workdir"]))


def _data_row(scope: tuple[Any, ...], path: str, deadline: float | None = None) -> Row:
    content = look(scope[0], path, deadline)
    row: Row = dict.fromkeys(("substage", "mode", "queue", "process", "port", "key", "host", "pid", "meta"))
    row |= zip(_SCOPE, scope, strict=True)
    row["project"] = shown_project(row["project"])
    return {**row, "persistent": content.state, "size": content.size, "path": path}


def _with_data(rows: list[Row], data: list[Row]) -> list[Row]:
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


# --- output ---------------------------------------------------------------------------------------


def _print(rows: list[Row], options: argparse.Namespace) -> None:
    if options.json:
        for row in rows:
            print_json(row)
        return
    header = ["SERVICE", "PROJECT", "STAGE", "PROCESS", "PORT", "PERSISTENT", "SIZE"]
    if options.wide:
        header = [header[0], "CLUSTER", *header[1:3], "SUBSTAGE", *header[3:], "KEY"]
    print_table(header, (_cells(row, options) for row in rows))


def _cells(row: Row, options: argparse.Namespace) -> list[object]:
    project = "/".join(filter(None, (row["project"], row["subproject"])))
    size = row["size"] if options.bytes else round_size(row["size"])
    last = [row["process"], row["port"], row["persistent"], size]
    if options.wide:
        return [row["service"], row["cluster"], project, row["stage"], row["substage"], *last, row["key"]]
    return [row["service"], project, row["stage"], *last]


if __name__ == "__main__":
    raise SystemExit(main())
