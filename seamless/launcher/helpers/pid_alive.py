"""The command `rhl-pid-alive`: tell by the exit status whether a process of this machine runs."""

from __future__ import annotations

from collections.abc import Sequence

from seamless.launcher.helpers.frame import FAILURE, OK, Call, run_helper
from seamless.launcher.processes import read_stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser

PROG = "rhl-pid-alive"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_helper(PROG, argv, _run)


def build_parser() -> ArgumentParser:
    """Return what documents the arguments."""
    from seamless.launcher.helpers.parsers import parser_for

    return parser_for(PROG)


def _run(call: Call) -> int:
    found = read_stat(int(call.words[0]))
    return FAILURE if found is None or found.state in ("Z", "X") else OK
