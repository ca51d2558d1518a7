"""The command `rhl-logs`: print what a service of this machine has written, also after its end."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from seamless.cli.common import OK, write_stdout
from seamless.cli.rhl.common import add_help, check_keys, complain, helper_parser, run_helper
from seamless.launcher.logs import tail_bytes
from seamless.launcher.paths import log_path

PROG = "rhl-logs"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = helper_parser(
        PROG,
        "Print the log of a service of this machine: its stdout and stderr since it was\n"
        "started last. The log before that one is beside it, with '.1' after its name.",
        usage="%(prog)s [options] KEY",
        examples=("rhl-logs --tail 20 hashserver-local-rw-project",),
    )
    parser.add_argument_group("Inputs").add_argument("key", metavar="KEY", help="key of the service")
    parser.add_argument_group("Output").add_argument("--tail", metavar="N", help="print only the last N lines")
    return add_help(parser)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_helper(build_parser(), argv, _run)


def _run(options: argparse.Namespace) -> int:
    check_keys([options.key])
    lines = None
    if options.tail is not None:
        try:
            lines = int(options.tail)
        except ValueError:
            return complain("rhl", "--tail requires an integer")
        if lines < 0:
            return complain(PROG, "--tail must be >= 0")
    path = log_path(options.key)
    try:
        if lines is not None:
            write_stdout(tail_bytes(path, lines))
            return OK
        with open(path, "rb") as f:
            while block := f.read(1 << 20):
                write_stdout(block)
    except FileNotFoundError:
        return complain(PROG, f"no log file for '{options.key}'")
    return OK


if __name__ == "__main__":
    raise SystemExit(main())
