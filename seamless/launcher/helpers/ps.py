"""The command `rhl-ps`: list the services of this machine, or the connections that it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seamless.launcher.helpers.frame import OK, Call, complain, print_json_lines, print_table, run_helper, write_stdout
from seamless.launcher.listing import client_rows, server_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser

PROG = "rhl-ps"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_helper(PROG, argv, _run)


def build_parser() -> ArgumentParser:
    """Return what documents the arguments."""
    from seamless.launcher.helpers.parsers import parser_for

    return parser_for(PROG)


def _run(call: Call) -> int:
    options = call.options
    client, host, status = options.get("client"), options.get("host"), options.get("status")
    rows: list[dict[str, Any]] = client_rows() if client else server_rows(check=not options.get("no-status"))
    if host is not None:
        rows = [row for row in rows if host in (row.get("host"), row.get("ssh_host"))]
    if status is not None:
        rows = [row for row in rows if row.get("status") == status]
    for row in rows:
        if "error" in row and row.get("json_status") is None:
            complain(PROG, str(row["error"]))
    if options.get("key"):
        write_stdout("".join(f"{row['key']}\n" for row in rows).encode("utf-8", "surrogateescape"))
        return OK
    if options.get("json"):
        return print_json_lines({name: value for name, value in row.items() if name != "token"} for row in rows)
    if client:
        header = ("KEY", "SSH-HOST", "HOST", "PORT")
        return print_table(header, ([row["key"], row["ssh_host"], row["host"], row["port"]] for row in rows))
    return print_table(("KEY", "STATUS", "PORT"), ([row["key"], row["status"], row.get("port")] for row in rows))
