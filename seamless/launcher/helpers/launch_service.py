"""The command `rhl-launch-service`: start a service of this machine, unless it runs, and do not wait for it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from seamless.launcher.commands import inner_argv
from seamless.launcher.helpers.frame import OK, USAGE, Call, complain, run_helper
from seamless.launcher.helpers.launching import configuration, terms
from seamless.launcher.observers import Observer
from seamless.launcher.starting import start_if_none_runs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser

PROG = "rhl-launch-service"
RUNS_OTHERWISE = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_helper(PROG, argv, _run, usage=USAGE)


def build_parser() -> ArgumentParser:
    """Return what documents the arguments."""
    from seamless.launcher.helpers.parsers import parser_for

    return parser_for(PROG)


def _run(call: Call) -> int:
    config = configuration(call)
    command = shlex.join(inner_argv(config))
    found = start_if_none_runs(config, Observer(), terms(call))
    if found.started or found.state.get("command") == command:
        return OK
    return complain(PROG, f"already running: {config.key} pid {found.state.get('pid')}", RUNS_OTHERWISE)
