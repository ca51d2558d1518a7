"""The command `rhl-clear`: empty the data directory of a service."""

from __future__ import annotations

from collections.abc import Sequence

from seamless.launcher.clearing import clear_directory
from seamless.launcher.helpers.frame import FAILURE, OK, Call, complain, run_helper, shown, write_stdout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser

PROG = "rhl-clear"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_helper(PROG, argv, _run)


def build_parser() -> ArgumentParser:
    """Return what documents the arguments."""
    from seamless.launcher.helpers.parsers import parser_for

    return parser_for(PROG)


def _run(call: Call) -> int:
    (path,) = call.words
    cleared = clear_directory(
        path,
        force=bool(call.options.get("force")),
        resolved=call.guarded.paths[0] if call.guarded else None,
        markers=frozenset(call.guarded.markers) if call.guarded else frozenset(),
    )
    for problem in cleared.problems:
        complain(PROG, shown(problem))
    write_stdout(f"removed {cleared.removed} item(s) from {path}\n".encode("utf-8", "surrogateescape"))
    return FAILURE if cleared.problems else OK
