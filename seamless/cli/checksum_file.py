"""The command `seamless-checksum-file`: write the sidecar `FILE.CHECKSUM` beside each file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

from seamless.cli.checksum import (
    EXIT_CODES,
    add_options,
    check_all,
    for_each,
    hash_path,
    print_json,
    progress_bar,
    read_sidecar,
    sidecar_stem,
)
from seamless.cli.common import Progress, make_parser, run_main
from seamless.errors import UsageError

PROG = "seamless-checksum-file"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = make_parser(
        PROG,
        "Write the checksum of each FILE to FILE.CHECKSUM. A suffix .zst or .gz is left\n"
        "out (x.gz: x.CHECKSUM, the checksum of the decompressed bytes); so is .INDEX.",
        usage="%(prog)s [options] FILE...",
        examples=(
            "seamless-checksum-file reads.fastq.gz    # writes reads.fastq.CHECKSUM",
            "seamless-checksum-file --check reads.fastq.gz",
        ),
        exit_codes=EXIT_CODES,
    )
    check = "write nothing; compare each FILE with its sidecar"
    add_options(parser, "FILE", paths="file to read", check=check, json="path, checksum, sidecar")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_main(PROG, partial(_run, argv))


def _run(argv: Sequence[str] | None) -> int:
    options = build_parser().parse_args(argv)
    with progress_bar(PROG, options.paths, quiet=options.verbosity < 0) as bar:
        if options.check:
            return check_all(options, partial(_check, bar=bar))

        written_for: dict[str, tuple[str, str]] = {}

        def write(path: str) -> tuple[str, str]:
            sidecar = sidecar_stem(path) + ".CHECKSUM"
            checksum = hash_path(path, bar)
            other, before = written_for.setdefault(sidecar, (path, checksum))
            if checksum != before:
                raise UsageError(f"{path!r} and {other!r} differ, but both have the sidecar {sidecar!r}; rename one")
            write_sidecar(sidecar, checksum.encode() + b"\n")
            return checksum, sidecar

        def report(path: str, written: tuple[str, str]) -> None:
            bar.clear()
            if options.json:
                print_json(path=path, checksum=written[0], sidecar=written[1])

        return for_each(options.paths, write, report)


def _check(path: str, *, bar: Progress) -> tuple[str, str]:
    expected = read_sidecar(sidecar_stem(path) + ".CHECKSUM")
    return hash_path(path, bar), expected


def write_sidecar(path: str, data: bytes) -> None:
    """Write a sidecar as a whole or not at all. Raises OSError that names it."""
    from seamless.util.files import write_atomically

    try:
        write_atomically(path, data)
    except OSError as exc:  # it may name the temporary file
        raise type(exc)(exc.errno, f"cannot be written: {exc.strerror}", path) from exc


if __name__ == "__main__":
    raise SystemExit(main())
