"""The command `seamless-queue`: execute what `seamless-run --qsubmit` has put into the queue file."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from seamless.cli.common import FAILURE, OK, add_general, make_parser, run_main, write_stdout
from seamless.cli.transfer.options import add_scope
from seamless.errors import UsageError

if TYPE_CHECKING:
    from seamless.cli.queueing.display import Display
    from seamless.cli.queueing.journal import Journal
    from seamless.cli.queueing.server import Server
    from seamless.cli.storage import Storage

PROG = "seamless-queue"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = make_parser(
        PROG,
        "Execute the commands that `seamless-run --qsubmit` puts into the queue file, many at\n"
        "once, each as soon as the files are made that it needs. Goes on until\n"
        "seamless-queue-finish; the file is then deleted. After an interruption or a crash,\n"
        "start it again: it goes on where it was.",
        usage="%(prog)s [options]",
        examples=(
            "seamless-queue --workers 8 &",
            "seamless-run --qsubmit 'sort a.txt > b.txt'",
            "seamless-run --qsubmit 'uniq -c b.txt > c.txt'     # waits for b.txt",
            "seamless-queue-finish",
        ),
        exit_codes=(
            (0, "every job is done"),
            (1, "a job has failed, or the queue cannot be worked on"),
            (2, "a mistake in the arguments"),
            (130, "interrupted; the queue file stays"),
        ),
    )
    execution = parser.add_argument_group("Execution")
    execution.add_argument(
        "--workers", type=_number_from(1), metavar="N", help="so many jobs at once (default: number of processors)"
    )
    execution.add_argument(
        "--retries",
        type=_number_from(0),
        default=1,
        metavar="N",
        help="run a job again, up to N times, whose process was killed by somebody else (default: %(default)s)",
    )
    modes = execution.add_mutually_exclusive_group()
    modes.add_argument("--keep-going", action="store_true", help="go on after a failure (this is the default)")
    modes.add_argument("--fail-fast", action="store_true", help="start nothing more after a failure; the file stays")
    looking = parser.add_argument_group("Looking")
    looking.add_argument("--status", action="store_true", help="print how far the queue is, and end")
    looking.add_argument("--json", action="store_true", help="with --status: one JSON object a line for each job")
    looking.add_argument(
        "--dashboard",
        nargs="?",
        const=0,
        type=_number_from(0),
        metavar="PORT",
        help="show the jobs on a web page of this machine, at an address that is printed (default port: any)",
    )
    group = add_scope(parser)
    group.description = (
        f"{group.description}\nThe queue file: $SEAMLESS_QUEUE_FILE, else .seamless-queue in the current directory."
    )
    add_general(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""

    def run() -> int:
        options = build_parser().parse_args(argv)
        if options.json and not options.status:
            raise UsageError("--json requires --status")
        return _status(options) if options.status else _serve(options)

    status = run_main(PROG, run, label="ERROR")
    shutdown = sys.modules.get("seamless.shutdown")
    if shutdown is not None:
        shutdown.close()
    return status


def _number_from(lowest: int) -> Callable[[str], int]:
    """Return the type of an option that is a number from `lowest`."""

    def number(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or int(text) < lowest:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {lowest}")
        return int(text)

    return number


# --- looking --------------------------------------------------------------------------------------


def _status(options: argparse.Namespace) -> int:
    from seamless.cli.queueing.display import counted
    from seamless.cli.queueing.records import queue_path
    from seamless.cli.queueing.status import jobs_of, server_of

    queue = queue_path()
    jobs = list(jobs_of(queue))
    if options.json:
        import json

        write_stdout("".join(json.dumps(job.as_dict()) + "\n" for job in jobs).encode())
        return OK
    server = server_of(queue)
    who = f"process {server.get('pid')} on {server.get('host')} works on it" if server else "nobody works on it"
    lines = [f"{queue}: {who}", counted(jobs)]
    if server and server.get("dashboard"):
        lines.append(f"dashboard: {server['dashboard']}")
    lines += [f"job {job.number} {job.state}: {job.title}" for job in jobs if options.verbosity >= 1 or job.error]
    write_stdout("".join(line + "\n" for line in lines).encode("utf-8", "surrogateescape"))
    return OK


# --- serving --------------------------------------------------------------------------------------


def _serve(options: argparse.Namespace) -> int:
    from seamless.cli.queueing import journal as journals
    from seamless.cli.queueing.display import Display
    from seamless.cli.queueing.records import journal_path, queue_path
    from seamless.cli.storage import open_storage

    queue = queue_path()
    display = Display(PROG, options.verbosity)
    storage = open_storage(project=options.project, stage=options.stage)
    try:
        journal = journals.acquire(journal_path(queue))
        if journal is None:
            server = journals.living_server(journal_path(queue)) or {}
            raise UsageError(
                f"process {server.get('pid', '?')} on {server.get('host', 'this machine')} works on {queue} already"
            )
        try:
            return _serve_queue(queue, journal, storage, options, display)
        finally:
            journal.close()
    finally:
        storage.close()


def _serve_queue(queue: str, journal: Journal, storage: Storage, options: argparse.Namespace, display: Display) -> int:
    from seamless.cli.queueing.records import log_directory
    from seamless.cli.queueing.server import Server, Settings

    logs = log_directory(queue)
    _clear_up(queue, journal, logs, display)
    settings = Settings(
        options.workers or os.cpu_count() or 1,
        retries=options.retries,
        fail_fast=options.fail_fast,
        scope=(options.project, options.stage),
    )
    server = Server(queue, journal, storage, settings, display)
    with ExitStack() as stack:
        _announce(stack, server, journal, logs, options, display)
        try:
            server.serve()
        except KeyboardInterrupt:
            display.summary(server.jobs.values(), logs, server.bad_records)
            display.message(0, "interrupted; start it again in the same directory to go on")
            raise
    display.summary(server.jobs.values(), logs, server.bad_records)
    if not os.path.exists(queue):
        _remove_logs(logs, server)
        journal.remove()
    return FAILURE if server.failed else OK


def _clear_up(queue: str, journal: Journal, logs: str, display: Display) -> None:
    """Deal with what a server that was killed has left."""
    from seamless.cli.queueing.journal import SERVER
    from seamless.cli.queueing.orphans import end_orphans

    servers = [event for event in journal.events() if event["event"] == SERVER]
    if servers and isinstance(servers[-1].get("marker"), str):
        orphans = end_orphans(servers[-1]["marker"])
        if orphans:
            display.message(0, f"ended {orphans} commands that a killed server had left")
    if not os.path.exists(queue):  # the file was finished, or taken away: what is known of it does not count any more
        journal.clear()
    if not os.path.exists(queue) or not servers:
        _remove_logs(logs, None)  # of an earlier queue


def _announce(
    stack: ExitStack, server: Server, journal: Journal, logs: str, options: argparse.Namespace, display: Display
) -> None:
    """Note in the journal who works on the queue, mark the commands of this process, open the dashboard."""
    from seamless.cli.queueing.journal import SERVER
    from seamless.cli.queueing.orphans import VARIABLE, new_marker

    more = {}
    if options.dashboard is not None:
        from seamless.cli.queueing.dashboard import Dashboard

        title = f"seamless-queue {server.path}"
        more["dashboard"] = stack.enter_context(Dashboard(server.jobs, logs, title, options.dashboard)).url
        display.message(0, f"dashboard: {more['dashboard']}")
    marker = new_marker()
    os.environ[VARIABLE] = marker
    journal.write(SERVER, pid=os.getpid(), host=os.uname().nodename, marker=marker, **more)


def _remove_logs(logs: str, server: Server | None) -> None:
    """Delete the logs but those of jobs that have failed."""
    from seamless.cli.queueing.job import DONE

    kept = {f"job-{job.number}.log" for job in server.jobs.values() if job.state != DONE} if server else set()
    try:
        for name in os.listdir(logs):
            if name not in kept:
                os.unlink(os.path.join(logs, name))
        os.rmdir(logs)
    except OSError:
        return  # there are none, or some are kept


if __name__ == "__main__":
    sys.exit(main())
