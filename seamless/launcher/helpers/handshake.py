"""The command `rhl-handshake`: ask a service whether it is well; the exit status is the answer."""

from __future__ import annotations

from collections.abc import Sequence

from seamless.launcher.handshake import HTTP_STATUS, probe_url
from seamless.launcher.helpers.frame import FAILURE, OK, Call, complain, run_helper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser

PROG = "rhl-handshake"
OTHER_STATUS = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_helper(PROG, argv, _run)


def build_parser() -> ArgumentParser:
    """Return what documents the arguments."""
    from seamless.launcher.helpers.parsers import parser_for

    return parser_for(PROG)


def _run(call: Call) -> int:
    answer = probe_url(call.words[0])
    if answer is None:
        return complain(PROG, "URL must use http or https and include a host")
    if answer.healthy:
        return OK
    return complain(PROG, answer.problem, OTHER_STATUS if answer.problem.startswith(HTTP_STATUS) else FAILURE)
