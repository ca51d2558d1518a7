"""The command `seamless-queue-finish`: have the queue worked off, and wait for its end."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from seamless.cli.common import FAILURE, OK, Messages, add_general, make_parser, run_main
from seamless.cli.queueing import records
from seamless.errors import SeamlessError

PROG = "seamless-queue-finish"
_POLL = 0.05  # seconds


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = make_parser(
        PROG,
        "Tell seamless-queue that no more commands follow, and wait until it has done all.\n"
        "The queue file is $SEAMLESS_QUEUE_FILE, else .seamless-queue in the current directory.",
        usage="%(prog)s [options]",
        examples=("seamless-queue-finish", "seamless-queue-finish --timeout 3600", "seamless-queue-finish --cancel"),
        exit_codes=(
            (0, "every job is done"),
            (1, "a job has failed or was canceled, or the time is over"),
            (2, "a mistake in the arguments"),
            (130, "interrupted; the queue is worked off nevertheless"),
        ),
    )
    execution = parser.add_argument_group("Execution")
    execution.add_argument(
        "--timeout", type=_seconds, metavar="SECONDS", help="wait so long at most (default: no limit)"
    )
    execution.add_argument("--cancel", action="store_true", help="stop all jobs that are not done")
    add_general(parser)
    return parser


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""

    def run() -> int:
        options = build_parser().parse_args(argv)
        return _finish(options, Messages(PROG, options.verbosity))

    return run_main(PROG, run, label="ERROR")


def _finish(options: argparse.Namespace, messages: Messages) -> int:
    queue = records.queue_path()
    there = os.path.exists(queue)
    if options.cancel and (not there or _remove_unattended(queue)):
        messages.message(0, f"{queue}: {'removed; nobody worked on it' if there else 'there is nothing to cancel'}")
        return OK
    answer = f"{queue}.answer-{os.getpid()}-{os.urandom(4).hex()}"
    command = records.CANCEL if options.cancel else records.EOF
    try:
        with open(answer + records.WANTED, "xb"):
            pass
        records.append(queue, records.encode({"queue_command": command, "answer": answer}))
        return _wait(queue, answer, options.timeout, messages) if there else OK
    finally:
        for path in (answer + records.WANTED, answer):
            _unlink(path)


def _remove_unattended(queue: str) -> bool:
    """Delete the queue if no server works on it; False if one does."""
    from seamless.cli.queueing.journal import acquire

    journal = acquire(records.journal_path(queue))
    if journal is None:
        return False
    try:
        _unlink(queue)
        journal.remove()
    finally:
        journal.close()
    return True


def _wait(queue: str, answer: str, timeout: float | None, messages: Messages) -> int:
    """Wait until the queue is finished; return the exit status."""
    from seamless.cli.queueing.journal import living_server

    deadline = None if timeout is None else time.monotonic() + timeout
    if living_server(records.journal_path(queue)) is None:
        messages.message(0, f"no seamless-queue works on {queue}: start one in its directory; waiting for that")
    while not os.path.exists(answer):
        if not os.path.exists(queue) and not os.path.exists(answer):
            return OK  # a server that gives no answers has finished
        if deadline is not None and time.monotonic() >= deadline:
            raise SeamlessError(f"the queue is not finished after {timeout:g} s; it is worked off nevertheless")
        time.sleep(_POLL)
    with open(answer, "rb") as f:
        counts = json.load(f)
    return _report(counts, messages)


def _report(counts: dict[str, Any], messages: Messages) -> int:
    bad = counts["total"] - counts["done"] + counts["bad_records"]
    if not bad:
        messages.message(1, f"all {counts['total']} jobs are done")
        return OK
    messages.error(
        f"{counts['done']} of {counts['total']} jobs are done, {counts['failed']} failed, {counts['blocked']} not run "
        f"because of that, {counts['stopped']} stopped; seamless-queue has said which"
    )
    return FAILURE


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


if __name__ == "__main__":
    sys.exit(main())
