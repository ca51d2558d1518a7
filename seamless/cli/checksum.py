"""The command `seamless-checksum`: print the checksum of files; and what its two sisters share with it.

No stores, no configuration, no services: files in, hexadecimal digits out.
"""

from __future__ import annotations

import argparse
import os
import stat
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from seamless.checksum import Checksum
from seamless.cli.common import (
    FAILURE,
    OK,
    Progress,
    add_general,
    describe,
    is_terminal,
    make_parser,
    print_error,
    run_main,
    write_stdout,
)
from seamless.compression_utils import SUFFIXES, strip_compression_suffix
from seamless.errors import SeamlessError, UsageError
from seamless.util.directory_index import hash_file, hash_stream, index_bytes, index_members, list_directory

T = TypeVar("T")

PROG = "seamless-checksum"

EXIT_CODES = (
    (0, "done; with --check: everything matches"),
    (1, "a file is missing, unreadable or corrupt, or does not match"),
    (2, "a mistake in the arguments"),
    (130, "interrupted"),
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = make_parser(
        PROG,
        "Print the checksum of files: the SHA-256 of their bytes, decompressed if the\nname ends in .zst or .gz.",
        usage="%(prog)s [options] FILE...",
        examples=(
            "seamless-checksum genome.fa.gz           # as of genome.fa",
            "seamless-checksum --check *.CHECKSUM     # are the files still the same?",
        ),
        exit_codes=EXIT_CODES,
    )
    add_options(
        parser,
        "FILE",
        paths="file to read; - is standard input, taken as it is",
        check="compare each FILE with its sidecar instead; FILE may also be a directory or a sidecar",
        json="path, checksum",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_main(PROG, partial(_run, argv))


def _run(argv: Sequence[str] | None) -> int:
    options = build_parser().parse_args(argv)
    with progress_bar(PROG, options.paths, quiet=options.verbosity < 0) as bar:
        if options.check:
            return check_all(options, partial(_check, bar=bar))
        several = len(options.paths) > 1

        def find(path: str) -> str:
            return _hash_stdin(bar) if path == "-" else hash_path(path, bar)

        def show(path: str, checksum: str) -> None:
            bar.clear()
            if options.json:
                print_json(path=path, checksum=checksum)
            else:
                write_stdout(checksum.encode() + (b"  " + os.fsencode(path) if several else b"") + b"\n")

        return for_each(options.paths, find, show)


def _hash_stdin(bar: Progress) -> str:
    with open(0, "rb", buffering=0, closefd=False) as stdin:
        return hash_stream(stdin, progress=counter(bar))


# --- shared with seamless-checksum-file and seamless-checksum-index -------------------------------


def add_options(parser: argparse.ArgumentParser, metavar: str, *, paths: str, check: str, json: str) -> None:
    """Add the arguments, `--check`, `--json` and the general options; `json` names the keys beside those of a check."""
    parser.add_argument_group("Inputs").add_argument("paths", metavar=metavar, nargs="+", help=paths)
    outputs = parser.add_argument_group("Outputs")
    outputs.add_argument("--check", action="store_true", help=check)
    text = f"one JSON object a line: {json}; with --check: expected, ok"
    outputs.add_argument("--json", action="store_true", help=text)
    add_general(parser, verbose=False)


def for_each(paths: Sequence[str], work: Callable[[str], T], report: Callable[[str, T], None]) -> int:
    """Call `report(path, work(path))` for each path; return the exit status.

    An error of `work` is printed, and the next path follows; an error of `report` ends the command.
    """
    status = OK
    for path in paths:
        try:
            result = work(path)
        except (SeamlessError, OSError, ValueError) as exc:
            print_error(describe(exc))
            status = FAILURE
        else:
            report(path, result)
    return status


def hash_path(path: str, bar: Progress) -> str:
    """Return the checksum (hex) of the file, by canonical bytes. Raises IsADirectoryError with advice."""
    if os.path.isdir(path):
        raise IsADirectoryError(21, "is a directory; seamless-checksum-index makes the checksum of a directory", path)
    return hash_file(path, progress=counter(bar))


def counter(bar: Progress) -> Callable[[int], object] | None:
    """Return what counts the bytes read, or None where nobody looks."""
    return bar.update if bar.enabled else None


def progress_bar(prog: str, paths: Sequence[str], *, quiet: bool) -> Progress:
    """Return the progress line for hashing `paths`, with the sum of their sizes where all are plain files."""
    import sys

    if quiet or not is_terminal(sys.stderr):
        return Progress(prog, enabled=False)
    total = 0
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            continue
        if not stat.S_ISREG(status.st_mode):
            return Progress(prog)
        total += status.st_size
    return Progress(prog, total)


def print_json(**fields: object) -> None:
    """Print one object on one line; bytes of file names that are not UTF-8 appear as `\\udcXX`."""
    import json

    write_stdout(json.dumps(fields).encode() + b"\n")


def sidecar_stem(path: str) -> str:
    """Return the path without what its sidecars leave out: a compression suffix, then `.INDEX`.

    Raises UsageError if no file name is left.
    """
    stem = strip_compression_suffix(path)[0]
    stem = stem.removesuffix(".INDEX")
    if os.path.basename(stem) in ("", ".", ".."):
        raise UsageError(f"{path!r} has no name that a sidecar could be called after")
    return stem


def read_sidecar(path: str) -> str:
    """Return the checksum (hex) in a `.CHECKSUM` file: white space around it and lines with `#` do not count."""
    with open(path, "rb") as f:
        text = f.read(1 << 16).decode("utf-8", "replace")
    words = [line.strip() for line in text.splitlines() if not line.lstrip().startswith("#")]
    try:
        return Checksum("".join(word + "\n" for word in words).strip()).hex()
    except ValueError:
        raise UsageError(
            f"{path!r} does not hold a SHA-256 checksum (64 hexadecimal digits); "
            "remove it, or make it again with seamless-checksum-file or seamless-checksum-index"
        ) from None


def check_all(options: argparse.Namespace, check: Callable[[str], tuple[str, str]]) -> int:
    """Compare all paths by `check`, which returns (found, expected); print `PATH: OK` or `PATH: FAILED`."""
    failed = 0

    def report(path: str, checksums: tuple[str, str]) -> None:
        nonlocal failed
        found, expected = checksums
        failed += found != expected
        if options.json:
            print_json(path=path, checksum=found, expected=expected, ok=found == expected)
        elif found != expected:
            write_stdout(os.fsencode(path) + b": FAILED\n")
        elif options.verbosity >= 0:
            write_stdout(os.fsencode(path) + b": OK\n")

    status = for_each(options.paths, check, report)
    if failed:
        print_error(f"{failed} of {len(options.paths)} did not match the checksum in the sidecar")
    return FAILURE if failed else status


def _check(path: str, *, bar: Progress) -> tuple[str, str]:
    """Return the checksum that the file or directory behind `path` has, and the one in its sidecar."""
    target = _target(path.removesuffix(".CHECKSUM")) if path.endswith(".CHECKSUM") else path
    if os.path.isdir(target):
        return check_directory(target, bar)
    return hash_path(target, bar), read_sidecar(sidecar_stem(target) + ".CHECKSUM")


def check_directory(directory: str, bar: Progress) -> tuple[str, str]:
    """Return the checksum that the index of a directory has now, and the one in its sidecar."""
    expected = read_sidecar(directory_stem(directory) + ".CHECKSUM")
    return Checksum.of(index_bytes(index_with_progress(directory, bar))).hex(), expected


def index_with_progress(directory: str, bar: Progress) -> dict[str, str]:
    """Return the index of a directory, while `bar` counts the bytes."""
    members = list_directory(directory)
    bar.total = (bar.total or 0) + sum(member.size for member in members)
    return index_members(members, hash_file=partial(hash_file, progress=counter(bar)))


def directory_stem(directory: str) -> str:
    """Return the path that the sidecars of a directory begin with: beside it, never inside.

    A name such as `.` or `a/..` is replaced by the real one. Raises UsageError for the root directory.
    """
    stem = directory.rstrip("/")
    if os.path.basename(stem) in ("", ".", ".."):
        stem = os.path.realpath(directory)
        if os.path.basename(stem) == "":
            raise UsageError("the root directory '/' has no name that a sidecar could be called after")
    return stem


def _target(stem: str) -> str:
    """Return the file or directory that the sidecar `<stem>.CHECKSUM` is about."""
    for name in (stem, *(stem + suffix for suffix in SUFFIXES), stem + ".INDEX"):
        if os.path.exists(name):
            return name
    raise FileNotFoundError(2, "there is a sidecar, but no such file or directory", stem)


if __name__ == "__main__":
    raise SystemExit(main())
