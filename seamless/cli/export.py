"""The command `seamless-export`: results with all that belongs to them, as one file."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from seamless.cli.common import OK, Messages, add_general, format_size, make_parser, run_main, write_stdout
from seamless.cli.insight.places import origins_in
from seamless.cli.resolve import checksum_from
from seamless.cli.storage import open_storage
from seamless.cli.transfer.options import add_scope

PROG = "seamless-export"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = make_parser(
        PROG,
        "Write results with all that belongs to them into one file: the steps that gave\n"
        "them, their inputs and records, and the steps that gave these. seamless-import\n"
        "puts it into another store, where the steps are cached then.",
        usage="%(prog)s [options] -o FILE.tar.zst WHAT...",
        examples=(
            "seamless-export -o figure.tar.zst figure.png.CHECKSUM",
            "seamless-export --shallow -o step.tar.zst $(cat transformation.CHECKSUM)",
        ),
        exit_codes=((0, "done"), (1, "it failed; there is no file"), (2, "a mistake in the arguments")),
    )
    inputs = parser.add_argument_group("What is exported")
    inputs.add_argument(
        "what",
        nargs="+",
        metavar="WHAT",
        help="the checksum of a result, a transformation or a buffer, or a file with it",
    )
    inputs.add_argument("--shallow", action="store_true", help="not the steps that gave the inputs")
    outputs = parser.add_argument_group("Outputs")
    outputs.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="the archive: NAME.tar.zst, NAME.tar.gz or NAME.tar"
    )
    outputs.add_argument("--json", action="store_true", help="print one JSON object about it")
    add_scope(parser)
    add_general(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_main(PROG, lambda: _run(build_parser().parse_args(argv)), label="ERROR")


def _run(options: argparse.Namespace) -> int:
    from seamless.insight.archive import write_archive
    from seamless.insight.closure import closure

    messages = Messages(PROG, options.verbosity)
    roots = [checksum_from(word) for word in options.what]
    storage = open_storage(project=options.project, stage=options.stage, local=True)
    try:
        with messages.progress("gathering", unit="buffers") as progress, origins_in(options, storage) as origins:
            found = closure(
                roots,
                storage.buffers,
                storage.results,
                history=not options.shallow,
                origins=origins,
                notify=progress.update,
            )
        size = sum(found.buffers.values())
        with messages.progress("writing", size) as progress:
            write_archive(found, storage.buffers, options.output, progress.update)
    finally:
        storage.close()
    if found.missing:
        messages.warning(
            f"{len(found.missing)} buffers that belong to it are not stored (scratch, or removed), and not in the "
            f"archive; the first is {found.missing[0]}"
        )
    if options.json:
        row = {"steps": len(found.steps), "buffers": len(found.buffers), "bytes": size, "missing": found.missing}
        write_stdout((json.dumps({"archive": options.output, "roots": found.roots, **row}) + "\n").encode())
    else:
        text = f"{len(found.steps)} steps, {len(found.buffers)} buffers, {format_size(size)} in {options.output}"
        messages.message(0, text)
    return OK


if __name__ == "__main__":
    sys.exit(main())
