"""The command `rhl-verify-port`: tell by the exit status whether something listens on a port, as seen from here."""

from __future__ import annotations

import time
from collections.abc import Sequence

from seamless.launcher.handshake import probe
from seamless.launcher.helpers.frame import OK, Call, complain, run_helper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser

PROG = "rhl-verify-port"
TRIES, SECONDS = 3, 2.0  # each try has so many seconds, and so many pass between two


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_helper(PROG, argv, _run)


def build_parser() -> ArgumentParser:
    """Return what documents the arguments."""
    from seamless.launcher.helpers.parsers import parser_for

    return parser_for(PROG)


def _run(call: Call) -> int:
    host, port = call.words
    answer = probe(host, int(port), None, timeout=SECONDS)
    for _ in range(TRIES - 1):
        if answer.healthy:
            break
        time.sleep(SECONDS)
        answer = probe(host, int(port), None, timeout=SECONDS)
    return OK if answer.healthy else complain(PROG, f"{host}:{port}: {answer.problem}")
