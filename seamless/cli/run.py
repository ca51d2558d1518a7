"""`seamless-run`: run a command line once; the next time, take its result from the cache.

Parses the options and calls; what happens then is in `seamless.cli.running`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from seamless.cli.common import OWN, run_main
from seamless.cli.run_options import PROG, build_parser, parse_options

__all__ = ["build_parser", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv` (default: that of the process); return the exit status."""

    def run() -> int:
        options = parse_options(sys.argv[1:] if argv is None else argv)
        from seamless.cli.running.command import run_command

        try:
            return run_command(options, PROG)
        finally:
            _close()

    return run_main(PROG, run, status=OWN, label="ERROR")


def _close() -> None:
    """End the session, if there has been one: a cache hit has none."""
    shutdown = sys.modules.get("seamless.shutdown")
    if shutdown is not None:
        shutdown.close()


if __name__ == "__main__":
    sys.exit(main())
