"""The command `rhl-rm`: remove what the launcher has recorded about services."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from seamless.cli.common import OK, write_stdout
from seamless.cli.rhl.common import add_help, check_keys, complain, helper_parser, run_helper
from seamless.launcher.paths import client_directory, state_path
from seamless.launcher.processes import recorded_process
from seamless.launcher.statefile import read_state_or_none, remove_file

PROG = "rhl-rm"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = helper_parser(
        PROG,
        "Remove what is recorded about services: the connection and the state. No process\n"
        "is stopped (rhl-stop does that), no data and no log is removed.",
        usage="%(prog)s [options] KEY...",
        examples=("rhl-rm hashserver-local-rw-project", "rhl-rm --client hashserver-local-rw-project"),
    )
    inputs = parser.add_argument_group("Inputs")
    inputs.add_argument("keys", metavar="KEY", nargs="+", help="key of a service")
    inputs.add_argument("--client", action="store_true", help="remove only the connection (default: both)")
    inputs.add_argument("--server", action="store_true", help="remove only the state (default: both)")
    return add_help(parser)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_helper(build_parser(), argv, _run)


def _run(options: argparse.Namespace) -> int:
    check_keys(options.keys)
    both = options.client == options.server
    for key in options.keys:
        paths = []
        if both or options.client:
            paths.append(os.path.join(client_directory(), f"{key}.json"))
        if both or options.server:
            paths.append(state_path(key))
            process = recorded_process(read_state_or_none(state_path(key)) or {})
            if process is not None:
                complain(PROG, f"warning: {key} still runs (pid {process.pid}); rhl-stop cannot find it any more")
        removed = [path for path in paths if remove_file(path)]
        text = "".join(f"removed {path}\n" for path in removed) or f"{key}: not found\n"
        write_stdout(text.encode("utf-8", "surrogateescape"))
    return OK


if __name__ == "__main__":
    raise SystemExit(main())
