"""The command `seamless-import`: what `seamless-export` has written, verified, into the store."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from seamless.cli.common import FAILURE, OK, Messages, add_general, format_size, make_parser, run_main, write_stdout
from seamless.cli.storage import open_storage, take_in
from seamless.cli.transfer.options import add_scope

PROG = "seamless-import"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = make_parser(
        PROG,
        "Put the results of archives of seamless-export into the store. Every buffer is\n"
        "hashed; results become known after all buffers are there. A result that is known\n"
        "already is never replaced.",
        usage="%(prog)s [options] FILE...",
        examples=("seamless-import figure.tar.zst", "seamless-import --project thesis --json figure.tar.zst"),
        exit_codes=(
            (0, "done"),
            (1, "an archive is damaged, or a result contradicts one that is known"),
            (2, "a mistake in the arguments"),
        ),
    )
    inputs = parser.add_argument_group("What is imported")
    inputs.add_argument("archives", nargs="+", metavar="FILE", help="an archive that seamless-export has written")
    outputs = parser.add_argument_group("Outputs")
    outputs.add_argument("--json", action="store_true", help="print one JSON object an archive")
    add_scope(parser)
    add_general(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_main(PROG, lambda: _run(build_parser().parse_args(argv)), label="ERROR")


def _run(options: argparse.Namespace) -> int:
    messages = Messages(PROG, options.verbosity)
    for path in options.archives:
        os.stat(path)  # before a store is opened, and maybe made
    storage = open_storage(project=options.project, stage=options.stage, local=True)
    from seamless.insight.archive import read_archive

    status = OK
    try:
        for path in options.archives:
            with messages.progress("reading") as progress:
                done = read_archive(path, storage.buffers, storage.results, take_in, progress.update)
            if options.json:
                write_stdout((json.dumps({"archive": path, **done.as_dict()}) + "\n").encode())
            else:
                messages.message(
                    0,
                    f"{path}: {done.new_steps} new steps and {done.new_buffers} new buffers; {done.known_steps} and "
                    f"{done.known_buffers} were there; {format_size(done.bytes)} verified",
                )
            for step, kept, refused in done.conflicts:
                messages.error(
                    f"{path}: {step} has the result {kept} here, which stays; that of the archive is {refused}"
                )
                status = FAILURE
    finally:
        storage.close()
    return status


if __name__ == "__main__":
    sys.exit(main())
