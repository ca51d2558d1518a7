"""The command `seamless-service-ps`: list services and the data that they keep, one row each."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

from seamless.cli.common import FAILURE, OK, run_main
from seamless.cli.service.common import evaluated, finished, service_parser
from seamless.cli.service.listing import Listed, data_rows, data_wanted, of_cluster, of_clusters, with_data
from seamless.cli.service.output import print_json, print_table, round_size
from seamless.cli.service.remote import report, with_statuses
from seamless.cli.service.rows import Row, matches, rows_of_cluster, service_row
from seamless.errors import UsageError
from seamless.launcher.listing import client_rows

PROG = "seamless-service-ps"
STATUSES = ("running", "starting", "failed", "stale", "client")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = service_parser(
        PROG,
        "List services: by default those that this machine has connections to, with\n"
        "--cluster the processes and data of a cluster, also on other machines.",
        examples=(
            "seamless-service-ps",
            "seamless-service-ps --cluster local --wide",
            "seamless-service-ps --server --persistent --json",
        ),
        otherwise="Only rows that these options describe; what is not given may be anything.",
        exit_codes=(
            (0, "done, also if there are no services"),
            (1, "a cluster could not be looked at, with --all-clusters for whatever reason"),
            (2, "a mistake in the arguments or in the configuration"),
            (127, "a machine of the cluster does not have the helpers of the launcher"),
            (255, "a machine of the cluster cannot be reached by SSH"),
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
    return run_main(PROG, partial(with_statuses, _run, argv))


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
    found = data_rows(evaluated(options), options.cluster, options.frontend_name)
    return with_data(rows, found.rows), _reported(found)


def _one_cluster(parser: argparse.ArgumentParser, options: argparse.Namespace) -> tuple[list[Row], int]:
    config = evaluated(options)
    cluster = config.cluster if options.cluster is None else options.cluster
    if cluster is None:
        parser.error("--server requires --cluster")
    found = of_cluster(config, cluster, data_wanted(options), options.frontend_name)
    return found.rows, _reported(found)


def _all_clusters(options: argparse.Namespace) -> tuple[list[Row], int]:
    config = evaluated(options)
    found = of_clusters(config, sorted(config.clusters), data_wanted(options))
    for cluster, error in found.problems:
        report(error, before=f"cluster '{cluster}': ")
    return found.rows, FAILURE if found.problems else OK


def _reported(found: Listed) -> int:
    """Show what could not be looked at; return the exit status for it."""
    for _, error in found.problems:
        if isinstance(error, UsageError):
            raise error
    return max((report(error) for _, error in found.problems), default=OK)


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
