"""The command `seamless-service-stop`: stop one service, or those of a cluster, wherever they run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Any

from seamless.cli.common import FAILURE, OK, Messages, print_error, run_main
from seamless.cli.service.common import (
    add_changing,
    evaluated,
    finished,
    require_selection,
    selected,
    service_parser,
)
from seamless.cli.service.connections import mark_stale
from seamless.cli.service.output import print_json, print_line, show_command
from seamless.cli.service.remote import LOOK_SECONDS, STOP_SECONDS, RemoteMachine, relay, report, with_statuses
from seamless.cli.service.rows import Meant, meant_on_cluster
from seamless.errors import SeamlessError
from seamless.launcher.paths import state_path
from seamless.launcher.processes import recorded_process
from seamless.launcher.statefile import read_state_or_none
from seamless.launcher.stopping import DENIED, stop_service

PROG = "seamless-service-stop"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = service_parser(
        PROG,
        "Stop a service, or with --cluster alone all services of a cluster, also on other\n"
        "machines. They lose nothing; the next program that needs them starts them again.",
        examples=(
            "seamless-service-stop --service hashserver",
            "seamless-service-stop --cluster local --project thesis",
        ),
    )
    add_changing(parser)
    return finished(parser)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_main(PROG, partial(with_statuses, _run, argv))


def _run(argv: Sequence[str] | None) -> int:
    parser = build_parser()
    options = parser.parse_args(argv)
    require_selection(parser, options)
    if options.service is not None:
        target = selected(options)
        meant = Meant({target.host: [target.key]}, [])
    else:
        meant = meant_on_cluster(evaluated(options), options, client=False)
    if not meant.keys and not meant.problems:
        Messages(PROG, options.verbosity).message(0, f"no such service of cluster '{options.cluster}' is recorded")
    statuses = [OK]
    for host, keys in meant.keys.items():
        try:
            statuses.append(_stop_on(host, keys, options))
        except SeamlessError as exc:  # the other machines are none the worse for it
            statuses.append(report(exc))
    statuses += [report(problem) for problem in meant.problems]
    return max(statuses)


def _stop_on(host: str | None, keys: list[str], options: argparse.Namespace) -> int:
    if options.dry_run:
        show_command(host, ["rhl-stop", *keys], options)
        return OK
    if host is not None:
        return _stop_there(RemoteMachine(host), keys, options.json)
    return max(_stop(key, options.json) for key in keys)


def _stop(key: str, as_json: bool) -> int:
    outcome: str | None = None
    error: str | None = None
    try:
        outcome = stop_service(key)
    except SeamlessError as exc:
        error = str(exc)
        print_error(error)
    if (
        outcome is not None
        and outcome != DENIED
        and recorded_process(read_state_or_none(state_path(key)) or {}) is None
    ):
        mark_stale(key)  # unless somebody has started the service again
    if as_json:
        row: dict[str, Any] = {"key": key, "outcome": outcome or "error"}
        print_json(row if error is None else {**row, "error": error})
    elif outcome is not None:
        print_line(f"{key}: {outcome}")
    return FAILURE if outcome in (None, DENIED) else OK


def _stop_there(machine: RemoteMachine, keys: list[str], as_json: bool) -> int:
    """Stop services of another machine; return the exit status of the helper."""
    done = machine.call("rhl-stop", *keys, seconds=LOOK_SECONDS + STOP_SECONDS * len(keys))
    outcomes = {}
    for line in done.stdout.splitlines():
        key, separator, outcome = line.partition(": ")
        if separator and key in keys:
            outcomes[key] = outcome
    relay(done.stderr)
    for key in keys:
        outcome = outcomes.get(key, "error")
        if outcome not in (DENIED, "error"):
            mark_stale(key)
        if as_json:
            print_json({"host": machine.host, "key": key, "outcome": outcome})
        elif key in outcomes:
            print_line(f"{key}: {outcome}")
    return done.status


if __name__ == "__main__":
    raise SystemExit(main())
