"""The command `rhl-rm`: remove what the launcher has recorded about services; their logs stay."""

from __future__ import annotations

import os
from collections.abc import Sequence

from seamless.launcher.helpers.frame import OK, Call, complain, run_helper, write_stdout
from seamless.launcher.paths import client_directory, state_path
from seamless.launcher.processes import recorded_process
from seamless.launcher.statefile import read_state_or_none, remove_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser

PROG = "rhl-rm"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_helper(PROG, argv, _run)


def build_parser() -> ArgumentParser:
    """Return what documents the arguments."""
    from seamless.launcher.helpers.parsers import parser_for

    return parser_for(PROG)


def _run(call: Call) -> int:
    client, server = bool(call.options.get("client")), bool(call.options.get("server"))
    for key in call.words:
        paths = []
        if client or not server:
            paths.append(os.path.join(client_directory(), f"{key}.json"))
        if server or not client:
            paths.append(state_path(key))
            process = recorded_process(read_state_or_none(state_path(key)) or {})
            if process is not None:
                complain(PROG, f"warning: {key} still runs (pid {process.pid}); rhl-stop cannot find it any more")
        removed = [path for path in paths if remove_file(path)]
        text = "".join(f"removed {path}\n" for path in removed) or f"{key}: not found\n"
        write_stdout(text.encode("utf-8", "surrogateescape"))
    return OK
