"""The command `seamless-service-rm`: remove what is recorded about services that do not run."""

from __future__ import annotations

import argparse
import os
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
from seamless.cli.service.connections import remove_connection
from seamless.cli.service.output import print_json, print_line, show_command
from seamless.cli.service.remote import RemoteMachine, relay, report, with_statuses
from seamless.cli.service.rows import Meant, meant_on_cluster
from seamless.errors import SeamlessError
from seamless.launcher.local import LocalExecutor
from seamless.launcher.paths import state_path
from seamless.launcher.statefile import remove_file

PROG = "seamless-service-rm"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = service_parser(
        PROG,
        "Remove what is recorded about a service, or with --cluster alone about those of a\n"
        "cluster: the connection, here, and the state, on the machine of the service. Data\n"
        "and logs stay. A service that runs is refused.",
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
    return run_main(PROG, partial(with_statuses, _run, argv))


def _run(argv: Sequence[str] | None) -> int:
    parser = build_parser()
    options = parser.parse_args(argv)
    require_selection(parser, options)
    both = options.client == options.server
    client, server = both or options.client, both or options.server
    if options.service is not None:
        target = selected(options)
        meant = Meant({target.host: [target.key]}, [])
    else:
        meant = meant_on_cluster(evaluated(options), options, client=client, server=server)
    if not meant.keys and not meant.problems:
        Messages(PROG, options.verbosity).message(0, f"no such service of cluster '{options.cluster}' is recorded")
    statuses = [OK]
    for host, keys in meant.keys.items():
        try:
            statuses.append(_remove_on(host, keys, client, server, options))
        except SeamlessError as exc:  # the other machines are none the worse for it
            statuses.append(report(exc))
    statuses += [report(problem) for problem in meant.problems]
    return max(statuses)


def _remove_on(host: str | None, keys: list[str], client: bool, server: bool, options: argparse.Namespace) -> int:
    if options.dry_run:
        if server:
            show_command(host, ["rhl-rm", "--server", *keys], options)
        if client:
            show_command(None, ["rhl-rm", "--client", *keys], options)
        return OK
    if host is None or not server:
        return max(_remove(key, client, server and host is None, options) for key in keys)
    status = _remove_there(RemoteMachine(host), keys, options)
    if status == OK and client:
        status = max(_remove(key, True, False, options, silent=True) for key in keys)
    return status


def _remove_there(machine: RemoteMachine, keys: list[str], options: argparse.Namespace) -> int:
    """Remove the states on another machine; return the exit status of the helper."""
    if not options.force:
        for row in machine.process_rows():
            if row["key"] in keys and row.get("live"):
                print_error(
                    f"{row['key']} runs on {machine.host} (pid {row.get('pid')}); stop it first "
                    "(seamless-service-stop), or use --force"
                )
                return FAILURE
    done = machine.call("rhl-rm", "--server", *keys)
    relay(done.stderr)
    for line in done.stdout.splitlines():
        if not options.json:
            print_line(line)
            continue
        path = line.removeprefix("removed ")
        key = os.path.basename(path).removesuffix(".json") if path != line else line.rpartition(": ")[0]
        print_json({"host": machine.host, "key": key, "removed": [path] if path != line else []})
    return done.status


def _remove(key: str, client: bool, server: bool, options: argparse.Namespace, *, silent: bool = False) -> int:
    """Remove what is recorded on this machine. `silent`: what is not there is not worth a word."""
    removed = []
    error: str | None = None
    try:
        if server and (remove_file(state_path(key)) if options.force else LocalExecutor().forget(key)):
            removed.append(state_path(key))
        if client:
            path = remove_connection(key)
            if path is not None:
                removed.append(path)
    except SeamlessError as exc:
        error = str(exc)
        print_error(error)
    if options.json:
        row: dict[str, Any] = {"key": key, "removed": removed}
        if removed or error is not None or not silent:
            print_json(row if error is None else {**row, "error": error})
    else:
        for path in removed:
            print_line(f"removed {path}")
        if not removed and error is None and not silent:
            print_line(f"{key}: not found")
    return OK if error is None else FAILURE


if __name__ == "__main__":
    raise SystemExit(main())
