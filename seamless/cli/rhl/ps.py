"""The command `rhl-ps`: list the services of this machine, or the connections that it has."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from seamless.cli.common import OK, write_stdout
from seamless.cli.rhl.common import (
    JSON_HELP,
    add_help,
    complain,
    helper_parser,
    print_json_lines,
    print_table,
    run_helper,
)
from seamless.launcher.listing import client_rows, server_rows

PROG = "rhl-ps"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = helper_parser(
        PROG,
        "List the services of this machine: key, status, port. A service whose process\nis gone is shown as stale.",
        usage="%(prog)s [options]",
        examples=("rhl-ps", "rhl-ps --status running --json", "rhl-ps --client"),
    )
    group = parser.add_argument_group("Selection")
    group.add_argument("--client", action="store_true", help="list the connections of this machine instead")
    group.add_argument("--host", metavar="HOST", help="with --client: only those to this host")
    group.add_argument("--status", metavar="STATUS", help="only running, starting, failed or stale ones")
    group.add_argument("--no-status", action="store_true", help="show what is recorded; look at no process")
    output = parser.add_argument_group("Output")
    output.add_argument("--key", action="store_true", help="print only the keys, one a line")
    output.add_argument("--json", action="store_true", help=JSON_HELP)
    return add_help(parser)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_helper(build_parser(), argv, _run)


def _run(options: argparse.Namespace) -> int:
    if options.host is not None and not options.client:
        return complain(PROG, "--host requires --client")
    if options.key and options.json:
        return complain(PROG, "--key and --json are mutually exclusive")
    rows: list[dict[str, Any]] = client_rows() if options.client else server_rows(check=not options.no_status)
    if options.host is not None:
        rows = [row for row in rows if options.host in (row.get("host"), row.get("ssh_host"))]
    if options.status is not None:
        rows = [row for row in rows if row.get("status") == options.status]
    for row in rows:
        if "error" in row and row.get("json_status") is None:
            complain(PROG, str(row["error"]))
    if options.key:
        write_stdout("".join(f"{row['key']}\n" for row in rows).encode())
        return OK
    if options.json:
        return print_json_lines({name: value for name, value in row.items() if name != "token"} for row in rows)
    if options.client:
        header = ("KEY", "SSH-HOST", "HOST", "PORT")
        return print_table(header, ([row["key"], row["ssh_host"], row["host"], row["port"]] for row in rows))
    return print_table(("KEY", "STATUS", "PORT"), ([row["key"], row["status"], row.get("port")] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
