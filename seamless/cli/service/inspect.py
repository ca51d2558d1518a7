"""The command `seamless-service-inspect`: print what is recorded about a service."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from functools import partial

from seamless.cli.common import FAILURE, OK, Messages, print_error, run_main
from seamless.cli.service.common import finished, selected, service_parser
from seamless.cli.service.output import print_line
from seamless.cli.service.remote import RemoteMachine, with_statuses
from seamless.launcher.listing import derived_row
from seamless.launcher.paths import state_path
from seamless.launcher.statefile import State, read_state

PROG = "seamless-service-inspect"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = service_parser(
        PROG,
        "Print the state of a service as JSON: command, log, pid, port, status, directory\n"
        "and what it is for. Its token is left out.",
        examples=("seamless-service-inspect --service database",),
        required=True,
    )
    output = parser.add_argument_group("Output")
    output.add_argument("--show-token", action="store_true", help="also the token that clients have to send")
    return finished(parser)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_main(PROG, partial(with_statuses, _run, argv))


def _run(argv: Sequence[str] | None) -> int:
    options = build_parser().parse_args(argv)
    target = selected(options)
    key = target.key
    found = _state_here(key) if target.machine is None else _state_there(target.machine, key)
    if found is None:
        print_error(f"no state file for '{key}'", label="rhl-inspect")
        return FAILURE
    state, derived = found
    shown = {name: value for name, value in state.items() if options.show_token or name != "token"}
    print_line(json.dumps(shown, sort_keys=True, indent=2))
    if derived != state.get("status"):
        Messages(PROG, options.verbosity).message(0, f"{key} is {derived}: its process is gone")
    return OK


def _state_here(key: str) -> tuple[State, str] | None:
    """Return the state, and the status that follows from whether its process lives."""
    state = read_state(state_path(key))
    return None if state is None else (state, derived_row(key, state)["status"])


def _state_there(machine: RemoteMachine, key: str) -> tuple[State, str]:
    """Return the same of a service of another machine. Raises LauncherError, HelperFailed."""
    state = machine.value("rhl-inspect", key)
    status = str(state.get("status"))
    if status in ("running", "starting"):
        status = next((row["status"] for row in machine.process_rows() if row["key"] == key), status)
    return state, status


if __name__ == "__main__":
    raise SystemExit(main())
