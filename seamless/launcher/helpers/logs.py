"""The command `rhl-logs`: print what a service of this machine has written, also after its end."""

from __future__ import annotations

from collections.abc import Sequence

from seamless.launcher.helpers.frame import OK, Call, complain, run_helper, write_stdout
from seamless.launcher.logs import open_log, tail_bytes
from seamless.launcher.paths import log_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser

PROG = "rhl-logs"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_helper(PROG, argv, _run)


def build_parser() -> ArgumentParser:
    """Return what documents the arguments."""
    from seamless.launcher.helpers.parsers import parser_for

    return parser_for(PROG)


def _run(call: Call) -> int:
    (key,) = call.words
    lines = call.options.get("tail")
    try:
        if isinstance(lines, int):
            write_stdout(tail_bytes(log_path(key), lines))
            return OK
        with open_log(log_path(key)) as f:
            while block := f.read(1 << 20):
                write_stdout(block)
    except FileNotFoundError:
        return complain(PROG, f"no log file for '{key}'")
    return OK
