"""The command `rhl-stop`: stop services of this machine."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from seamless.cli.common import FAILURE, OK, write_stdout
from seamless.cli.rhl.common import add_help, check_keys, complain, helper_parser, run_helper
from seamless.errors import SeamlessError
from seamless.launcher.stopping import DENIED, stop_service

PROG = "rhl-stop"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = helper_parser(
        PROG,
        "Stop services of this machine: SIGINT, after 5 seconds SIGTERM, after 5 more\n"
        "SIGKILL, each to the whole process group. Prints for each key what was found:\n"
        "stopped, already gone, kill required, missing state, permission denied.",
        usage="%(prog)s KEY...",
        examples=("rhl-stop hashserver-local-rw-project",),
    )
    parser.add_argument_group("Inputs").add_argument("keys", metavar="KEY", nargs="+", help="key of a service")
    return add_help(parser)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_helper(build_parser(), argv, _run)


def _run(options: argparse.Namespace) -> int:
    check_keys(options.keys)
    status = OK
    for key in options.keys:
        try:
            outcome = stop_service(key)
        except SeamlessError as exc:
            status = complain(PROG, str(exc))
            continue
        write_stdout(f"{key}: {outcome}\n".encode())
        if outcome == DENIED:
            status = FAILURE
    return status


if __name__ == "__main__":
    raise SystemExit(main())
