"""The command `rhl-inspect`: print the state of a service of this machine as it is recorded."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from seamless.launcher.helpers.frame import OK, Call, complain, run_helper, write_stdout
from seamless.launcher.paths import state_path
from seamless.launcher.statefile import read_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser

PROG = "rhl-inspect"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_helper(PROG, argv, _run)


def build_parser() -> ArgumentParser:
    """Return what documents the arguments."""
    from seamless.launcher.helpers.parsers import parser_for

    return parser_for(PROG)


def _run(call: Call) -> int:
    (key,) = call.words
    path = state_path(key)
    state = read_state(path)
    if state is None:
        return complain(PROG, f"no state file for '{key}'")
    if call.options.get("with-mtime"):
        mtime = os.stat(path, follow_symlinks=False).st_mtime
        text = json.dumps({"mtime": mtime, "data": state}, sort_keys=True, separators=(",", ":"))
    else:
        text = json.dumps(state, sort_keys=True, indent=2)
    write_stdout(text.encode() + b"\n")
    return OK
