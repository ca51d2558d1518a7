"""The command `rhl-cache-conda`: look for conda on this machine and note what there is."""

from __future__ import annotations

from collections.abc import Sequence

from seamless.launcher.conda import cache_path, refresh_cache
from seamless.launcher.helpers.frame import OK, Call, run_helper, write_stdout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser

PROG = "rhl-cache-conda"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_helper(PROG, argv, _run)


def build_parser() -> ArgumentParser:
    """Return what documents the arguments."""
    from seamless.launcher.helpers.parsers import parser_for

    return parser_for(PROG)


def _run(call: Call) -> int:
    refresh_cache()
    write_stdout(f"{PROG}: wrote {cache_path()}\n".encode("utf-8", "surrogateescape"))
    return OK
