"""The command `seamless-jobserver`: execute transformations for clients over HTTP."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from seamless.cli.common import run_main
from seamless.errors import UsageError

if TYPE_CHECKING:
    from seamless.services.common import Service

PROG = "seamless-jobserver"

_PORT = 5533
_QUEUE = 10_000
_MAX_BODY = 64 << 20  # bytes


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    from seamless.cli.servers import add_common, add_max_body, make_server_parser

    parser = make_server_parser(
        PROG,
        "Execute transformations for clients, each in a worker process, until a signal or the\n"
        "idle timeout ends it. Whoever has its token can run code as you.\n"
        "The stores are those that the launcher names in the status file; without one those of\n"
        "SEAMLESS_CACHE or SEAMLESS_REMOTE_CLIENTS.",
        usage="%(prog)s [options]",
        examples=(
            "SEAMLESS_CACHE=~/cache seamless-jobserver --workers 4 --port 5533",
            'curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:5533/queue',
        ),
    )
    execution = parser.add_argument_group("Execution")
    execution.add_argument(
        "--workers", type=int, default=1, metavar="N", help="transformations at once (default: %(default)s)"
    )
    execution.add_argument(
        "--max-queue",
        type=int,
        default=_QUEUE,
        metavar="N",
        help="most transformations that wait for a worker; clients that want more are asked to come back "
        "(default: %(default)s)",
    )
    add_max_body(execution, "largest request, for example 200M (default: 64M)", default=_MAX_BODY)
    add_common(parser, port=_PORT)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the server; return the exit status."""
    return run_main(PROG, partial(_run, argv))


def _run(argv: Sequence[str] | None) -> int:
    from seamless.services.common import parse_server_options, serve

    options = parse_server_options(build_parser(), argv)
    if options.port is None and options.port_range is None:
        options.port = _PORT
    return serve(partial(_service, options), options, name=PROG, welcome="Seamless jobserver is running")


def _service(options: argparse.Namespace) -> Service:
    from seamless.services.common.status import StatusFile
    from seamless.services.jobserver.execution import read_parameters
    from seamless.services.jobserver.service import JobserverService

    if options.workers < 1:
        raise UsageError(f"--workers {options.workers}: at least one worker is needed")
    if options.max_queue < 0:
        raise UsageError(f"--max-queue {options.max_queue}: expected a number that is not negative")
    fields = StatusFile(options.status_file).read() if options.status_file else {}
    return JobserverService(
        workers=options.workers,
        queue=options.max_queue,
        max_body=options.max_body,
        parameters=read_parameters(fields),
    )


if __name__ == "__main__":
    raise SystemExit(main())
