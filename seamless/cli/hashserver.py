"""The command `hashserver`: serve a directory of buffers over HTTP."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

from seamless.cli.common import run_main
from seamless.cli.servers import add_common, add_max_body, add_place, make_server_parser
from seamless.services.common import Service, parse_server_options, serve, size
from seamless.services.hashserver.settings import (
    ALGORITHMS,
    DURABILITIES,
    LAYOUTS,
    LOCK_TIMEOUT,
    MAX_BATCH,
    MAX_RATIO,
    from_options,
)

PROG = "hashserver"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = make_server_parser(
        PROG,
        "Serve a directory of buffers by their checksum over HTTP.\nThe API is described at /docs and /openapi.json.",
        usage="%(prog)s DIRECTORY [options]",
        examples=(
            "hashserver ~/buffers --writable --port 5577",
            "hashserver /shared/buffers --extra-dirs '/old/a;/old/b'",
        ),
    )
    _add_storage(parser)
    _add_limits(parser)
    add_common(parser)
    return parser


def _add_storage(parser: argparse.ArgumentParser) -> None:
    storage = add_place(
        parser,
        "directory",
        metavar="DIRECTORY",
        place="directory of the buffers; it must exist",
        writable="let clients store buffers",
    )
    storage.add_argument(
        "--extra-dirs",
        metavar="'D1;D2'",
        help="directories in which buffers are also looked for, never written "
        "(environment: HASHSERVER_EXTRA_DIRS; default: none)",
    )
    storage.add_argument(
        "--layout",
        choices=LAYOUTS,
        help="whether buffers are in subdirectories named by their first two digits "
        "(default: prefix, unless DIRECTORY holds buffers in the flat layout)",
    )
    storage.add_argument(
        "--hash-algorithm",
        choices=tuple(ALGORITHMS),
        default="sha-256",
        help="of the checksums; Seamless uses %(default)s (default: %(default)s)",
    )
    storage.add_argument(
        "--lock-timeout",
        type=float,
        default=LOCK_TIMEOUT,
        metavar="SECONDS",
        help="age from which lock files of other writers are ignored (default: %(default)g)",
    )
    storage.add_argument(
        "--durability",
        choices=DURABILITIES,
        default="file",
        help="answer uploads when the buffer is written (none), on the disk (file), "
        "or on the disk also if it was there before (full) (default: %(default)s)",
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    limits = parser.add_argument_group("Limits")
    add_max_body(limits, "largest buffer to accept (default: no limit)")
    limits.add_argument(
        "--quota",
        type=size,
        metavar="SIZE",
        help="refuse new buffers when those in DIRECTORY take so much (default: no limit)",
    )
    limits.add_argument(
        "--max-ratio",
        type=float,
        default=MAX_RATIO,
        metavar="N",
        help="most bytes that a byte of a compressed upload may become, if it becomes more than 1 GiB in all "
        "(default: %(default)g)",
    )
    limits.add_argument(
        "--max-batch",
        type=int,
        default=MAX_BATCH,
        metavar="N",
        help="most checksums in one request (default: %(default)s)",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_main(PROG, partial(_run, argv))


def _run(argv: Sequence[str] | None) -> int:
    options = parse_server_options(build_parser(), argv)

    def make_service() -> Service:
        from seamless.services.hashserver.service import HashserverService

        return HashserverService(from_options(options))

    if not options.writable:
        return serve(make_service, options, name=PROG, welcome="OK")
    from seamless.insight.enforcement import Keeper

    with Keeper(options.directory):
        return serve(make_service, options, name=PROG, welcome="OK")


if __name__ == "__main__":
    raise SystemExit(main())
