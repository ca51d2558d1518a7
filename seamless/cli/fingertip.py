"""The command `seamless-fingertip`: the bytes behind a checksum, computed again if they are not stored."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from seamless.cli.common import OK, Messages, run_main
from seamless.cli.resolve import checksum_from, deliver, deliver_bytes, parser_for
from seamless.cli.storage import open_storage
from seamless.errors import BufferCorruptionError, CacheMissError, SeamlessError

if TYPE_CHECKING:
    from seamless.checksum import Checksum
    from seamless.cli.storage import Storage

PROG = "seamless-fingertip"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    return parser_for(
        PROG,
        "Write the bytes behind a checksum to standard output. If they are not stored,\n"
        "run a step again that is known to have given them (and do not store them).",
        (
            "seamless-fingertip sorted.txt.CHECKSUM > sorted.txt",
            "seamless-fingertip -o sorted.txt $(cat sorted.txt.CHECKSUM)",
        ),
        "the content is not stored, and no known step gives it",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""

    def run() -> int:
        options = build_parser().parse_args(argv)
        messages = Messages(PROG, options.verbosity)
        checksum = checksum_from(options.what)
        storage = open_storage(project=options.project, stage=options.stage, local=True)
        try:
            try:
                if deliver(storage.buffers, checksum, options.output):
                    return OK
                messages.message(1, f"{checksum} is not in {storage.where}; it is computed again")
            except BufferCorruptionError as exc:
                messages.message(0, f"{exc}; it is computed again")
            deliver_bytes(recomputed(checksum, storage), options.output)
            return OK
        finally:
            storage.close()

    status = run_main(PROG, run, label="ERROR")
    shutdown = sys.modules.get("seamless.shutdown")
    if shutdown is not None:
        shutdown.close()
    return status


def recomputed(checksum: Checksum, storage: Storage) -> bytes:
    """Return the bytes of a result by running a step again, here. Raises SeamlessError if none gives them."""
    from seamless.transformer.recompute import recompute

    try:
        with _prints_to_stderr():
            content: bytes = recompute(checksum).content
    except CacheMissError as exc:
        reason = f"the last attempt: {exc.__cause__}" if exc.__cause__ is not None else "no known step has given it"
        raise SeamlessError(f"Cannot fingertip {checksum}: not in {storage.where}, and {reason}") from exc
    return content


@contextmanager
def _prints_to_stderr() -> Iterator[None]:
    """Have what a step prints go to standard error: standard output is for the bytes."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
        sys.stdout.flush()
    finally:
        os.dup2(saved, 1)
        os.close(saved)


if __name__ == "__main__":
    sys.exit(main())
