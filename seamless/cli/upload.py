"""The command `seamless-upload`: store files and directories, and write their sidecars.

Parses and calls; what happens then is in `seamless.cli.transfer`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from seamless.cli.common import Messages, add_general, make_parser, run_main
from seamless.cli.transfer.options import (
    add_confirmation,
    add_policies,
    add_storage,
    check_storage,
    names_with_options_first,
    storage_of,
)
from seamless.errors import UsageError

PROG = "seamless-upload"
_NAMES = "FILE|DIR"

_EXAMPLES = (
    "seamless-upload genome.fa reads/    # writes genome.fa.CHECKSUM, ...",
    "seamless-upload -m reads/           # ... and deletes reads/ when it is stored",
    "seamless-upload --destination /data/buffers --hardlink reads/",
)
_EXIT_CODES = (
    (0, "done: everything is stored, and has its sidecars"),
    (1, "a file is missing, unreadable or was not stored; the others are"),
    (2, "a mistake in the arguments; nothing was stored"),
    (130, "interrupted: what was stored stays, and is not stored again"),
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = make_parser(
        PROG,
        "Store files and directories, and write NAME.CHECKSUM beside each; for a\n"
        "directory also NAME.INDEX. Then these are enough: seamless-run takes them for\n"
        "the files, and seamless-download brings the files back. What is stored already\n"
        "is not stored again. A file .zst or .gz is known by its decompressed bytes.",
        usage="%(prog)s [options] FILE|DIR...",
        examples=_EXAMPLES,
        exit_codes=_EXIT_CODES,
    )
    inputs = parser.add_argument_group("Inputs")
    inputs.add_argument(
        "paths",
        metavar=_NAMES,
        nargs=argparse.REMAINDER,
        help="what to store; names ending in .CHECKSUM are passed over",
    )
    inputs.add_argument(
        "-m",
        "-mv",
        "--move",
        dest="move",
        action="store_true",
        help="delete the originals after the store has been verified to have them",
    )
    outputs = parser.add_argument_group("Outputs")
    add_confirmation(
        outputs,
        yes="store any amount (the default on this machine; else: ask above 400 files or 100 MB; environment: "
        "SEAMLESS_MAX_UPLOAD_FILES, SEAMLESS_MAX_UPLOAD_SIZE)",
        no="refuse above these limits",
        json="print one JSON object about the upload",
    )
    _add_storage(parser)
    add_general(parser)
    return parser


def _add_storage(parser: argparse.ArgumentParser) -> None:
    group = add_storage(
        parser,
        destination="store in this buffer directory instead",
        copy="copy the files into the store (default)",
        hard="link them into a store on the same file system; they become read-only, and must never be changed",
        symbolic="store symbolic links; the files must never be moved, deleted or changed",
        incremental="with --hardlink: do not read a file that the store shares with its sidecar",
    )
    add_policies(
        group,
        skip="trust what is stored already (default)",
        verify="verify what is stored already; damaged buffers are an error",
        repair="verify what is stored already; damaged buffers are stored again",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""

    def run() -> int:
        options, names = names_with_options_first(build_parser(), list(sys.argv[1:] if argv is None else argv), _NAMES)
        check_storage(options)
        if options.move and options.mode == "symlink":
            raise UsageError("--move and --symlink cannot be used together: the links would lead nowhere")
        from seamless.cli.transfer.uploading import Upload

        storage = storage_of(options, writable=True)
        try:
            return Upload(options, names, storage, Messages(PROG, options.verbosity)).run()
        finally:
            storage.close()

    return run_main(PROG, run, label="ERROR")


if __name__ == "__main__":
    sys.exit(main())
