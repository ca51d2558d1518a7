"""The commands `seamless-database`, which serves a database file, and `seamless-database-check`, which examines one."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from seamless.cli.common import Messages, add_general, make_parser, run_main
from seamless.errors import StoreError, UsageError

if TYPE_CHECKING:
    from seamless.services.common import Service
    from seamless.services.database.check import Finding

PROG = "seamless-database"
PROG_CHECK = "seamless-database-check"

_MAX_BODY = 64 << 20  # bytes


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `seamless-database`."""
    from seamless.cli.servers import add_common, add_max_body, add_place, make_server_parser

    parser = make_server_parser(
        PROG,
        "Serve a database of results (seamless.db) over HTTP, until a signal or the idle\n"
        "timeout ends it. Without --writable it can only be read.",
        usage="%(prog)s [options] DATABASE_FILE",
        examples=(
            "seamless-database --writable --port 5522 cache/seamless.db",
            'curl -X GET -d \'{"type": "protocol"}\' http://127.0.0.1:5522/',
        ),
    )
    storage = add_place(
        parser,
        "file",
        metavar="DATABASE_FILE",
        place="SQLite file; its directory must exist",
        writable="accept writes; the file is created if it does not exist",
    )
    storage.add_argument(
        "--strict",
        action="store_true",
        help="refuse (409) a second, different result of a transformation; without it the first one is kept, "
        "the second one noted, and the answer is OK",
    )
    storage.add_argument(
        "--migrate",
        action="store_true",
        help="first convert records of an older form; needs --writable",
    )
    text = "largest request, for example 2GB (default: 64M); it is held in memory several times over"
    add_max_body(storage, text, default=_MAX_BODY)
    add_common(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Serve a database; return the exit status."""
    return run_main(PROG, partial(_run, argv))


def _run(argv: Sequence[str] | None) -> int:
    from seamless.services.common import parse_server_options, serve

    options = parse_server_options(build_parser(), argv)
    return serve(partial(_service, options), options, name=PROG)


def _service(options: argparse.Namespace) -> Service:
    from seamless.services.database.service import DatabaseService

    if options.migrate and not options.writable:
        raise UsageError("--migrate changes the file: give --writable, too")
    if options.writable and not os.path.isdir(directory := os.path.dirname(os.path.abspath(options.file))):
        raise StoreError(f"there is no directory {directory} for the database")
    if options.migrate and os.path.exists(options.file):
        _migrate(options)
    return DatabaseService(options.file, writable=options.writable, strict=options.strict, max_body=options.max_body)


def _migrate(options: argparse.Namespace) -> None:
    from seamless.services.database.migrate import LEFT, migrate

    done = migrate(options.file)
    messages = Messages(PROG, options.verbosity)
    if done is None:
        messages.message(0, f"{options.file}: the records have the present form already")
        return
    messages.message(0, f"{options.file}: records converted: {done.converted}")
    if done.left:
        messages.warning(f"{options.file}: {done.left} records name no result; they are left in the table {LEFT}")


# --- seamless-database-check ----------------------------------------------------------------------


def build_check_parser() -> argparse.ArgumentParser:
    """Return the parser of `seamless-database-check`."""
    parser = make_parser(
        PROG_CHECK,
        "Examine a database of results: damage, contradictions, orphans, duplicates.\n"
        "Nothing is changed. A server may go on using the file.",
        usage="%(prog)s [options] DATABASE_FILE",
        examples=(
            "seamless-database-check cache/seamless.db",
            "seamless-database-check --json cache/seamless.db | jq .kind",
        ),
        exit_codes=(
            (0, "nothing wrong, or only warnings: untidiness that harms nobody"),
            (1, "errors were found, or the file cannot be read"),
            (2, "a mistake in the command line"),
        ),
    )
    inputs = parser.add_argument_group("Inputs")
    inputs.add_argument("file", metavar="DATABASE_FILE", help="the file to examine")
    outputs = parser.add_argument_group("Outputs")
    outputs.add_argument(
        "--json",
        action="store_true",
        help="one JSON object a line: level (error, warning), kind, table, count, text, examples",
    )
    add_general(parser, verbose=False)
    return parser


def check_main(argv: Sequence[str] | None = None) -> int:
    """Examine a database; return the exit status."""
    return run_main(PROG_CHECK, partial(_run_check, argv))


def _run_check(argv: Sequence[str] | None) -> int:
    from seamless.services.database.check import ERROR, check

    options = build_check_parser().parse_args(argv)
    worst = "ok"
    with Messages(PROG_CHECK, options.verbosity).progress(PROG_CHECK, unit="steps") as progress:
        for finding in check(options.file, step=partial(progress.update, 1)):
            progress.clear()
            _show(finding, as_json=options.json)
            worst = ERROR if ERROR in (worst, finding.level) else finding.level
    if worst == "ok" and not options.json:
        print(f"{options.file}: ok")
    return 1 if worst == ERROR else 0


def _show(finding: Finding, *, as_json: bool) -> None:
    if as_json:
        import json

        print(json.dumps(vars(finding)))
        return
    where = f"{finding.table}: " if finding.table else ""
    print(f"{finding.level}: {where}{finding.text}: {finding.count} ({finding.kind})")
    for example in finding.examples:
        print(f"    {example}")


if __name__ == "__main__":
    raise SystemExit(main())
