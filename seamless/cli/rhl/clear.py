"""The command `rhl-clear`: empty the data directory of a service."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from seamless.cli.common import FAILURE, OK, write_stdout
from seamless.cli.rhl.common import add_help, complain, helper_parser, run_helper
from seamless.launcher.clearing import clear_directory

PROG = "rhl-clear"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = helper_parser(
        PROG,
        "Remove everything in a directory, for good. Directories whose name begins with a\n"
        "dot stay; links are removed, not followed. Refuses system directories, the home\n"
        "directory, and a directory that a running service uses.",
        usage="%(prog)s [options] PATH",
        examples=("rhl-clear /scratch/buffers/project",),
    )
    inputs = parser.add_argument_group("Inputs")
    inputs.add_argument("paths", metavar="PATH", nargs="*", help="absolute path of the directory")
    inputs.add_argument("--force", action="store_true", help="also while a service uses the directory")
    return add_help(parser)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_helper(build_parser(), argv, _run)


def _run(options: argparse.Namespace) -> int:
    if len(options.paths) != 1:
        return complain(PROG, "exactly one path is required")
    (path,) = options.paths
    cleared = clear_directory(path, force=options.force)
    for problem in cleared.problems:
        complain(PROG, problem)
    write_stdout(f"removed {cleared.removed} item(s) from {path}\n".encode("utf-8", "surrogateescape"))
    return FAILURE if cleared.problems else OK


if __name__ == "__main__":
    raise SystemExit(main())
