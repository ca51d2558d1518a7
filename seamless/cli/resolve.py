"""The command `seamless-resolve`: the bytes behind a checksum; and what `seamless-fingertip` shares with it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from seamless.checksum import Checksum
from seamless.cli.common import OK, add_general, make_parser, run_main, write_stdout
from seamless.cli.storage import copy_out, open_storage
from seamless.cli.transfer.options import add_scope
from seamless.errors import SeamlessError, UsageError

if TYPE_CHECKING:
    from seamless.session import BufferStore

PROG = "seamless-resolve"

_CHUNK = 1 << 20


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    return parser_for(
        PROG,
        "Write the bytes behind a checksum to standard output, exactly as they are.",
        (
            "seamless-resolve result.CHECKSUM | head",
            "seamless-resolve -o genome.fa $(cat genome.fa.CHECKSUM)",
        ),
        "the content is not stored",
    )


def parser_for(prog: str, summary: str, examples: Sequence[str], failure: str) -> argparse.ArgumentParser:
    """Return the parser of a command that writes the bytes behind a checksum."""
    parser = make_parser(
        prog,
        summary,
        usage="%(prog)s [options] CHECKSUM|FILE",
        examples=examples,
        exit_codes=(
            (0, "done: all bytes are written"),
            (1, failure),
            (2, "a mistake in the arguments"),
            (130, "interrupted"),
        ),
    )
    inputs = parser.add_argument_group("Inputs")
    inputs.add_argument("what", metavar="CHECKSUM|FILE", help="64 hexadecimal digits, or a file that holds them")
    outputs = parser.add_argument_group("Outputs")
    outputs.add_argument("-o", "--output", metavar="FILE", help="write to FILE (default: standard output)")
    add_scope(parser)
    add_general(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""

    def run() -> int:
        options = build_parser().parse_args(argv)
        checksum = checksum_from(options.what)
        storage = open_storage(project=options.project, stage=options.stage, local=True)
        try:
            if not deliver(storage.buffers, checksum, options.output):
                raise SeamlessError(f"Cannot resolve {checksum}: not in {storage.where}")
            return OK
        finally:
            storage.close()

    return run_main(PROG, run, label="ERROR")


def checksum_from(text: str) -> Checksum:
    """Return the checksum that an argument is, or that the file of this name (or its sidecar) holds.

    Raises UsageError if it is none, OSError.
    """
    if len(text) == 64:
        try:
            return Checksum(text)
        except ValueError:
            pass
    path = text
    if not os.path.exists(text):
        path = text + ".CHECKSUM"
        if not os.path.exists(path):
            raise UsageError(f"{text!r} is neither a checksum (64 hexadecimal digits) nor a file that holds one")
    from seamless.cli.checksum import read_sidecar

    try:
        return Checksum(read_sidecar(path))
    except (UsageError, IsADirectoryError) as exc:
        hint = f" (did you mean {text + '.CHECKSUM'!r}?)" if os.path.isfile(text + ".CHECKSUM") else ""
        raise UsageError(f"{path!r} does not hold a checksum: 64 hexadecimal digits are expected{hint}") from exc


def deliver(store: BufferStore, checksum: Checksum, output: str | None) -> bool:
    """Write the bytes to the file `output`, or to standard output; False if the store does not have them.

    Raises BufferCorruptionError, StoreError, OSError.
    """
    if output is not None:
        if copy_out(store, checksum, output):
            return True
    else:
        stream = store.open(checksum)
        if stream is not None:
            with stream:
                while chunk := stream.read(_CHUNK):
                    write_stdout(chunk)
            return True
    from seamless.checksum.calculate_checksum import TRIVIAL_CHECKSUMS

    trivial = TRIVIAL_CHECKSUMS.get(checksum.hex())
    if trivial is None:
        return False
    deliver_bytes(trivial, output)
    return True


def deliver_bytes(data: bytes, output: str | None) -> None:
    """Write bytes to the file `output`, or to standard output. Raises OSError."""
    if output is None:
        write_stdout(data)
        return
    from seamless.util.files import write_atomically

    write_atomically(output, data, follow=True)


if __name__ == "__main__":
    sys.exit(main())
