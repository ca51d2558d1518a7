"""The command `rhl-stop`: stop services of this machine."""

from __future__ import annotations

from collections.abc import Sequence

from seamless.errors import SeamlessError
from seamless.launcher.helpers.frame import FAILURE, OK, Call, complain, run_helper, write_stdout
from seamless.launcher.stopping import DENIED, stop_service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser

PROG = "rhl-stop"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_helper(PROG, argv, _run)


def build_parser() -> ArgumentParser:
    """Return what documents the arguments."""
    from seamless.launcher.helpers.parsers import parser_for

    return parser_for(PROG)


def _run(call: Call) -> int:
    status = OK
    for key in call.words:
        try:
            outcome = stop_service(key)
        except SeamlessError as exc:
            status = complain(PROG, str(exc))
            continue
        write_stdout(f"{key}: {outcome}\n".encode())
        if outcome == DENIED:
            status = FAILURE
    return status
