"""The command `seamless-download`: bring files and directories back from the store, by their sidecars or checksums.

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
    storage_of,
)
from seamless.errors import UsageError

PROG = "seamless-download"

_EXAMPLES = (
    "seamless-download genome.fa reads   # by genome.fa.CHECKSUM and reads.INDEX",
    "seamless-download -o copy reads     # writes copy/, copy.INDEX, copy.CHECKSUM",
    "seamless-download --stdout $(cat genome.fa.CHECKSUM)",
)
_EXIT_CODES = (
    (0, "done: everything is here, or was skipped because of -n"),
    (1, "something could not be had or written; everything else is here"),
    (2, "a mistake in the arguments; nothing was written"),
    (130, "interrupted: complete files stay, and are not fetched again"),
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = make_parser(
        PROG,
        "Bring back files and directories that seamless-upload or seamless-run stored.\n"
        "NAME is a directory if NAME.INDEX exists, else a file, known by NAME.CHECKSUM.\n"
        "A checksum by itself is written to a file called like it. Files that are here\n"
        "already with the right content are left alone.",
        usage="%(prog)s [options] FILE|DIR|CHECKSUM...",
        examples=_EXAMPLES,
        exit_codes=_EXIT_CODES,
    )
    inputs = parser.add_argument_group("Inputs")
    inputs.add_argument(
        "paths",
        metavar="FILE|DIR|CHECKSUM",
        nargs="+",
        help="a name, its .CHECKSUM or .INDEX file, or 64 hexadecimal digits",
    )
    inputs.add_argument("--directory", action="store_true", help="checksums are those of an index: of directories")
    _add_outputs(parser)
    _add_storage(parser)
    add_general(parser)
    return parser


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("Outputs")
    add = group.add_argument
    add(
        "-o",
        "--output",
        dest="outputs",
        action="append",
        default=[],
        metavar="PATH",
        help="where the first argument goes; once more for the second, and so on",
    )
    add("--stdout", action="store_true", help="write the content of one file to standard output")
    add("--index", action="store_true", help="of directories, write a .CHECKSUM file for each member only")
    add(
        "--compression",
        choices=("zst", "gz"),
        help="write compressed files, with this suffix (so do names that end in .zst or .gz by themselves)",
    )
    add_policies(
        group,
        skip="trust every file that is here already",
        verify="a file that is here with other content is an error (default)",
        repair="a file that is here with other content is replaced",
    )
    add(
        "--dest-rm",
        action="store_true",
        help="delete files in a directory that its index does not have (else: an error)",
    )
    add_confirmation(
        group,
        yes="write any amount (default: ask above 2000 files or 500 MB a target; environment: "
        "SEAMLESS_MAX_DOWNLOAD_FILES, SEAMLESS_MAX_DOWNLOAD_SIZE)",
        no="skip targets above these limits",
        json="print one JSON object about the download",
    )


def _add_storage(parser: argparse.ArgumentParser) -> None:
    add_storage(
        parser,
        destination="read from this buffer directory instead",
        copy="write private copies (default)",
        hard="write hard links to the buffers; they are read-only, and must never be changed",
        symbolic="write symbolic links to the buffers",
        incremental="with --hardlink: do not read a file that is a link already",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""

    def run() -> int:
        options = build_parser().parse_args(argv)
        _check(options)
        from seamless.cli.transfer.downloading import Download

        storage = storage_of(options, writable=False)
        try:
            return Download(options, storage, Messages(PROG, options.verbosity)).run()
        finally:
            storage.close()

    return run_main(PROG, run, label="ERROR")


def _check(options: argparse.Namespace) -> None:
    """Raise UsageError for options that contradict or lack each other."""
    check_storage(options)
    if len(options.outputs) > len(options.paths):
        raise UsageError(f"-o is given {len(options.outputs)} times for {len(options.paths)} arguments")
    if options.stdout:
        if len(options.paths) > 1:
            raise UsageError("--stdout takes one file, not several")
        for name, given in (("-o", options.outputs), ("--index", options.index), ("--json", options.json)):
            if given:
                raise UsageError(f"--stdout and {name} cannot be used together")
        if options.directory:
            raise UsageError("--stdout and --directory cannot be used together: a directory is many files")
    if options.compression and options.mode == "symlink":
        raise UsageError("--compression and --symlink cannot be used together")


if __name__ == "__main__":
    sys.exit(main())
