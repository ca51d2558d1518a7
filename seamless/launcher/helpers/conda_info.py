"""The command `rhl-conda-info`: print what is known of conda on this machine."""

from __future__ import annotations

import json
from collections.abc import Sequence

from seamless.launcher.conda import cache_path
from seamless.launcher.helpers.frame import OK, Call, complain, run_helper, write_stdout
from seamless.launcher.statefile import read_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser

PROG = "rhl-conda-info"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_helper(PROG, argv, _run)


def build_parser() -> ArgumentParser:
    """Return what documents the arguments."""
    from seamless.launcher.helpers.parsers import parser_for

    return parser_for(PROG)


def _run(call: Call) -> int:
    found = read_state(cache_path())
    if found is None:
        return complain(PROG, f"cache file not found: {cache_path()}")
    write_stdout(json.dumps(found, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    return OK
