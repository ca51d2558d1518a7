"""The command `seamless-service-stop`: stop one service, or those of a cluster."""

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
    selected_here,
    service_parser,
)
from seamless.cli.service.output import print_json, print_line
from seamless.cli.service.rows import meant_on_cluster
from seamless.errors import SeamlessError
from seamless.launcher.paths import client_directory, state_path
from seamless.launcher.processes import recorded_process
from seamless.launcher.statefile import read_state_or_none, write_state
from seamless.launcher.stopping import DENIED, stop_service

PROG = "seamless-service-stop"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = service_parser(
        PROG,
        "Stop a service, or with --cluster alone all services of a cluster. They lose\n"
        "nothing; the next program that needs them starts them again.",
        examples=(
            "seamless-service-stop --service hashserver",
            "seamless-service-stop --cluster local --project thesis",
        ),
    )
    add_changing(parser)
    return finished(parser)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_main(PROG, partial(_run, argv))


def _run(argv: Sequence[str] | None) -> int:
    parser = build_parser()
    options = parser.parse_args(argv)
    require_selection(parser, options)
    problem = ""
    if options.service is not None:
        keys = [selected_here(PROG, options).key]
    else:
        keys, problem = meant_on_cluster(evaluated(options), options, client=False)
    messages = Messages(PROG, options.verbosity)
    if not keys and not problem:
        messages.message(0, f"no such service of cluster '{options.cluster}' is recorded on this machine")
    elif keys and options.dry_run:
        _show_command(keys, options)
    else:
        status = max([_stop(key, options.json) for key in keys], default=OK)
        if status:
            return status
    if problem:
        print_error(problem)
        return UNREACHABLE
    return OK


def _show_command(keys: list[str], options: argparse.Namespace) -> None:
    command = ["rhl-stop", *keys]
    if options.json:
        print_json({"command": command, "dry_run": True})
    else:
        print_line(" ".join(command))


def _stop(key: str, as_json: bool) -> int:
    outcome: str | None = None
    error: str | None = None
    try:
        outcome = stop_service(key)
    except SeamlessError as exc:
        error = str(exc)
        print_error(error)
    if outcome is not None and outcome != DENIED:
        _mark_client(key)
    if as_json:
        row: dict[str, Any] = {"key": key, "outcome": outcome or "error"}
        print_json(row if error is None else {**row, "error": error})
    elif outcome is not None:
        print_line(f"{key}: {outcome}")
    return FAILURE if outcome in (None, DENIED) else OK


def _mark_client(key: str) -> None:
    """Mark the connection of a stopped service as stale, unless somebody has started the service again."""
    if recorded_process(read_state_or_none(state_path(key)) or {}) is not None:
        return
    path = os.path.join(client_directory(), f"{key}.json")
    payload = read_state_or_none(path)
    if payload is not None and payload.get("status") != "stale":
        write_state(path, {**payload, "status": "stale"})


if __name__ == "__main__":
    raise SystemExit(main())
