"""The command `seamless-record`: the execution record of a transformation, and how two records differ."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from seamless.cli.common import OK, USAGE, add_general, make_parser, run_main, write_stdout
from seamless.errors import SeamlessError, UsageError

if TYPE_CHECKING:
    from seamless.checksum import Checksum
    from seamless.cli.storage import Storage

PROG = "seamless-record"
_DIFFERENT = 1
_ABSENT = "-"

# What differs between any two executions.
_MEASURED = frozenset(
    (
        *("tf_checksum", "wall_time_seconds", "cpu_time_user_seconds", "cpu_time_system_seconds", "memory_peak_bytes"),
        *("gpu_memory_peak_bytes", "started_at", "finished_at", "pid", "process_started_at", "worker_execution_index"),
        *("process_create_time_epoch", "compilation_time_seconds", "validation_snapshot"),
        *("compilation.build_seconds", "compilation.built_now", "compilation.wait_seconds"),
    )
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = make_parser(
        PROG,
        "Show the record of an execution: when and how long, with how much memory, on which\n"
        "machine and with which software; or with --diff, in what two executions differ.",
        usage="%(prog)s [options] CHECKSUM|FILE\n       %(prog)s [options] --diff CHECKSUM|FILE CHECKSUM|FILE",
        examples=(
            "seamless-record job/transformation.json.CHECKSUM",
            "seamless-record --diff $FIRST $SECOND",
        ),
        exit_codes=(
            (0, "shown; with --diff: no difference"),
            (1, "with --diff: they differ"),
            (2, "a mistake in the arguments, or there is no such record"),
            (130, "interrupted"),
        ),
    )
    inputs = parser.add_argument_group("Inputs")
    inputs.add_argument(
        "what",
        metavar="CHECKSUM|FILE",
        nargs="+",
        help="the checksum of a transformation, or of a result that one transformation has given: 64 hexadecimal "
        "digits, or a file that holds them",
    )
    outputs = parser.add_argument_group("Outputs")
    outputs.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    outputs.add_argument("--diff", action="store_true", help="compare two records, and the buckets they name")
    outputs.add_argument("--expand", action="store_true", help="show what is in the buckets, too")
    outputs.add_argument("--all", action="store_true", help="with --diff: compare times, memory and processes, too")
    from seamless.cli.transfer.options import add_scope

    add_scope(parser)
    add_general(parser, verbose=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""

    def run() -> int:
        options = build_parser().parse_args(argv)
        _check(options)
        from seamless.cli.resolve import checksum_from
        from seamless.cli.storage import open_storage

        checksums = [checksum_from(what) for what in options.what]
        storage = open_storage(project=options.project, stage=options.stage, local=True)
        try:
            records = [_record(checksum, storage) for checksum in checksums]
            if options.expand or options.diff:
                for record in records:
                    record.update(_expanded(record, storage))
        finally:
            storage.close()
        return _compare(records[0], records[1], options) if options.diff else _show(records[0], options)

    return run_main(PROG, run, status=USAGE, label="ERROR")


def _check(options: argparse.Namespace) -> None:
    if options.diff and len(options.what) != 2:
        raise UsageError(f"--diff compares two records, but {len(options.what)} were given")
    if not options.diff and len(options.what) != 1:
        raise UsageError(f"one record is shown, but {len(options.what)} were given; use --diff to compare two")
    if options.all and not options.diff:
        raise UsageError("--all requires --diff")


def _record(checksum: Checksum, storage: Storage) -> dict[str, Any]:
    """Return the record of a transformation, or of the one that has given a result. Raises SeamlessError."""
    record = storage.results.get_record(checksum)
    if record is not None:
        return record
    sources = storage.results.get_transformations(checksum)
    if len(sources) > 1:
        known = "".join(f"\n  {tf}" for tf in sources)
        raise SeamlessError(f"{checksum} is the result of {len(sources)} transformations; give one of them:{known}")
    record = storage.results.get_record(sources[0]) if sources else None
    if record is None:
        raise SeamlessError(
            f"there is no record of {sources[0] if sources else checksum} in {storage.where}: it was not executed with "
            "this cache"
        )
    return record


def _expanded(record: dict[str, Any], storage: Storage) -> dict[str, Any]:
    """Return what the buffers of a record hold, by name; one that is gone is None."""
    from seamless.celltypes import parse
    from seamless.checksum import Checksum

    contents: dict[str, Any] = {}
    for name in record.get("checksum_fields") or ():
        if record.get(name):
            data = storage.buffers.get(Checksum(record[name]))
            contents[name] = None if data is None else parse(data, "plain")
    return {"buffers": contents} if contents else {}


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """Return the leaves of nested dicts by their dotted names.

    >>> flat({"a": 1, "b": {"c": [2], "d": {}}})
    {'a': 1, 'b.c': [2], 'b.d': {}}
    """
    if not isinstance(value, dict) or not value:
        return {name: value}
    found: dict[str, Any] = {}
    for key, item in value.items():
        found.update(flat(item, f"{name}.{key}" if name else str(key)))
    return found


def _show(record: dict[str, Any], options: argparse.Namespace) -> int:
    if options.json:
        return _print_json(record)
    rows = flat(record)
    width = max(map(len, rows))
    _print(f"{name:{width}}  {_text(value)}" for name, value in rows.items())
    return OK


def _compare(first: dict[str, Any], second: dict[str, Any], options: argparse.Namespace) -> int:
    left, right = flat(first), flat(second)
    differences = {
        name: (left.get(name), right.get(name))
        for name in {**left, **right}
        if left.get(name) != right.get(name) and (options.all or not _is_measured(name))
    }
    if options.json:
        _print_json({name: list(values) for name, values in differences.items()})
    else:
        lines = []
        for name, (a, b) in differences.items():
            lines += [name, f"  - {_text(a)}", f"  + {_text(b)}"]
        _print(lines)
    return _DIFFERENT if differences else OK


def _is_measured(name: str) -> bool:
    return name in _MEASURED or name.startswith("buffers.validation_snapshot.")


def _text(value: Any) -> str:
    if value is None:
        return _ABSENT
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _print_json(value: Any) -> int:
    write_stdout(json.dumps(value, ensure_ascii=False).encode() + b"\n")
    return OK


def _print(lines: Any) -> None:
    write_stdout("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))


if __name__ == "__main__":
    sys.exit(main())
