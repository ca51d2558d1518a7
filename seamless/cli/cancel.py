"""The command `seamless-cancel`: end the execution of a transformation, wherever it is under way."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from seamless.cli.checksum import print_json
from seamless.cli.common import FAILURE, OK, USAGE, add_general, make_parser, run_main, write_stdout
from seamless.cli.resolve import checksum_from
from seamless.cli.storage import open_storage
from seamless.cli.transfer.options import add_scope
from seamless.errors import SeamlessError, UsageError

if TYPE_CHECKING:
    from seamless.checksum import Checksum
    from seamless.cli.storage import Storage

PROG = "seamless-cancel"

_SHOWN = {"daskserver": "dask"}  # how a place is called in the output
CANCELED, NOT_RUNNING = "canceled", "not-running"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = make_parser(
        PROG,
        "End the execution of a transformation. One line is printed for each place where it\n"
        "can be under way: what was found there. Its processes are seamless-run,\n"
        "seamless-run-transformation and seamless-queue of the same user and cache.",
        usage="%(prog)s [options] CHECKSUM|FILE",
        examples=(
            "seamless-cancel job/transformation.json.CHECKSUM",
            "seamless-cancel --json $(cut -c-64 result.txt.FUTURE)",
        ),
        exit_codes=(
            (0, "an execution was canceled"),
            (1, "the argument is no checksum of a transformation, or an execution could not be canceled"),
            (2, "a mistake in the arguments, or nothing was under way"),
            (130, "interrupted"),
        ),
    )
    inputs = parser.add_argument_group("Inputs")
    inputs.add_argument("what", metavar="CHECKSUM|FILE", help="64 hexadecimal digits, or a file that holds them")
    add_scope(parser)
    output = parser.add_argument_group("Output")
    output.add_argument(
        "--json",
        action="store_true",
        help="one JSON object a line: place, status (canceled, not-running, error), error",
    )
    add_general(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""

    def run() -> int:
        options = build_parser().parse_args(argv)
        try:
            tf = checksum_from(options.what)
        except UsageError as exc:  # a status of its own: 2 says that nothing was under way
            raise SeamlessError(str(exc)) from exc
        storage = open_storage(project=options.project, stage=options.stage)
        try:
            return _cancel(tf, storage, json=options.json)
        finally:
            storage.close()

    return run_main(PROG, run, label="ERROR")


def _cancel(tf: Checksum, storage: Storage, *, json: bool) -> int:
    # First where it is executed: a process that ends cancels it there, too, and there would be nothing left to tell.
    elsewhere = {name: _ask(cancel) for name, cancel in _elsewhere(tf).items()}
    answers = {"process": _ask(lambda: _in_processes(tf, storage)), **elsewhere}
    for name, answer in answers.items():
        if json:
            status, _, error = answer.partition(": ")
            print_json(place=name, status=status, error=error or None)
        else:
            write_stdout(f"{name}: {answer}\n".encode())
    if CANCELED in answers.values():
        return OK
    return FAILURE if any(answer.startswith("error") for answer in answers.values()) else USAGE


def _ask(cancel: Callable[[], str]) -> str:
    try:
        return cancel()
    except SeamlessError as exc:
        return "error: " + " ".join(str(exc).split())


def _in_processes(tf: Checksum, storage: Storage) -> str:
    """Ask the processes of this user; return what became of it. Raises SeamlessError for one that goes on."""
    from seamless.cli.running.requests import described, request_cancel
    from seamless.cli.running.run_state import control_directory

    if request_cancel(control_directory(), tf):
        return CANCELED
    running = getattr(storage.results, "running", None)
    holder = running(tf) if running is not None else None
    if holder:
        raise SeamlessError(f"{described(holder)} executes it, which takes no requests: end that program")
    return NOT_RUNNING


def _elsewhere(tf: Checksum) -> dict[str, Callable[[], str]]:
    """Return how the place is asked in which the configuration executes, if that is another machine or service."""
    from seamless.transformer.execution import seam

    executor = seam.executor
    cancel: Callable[[Checksum], bool] | None = getattr(executor, "cancel", None)
    if not getattr(executor, "remote", False) or cancel is None:
        return {}
    name = getattr(executor, "name", "remote")
    return {_SHOWN.get(name, name): lambda: CANCELED if cancel(tf) else NOT_RUNNING}


if __name__ == "__main__":
    raise SystemExit(main())
