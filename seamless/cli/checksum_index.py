"""The command `seamless-checksum-index`: write `DIR.INDEX` and `DIR.CHECKSUM` beside each directory."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from functools import partial

from seamless.checksum import Checksum
from seamless.cli.checksum import (
    EXIT_CODES,
    add_options,
    check_all,
    directory_stem,
    for_each,
    index_with_progress,
    print_json,
    progress_bar,
    read_sidecar,
)
from seamless.cli.checksum_file import write_sidecar
from seamless.cli.common import Messages, Progress, make_parser, run_main
from seamless.errors import UsageError
from seamless.util.directory_index import index_bytes

PROG = "seamless-checksum-index"

_SHOWN = 10  # differences that are listed one by one


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = make_parser(
        PROG,
        "Write DIR.INDEX, which lists the checksum of every file below DIR, and\n"
        "DIR.CHECKSUM, the checksum of that index, both beside the directory. Links to\n"
        "files are followed, links to directories are left out; suffixes .zst and .gz do\n"
        "not count.",
        usage="%(prog)s [options] DIR...",
        examples=(
            "seamless-checksum-index data/            # writes data.INDEX and data.CHECKSUM",
            "seamless-checksum-index --check data     # names what has changed since",
        ),
        exit_codes=EXIT_CODES,
    )
    add_options(
        parser,
        "DIR",
        paths="directory to read, with all below it",
        check="write nothing; compare each DIR with its sidecars and name the files that differ",
        json="path, checksum, sidecar, index, files",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_main(PROG, partial(_run, argv))


def _run(argv: Sequence[str] | None) -> int:
    options = build_parser().parse_args(argv)
    with progress_bar(PROG, (), quiet=options.verbosity < 0) as bar:
        if options.check:
            return check_all(options, partial(_check, bar=bar, messages=Messages(PROG)))

        def write(path: str) -> dict[str, object]:
            stem = directory_stem(path)
            index = index_with_progress(path, bar)
            data = index_bytes(index)
            checksum = Checksum.of(data).hex()
            write_sidecar(stem + ".INDEX", data)
            write_sidecar(stem + ".CHECKSUM", checksum.encode() + b"\n")
            return {"checksum": checksum, "sidecar": stem + ".CHECKSUM", "index": stem + ".INDEX", "files": len(index)}

        def report(path: str, written: dict[str, object]) -> None:
            bar.clear()
            if options.json:
                print_json(path=path, **written)

        return for_each(options.paths, write, report)


def _check(path: str, *, bar: Progress, messages: Messages) -> tuple[str, str]:
    """Return the checksum that the index has now and the one in the sidecar; name the files that differ."""
    stem = directory_stem(path)
    expected = read_sidecar(stem + ".CHECKSUM")
    index = index_with_progress(path, bar)
    found = Checksum.of(index_bytes(index)).hex()
    bar.clear()
    if found != expected and os.path.exists(stem + ".INDEX"):
        old, old_checksum = _read_index(stem + ".INDEX")
        if old_checksum != expected:
            messages.warning(f"{stem + '.INDEX'!r} does not have the checksum in {stem + '.CHECKSUM'!r}")
        lines = differences(old, index)
        for line in lines[:_SHOWN]:
            messages.message(0, f"{path}: {line}")
        if len(lines) > _SHOWN:
            messages.message(0, f"{path}: and {len(lines) - _SHOWN} more")
    return found, expected


def _read_index(path: str) -> tuple[dict[str, str], str]:
    """Return the content of an `.INDEX` file and its checksum. Raises UsageError if it is none."""
    import json

    with open(path, "rb") as f:
        data = f.read()
    try:
        index = json.loads(data)
    except (ValueError, RecursionError):
        index = None
    if not isinstance(index, dict):
        raise UsageError(f"{path!r} is not an index: a JSON object of paths and checksums was expected")
    return index, Checksum.of(data).hex()


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Return one line for each file that was added, removed or changed, sorted by path."""
    words = []
    for key in sorted({*old, *new}):
        if key not in new:
            words.append(f"removed: {key}")
        elif key not in old:
            words.append(f"added: {key}")
        elif old[key] != new[key]:
            words.append(f"changed: {key}")
    return words


if __name__ == "__main__":
    raise SystemExit(main())
