"""The command `rhl-inspect`: print the state of a service of this machine as it is recorded."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence

from seamless.cli.common import OK, write_stdout
from seamless.cli.rhl.common import add_help, check_keys, complain, helper_parser, run_helper
from seamless.launcher.paths import state_path
from seamless.launcher.statefile import read_state

PROG = "rhl-inspect"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = helper_parser(
        PROG,
        "Print the state of a service of this machine as JSON, its token included.",
        usage="%(prog)s [options] KEY",
        examples=("rhl-inspect hashserver-local-rw-project",),
    )
    parser.add_argument_group("Inputs").add_argument("key", metavar="KEY", help="key of the service")
    parser.add_argument_group("Output").add_argument(
        "--with-mtime", action="store_true", help='print {"mtime": SECONDS, "data": STATE} on one line'
    )
    return add_help(parser)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_helper(build_parser(), argv, _run)


def _run(options: argparse.Namespace) -> int:
    check_keys([options.key])
    path = state_path(options.key)
    state = read_state(path)
    if state is None:
        return complain(PROG, f"no state file for '{options.key}'")
    if options.with_mtime:
        text = json.dumps({"mtime": os.stat(path).st_mtime, "data": state}, sort_keys=True, separators=(",", ":"))
    else:
        text = json.dumps(state, sort_keys=True, indent=2)
    write_stdout(text.encode() + b"\n")
    return OK


if __name__ == "__main__":
    raise SystemExit(main())
