"""`seamless-run`: run a command line once; the next time, take its result from the cache.

Parses the options and calls; what happens then is in `seamless.cli.running`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from seamless.cli.common import OWN, run_main
from seamless.cli.run_options import PROG, build_parser, parse_options

__all__ = ["build_parser", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv` and return the exit status; without `argv` the process may end here."""

    def run() -> int:
        options = parse_options(sys.argv[1:] if argv is None else argv)
        from seamless.cli.running.command import run_command

        return run_command(options, PROG)

    status = run_main(PROG, run, status=OWN, label="ERROR")
    shutdown = sys.modules.get("seamless.shutdown")
    if shutdown is not None:
        shutdown.close()
    elif argv is None:
        # Nothing was executed, so nothing is to be closed: the interpreter's own clearing up would only cost time.
        _leave(status)
    return status


def _leave(status: int) -> None:
    """End the process at once, after everything printed is out."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            continue  # closed, or its reader is gone; `run_main` has dealt with stdout
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
