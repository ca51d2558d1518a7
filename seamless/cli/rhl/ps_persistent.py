"""The command `rhl-ps-persistent`: list data directories and what is in them, whether or not a service runs."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from seamless.cli.rhl.common import (
    JSON_HELP,
    add_help,
    complain,
    helper_parser,
    print_json_lines,
    print_table,
    run_helper,
)
from seamless.launcher.paths import expand_home
from seamless.launcher.persistent import persistent_rows

PROG = "rhl-ps-persistent"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = helper_parser(
        PROG,
        "List directories with the state of their data: absent, empty or populated, the\n"
        "size in bytes, the local time of the last change.",
        usage="%(prog)s [options] PATH...",
        examples=("rhl-ps-persistent --level 2 --marker .HASHSERVER_PREFIX /scratch/buffers",),
    )
    inputs = parser.add_argument_group("Inputs")
    inputs.add_argument("paths", metavar="PATH", nargs="+", help="directory to look at")
    inputs.add_argument("--level", metavar="N", default="0", help="look N levels deeper (default: 0)")
    inputs.add_argument("--file", metavar="F", help="a directory is populated if it has the file F")
    inputs.add_argument("--marker", metavar="F", help="list only directories that have the file F")
    parser.add_argument_group("Output").add_argument("--json", action="store_true", help=JSON_HELP)
    return add_help(parser)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_helper(build_parser(), argv, _run)


def _run(options: argparse.Namespace) -> int:
    if not options.level.isascii() or not options.level.isdigit():
        return complain(PROG, "--level must be >= 0")
    for name in ("file", "marker"):
        value = getattr(options, name)
        if value is not None and (not value or "/" in value or value in (".", "..")):
            return complain(PROG, f"--{name} requires a simple filename")
    roots = [expand_home(path) for path in options.paths]
    for root in roots:
        if os.path.lexists(root) and not os.path.isdir(root):
            return complain(PROG, f"not a directory: {root}")
    rows = persistent_rows(roots, level=int(options.level), file=options.file, marker=options.marker)
    if options.json:
        return print_json_lines(rows)
    cells = ([row[name] for name in ("path", "state", "size", "modified")] for row in rows)
    return print_table(("PATH", "STATE", "SIZE", "MODIFIED"), cells)


if __name__ == "__main__":
    raise SystemExit(main())
