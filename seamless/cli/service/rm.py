"""The command `seamless-service-rm`: remove what is recorded about services that do not run."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

from seamless.cli.common import FAILURE, OK, Messages, print_error, run_main
from seamless.cli.service.common import (
    UNREACHABLE,
    add_changing,
    evaluated,
    finished,
    require_selection,
    selected,
    selected_here,
    service_parser,
)
from seamless.cli.service.output import print_json, print_line
from seamless.cli.service.rows import meant_on_cluster
from seamless.errors import SeamlessError
from seamless.launcher.local import LocalExecutor
from seamless.launcher.paths import client_directory, state_path
from seamless.launcher.statefile import remove_file

PROG = "seamless-service-rm"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = service_parser(
        PROG,
        "Remove what is recorded about a service, or with --cluster alone about those of a\n"
        "cluster: the connection and the state. Data and logs stay. A service that runs is\n"
        "refused.",
        examples=("seamless-service-rm --service database", "seamless-service-rm --cluster local --dry-run"),
    )
    what = parser.add_argument_group("What is removed")
    what.add_argument("--client", action="store_true", help="the connection only (default: both)")
    what.add_argument("--server", action="store_true", help="the state only (default: both)")
    what.add_argument("--force", action="store_true", help="also if the service runs; then only its pid finds it")
    add_changing(parser)
    return finished(parser)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_main(PROG, partial(_run, argv))


def _run(argv: Sequence[str] | None) -> int:
    parser = build_parser()
    options = parser.parse_args(argv)
    require_selection(parser, options)
    both = options.client == options.server
    client, server = both or options.client, both or options.server
    problem = ""
    if options.service is not None:
        keys = [(selected_here(PROG, options) if server else selected(options)).key]
    else:
        keys, problem = meant_on_cluster(evaluated(options), options, client=client, server=server)
    if not keys and not problem:
        Messages(PROG, options.verbosity).message(
            0, f"no such service of cluster '{options.cluster}' is recorded on this machine"
        )
    elif keys and options.dry_run:
        for flag, wanted in (("--server", server), ("--client", client)):
            if wanted:
                _show_command(["rhl-rm", flag, *keys], options)
    else:
        status = max([_remove(key, client, server, options) for key in keys], default=OK)
        if status:
            return status
    if problem:
        print_error(problem)
        return UNREACHABLE
    return OK


def _show_command(command: list[str], options: argparse.Namespace) -> None:
    if options.json:
        print_json({"command": command, "dry_run": True})
    else:
        print_line(" ".join(command))


def _remove(key: str, client: bool, server: bool, options: argparse.Namespace) -> int:
    removed = []
    error: str | None = None
    try:
        if server and (remove_file(state_path(key)) if options.force else LocalExecutor().forget(key)):
            removed.append(state_path(key))
        if client:
            path = os.path.join(client_directory(), f"{key}.json")
            if remove_file(path):
                removed.append(path)
    except SeamlessError as exc:
        error = str(exc)
        print_error(error)
    if options.json:
        row: dict[str, Any] = {"key": key, "removed": removed}
        print_json(row if error is None else {**row, "error": error})
    else:
        for path in removed:
            print_line(f"removed {path}")
        if not removed and error is None:
            print_line(f"{key}: not found")
    return OK if error is None else FAILURE


if __name__ == "__main__":
    raise SystemExit(main())
