"""The command `seamless-gc`: make a store smaller without losing what cannot be computed again."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from seamless.cli.common import (
    FAILURE,
    OK,
    Messages,
    add_general,
    format_size,
    is_terminal,
    make_parser,
    parse_size,
    run_main,
    write_stdout,
)
from seamless.cli.insight.places import add_place, every_place, selected_place
from seamless.errors import UsageError

if TYPE_CHECKING:
    from seamless.insight.collection import Criteria, Plan, Removal
    from seamless.insight.place import Place
    from seamless.insight.sidecar import Sidecar

PROG = "seamless-gc"
_UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = make_parser(
        PROG,
        "Remove buffers from a store. Only those go that a known step gives again, from\n"
        "what stays; results stay known, and are computed again when they are needed.\n"
        "Other programs and services may use the store meanwhile.",
        usage="%(prog)s [options]",
        examples=(
            "seamless-gc --dry-run --max-size 20GB",
            "seamless-gc --older-than 30d --larger-than 100MB --yes",
            "seamless-gc --set-limit 50GB; seamless-gc --yes",
        ),
        exit_codes=((0, "done"), (1, "not agreed to, or something could not be removed"), (2, "a mistake")),
    )
    _add_criteria(parser)
    decisions = parser.add_argument_group("What is kept in mind, for this store")
    decisions.add_argument("--set-limit", metavar="SIZE", help="the default of --max-size from now on; 'none' for none")
    decisions.add_argument(
        "--pin", action="append", default=[], metavar="WHAT", help="never remove this result, step or buffer: a "
        "checksum, or a file with one; nor what belongs to it"
    )  # fmt: skip
    decisions.add_argument("--unpin", action="append", default=[], metavar="WHAT", help="take that back")
    decisions.add_argument("--pinned", action="store_true", help="list what is pinned")
    doing = parser.add_argument_group("How it is done")
    doing.add_argument("--dry-run", action="store_true", help="print the table, and remove nothing")
    doing.add_argument("-y", "--yes", action="store_true", help="do not ask")
    doing.add_argument("--json", action="store_true", help="one JSON object a store")
    add_place(parser).add_argument(
        "--all", action="store_true", help="the stores of all projects and stages below the cache directory, each"
    )
    add_general(parser)
    return parser


def _add_criteria(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("What goes", "All that is given must hold. The longest unused goes first.")
    group.add_argument("--max-size", metavar="SIZE", help="until so much is left (default: the limit of the store)")
    group.add_argument("--older-than", metavar="TIME", help="not used for so long: 90m, 12h, 30d, 8w")
    group.add_argument("--larger-than", metavar="SIZE", help="of at least this size")
    group.add_argument(
        "--unreachable",
        nargs="?",
        const="results",
        choices=("results", "pins"),
        metavar="FROM",
        help="needed by no result and nothing pinned; with --unreachable=pins, by nothing pinned",
    )
    group.add_argument("--irreplaceable", action="store_true", help="also what cannot be computed again")
    group.add_argument(
        "--grace", metavar="TIME", default="1h", help="leave what was used in the last TIME (default: 1h)"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_main(PROG, lambda: _run(build_parser().parse_args(argv)), label="ERROR")


def _run(options: argparse.Namespace) -> int:
    messages = Messages(PROG, options.verbosity)
    places = every_place(options) if options.all else [selected_place(options)]
    decided = [_decide(place, options) for place in places]
    if any(decided) and not _chosen(options):
        return OK
    criteria = [_criteria(place, options) for place in places]
    if not any(criteria):
        raise UsageError(
            "say what may go: --max-size, --older-than, --larger-than or --unreachable; or set a limit with --set-limit"
        )
    status = OK
    for place, one in zip(places, criteria, strict=True):
        if one is not None:
            status = max(status, _collect(place, one, options, messages))
    return status


def _decide(place: Place, options: argparse.Namespace) -> bool:
    """Keep pins and the limit in mind; tell whether there was anything of the kind."""
    from seamless.cli.resolve import checksum_from
    from seamless.insight.pinned import pinned_roots, set_size_limit, write_pinned

    if options.set_limit is not None:
        limit = None if options.set_limit == "none" else parse_size(options.set_limit, "--set-limit")
        set_size_limit(place, limit)
    if options.pin or options.unpin:
        roots = pinned_roots(place)
        for word in options.pin:
            checksum = checksum_from(word).hex()
            roots[checksum] = "" if word == checksum else word
        for word in options.unpin:
            if roots.pop(checksum_from(word).hex(), None) is None:
                raise UsageError(f"--unpin {word}: it is not pinned in {place.buffers}")
        write_pinned(place, roots)
    if options.pinned:
        for name, comment in pinned_roots(place).items():
            line = json.dumps({"checksum": name, "comment": comment}) if options.json else f"{name} {comment}".rstrip()
            write_stdout((line + "\n").encode("utf-8", "surrogateescape"))
    return bool(options.pin or options.unpin or options.pinned or options.set_limit is not None)


def _chosen(options: argparse.Namespace) -> bool:
    """Tell whether the options say what goes."""
    return any(
        value is not None for value in (options.max_size, options.older_than, options.larger_than, options.unreachable)
    )


def _criteria(place: Place, options: argparse.Namespace) -> Criteria | None:
    """Return what is to go from a store; None if nothing was said about it."""
    from seamless.insight.collection import Criteria
    from seamless.insight.pinned import size_limit

    limit = parse_size(options.max_size, "--max-size") if options.max_size is not None else None
    older = seconds(options.older_than, "--older-than") if options.older_than is not None else None
    larger = parse_size(options.larger_than, "--larger-than") if options.larger_than is not None else None
    if not _chosen(options):
        limit = size_limit(place)
        if limit is None:
            return None
    grace = seconds(options.grace, "--grace")
    return Criteria(limit, older, larger, options.unreachable, options.irreplaceable, grace)


def seconds(text: str, option: str) -> float:
    """Return the seconds of a time such as `30d`. Raises UsageError.

    >>> seconds("90m", "--grace"), seconds("1.5h", "--grace"), seconds("0", "--grace")
    (5400.0, 5400.0, 0.0)
    """
    number, unit = (text[:-1], _UNITS[text[-1]]) if text[-1:] in _UNITS else (text, 1.0)
    digits = number.replace(".", "", 1)
    if not (digits.isascii() and digits.isdigit()) or (unit == 1.0 and float(number)):
        raise UsageError(f"{option}: {text!r} is not a time; a number with m, h, d or w is expected, for example 30d")
    return float(number) * unit


def _collect(place: Place, criteria: Criteria, options: argparse.Namespace, messages: Messages) -> int:
    from seamless.cli.insight.printing import plan_lines
    from seamless.insight.collection import plan, remove
    from seamless.insight.sidecar import Sidecar

    with Sidecar(place) as sidecar:
        _update(sidecar, messages)
        with messages.progress("looking", unit="buffers") as progress:
            found = plan(sidecar, criteria, progress.update)
        if options.dry_run or not options.json:
            _print(found, options, "\n".join(plan_lines(found)))
        if options.dry_run or not found.going:
            if options.json and not options.dry_run:
                _print(found, options, "")
            return OK
        if not options.yes and not _agreed(found):
            messages.message(-1, "nothing was removed")
            return FAILURE
        with messages.progress("removing", len(found.going), unit="buffers") as progress:
            done = remove(sidecar, found, progress.update)
    return _report(found, done, options, messages)


def _update(sidecar: Sidecar, messages: Messages) -> None:
    with messages.progress("index", unit="steps") as progress:
        sidecar.update(progress.update)


def _print(found: Plan, options: argparse.Namespace, text: str) -> None:
    line = json.dumps({**found.as_dict(), "dry_run": options.dry_run}) if options.json else text
    write_stdout((line + "\n").encode("utf-8", "surrogateescape"))


def _agreed(found: Plan) -> bool:
    if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        raise UsageError("there is no terminal to ask on: look with --dry-run, then confirm with --yes")
    sys.stderr.write(f"Remove {len(found.going)} buffers, {format_size(found.freed)}? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _report(found: Plan, done: Removal, options: argparse.Namespace, messages: Messages) -> int:
    if options.json:
        row = {**found.as_dict(), "dry_run": False, "removed": done.removed, "freed": done.freed, "used": done.used}
        write_stdout((json.dumps({**row, "problems": done.problems}) + "\n").encode())
    else:
        write_stdout(f"  removed {done.removed} buffers, {format_size(done.freed)}\n".encode())
    if done.used:
        messages.message(0, f"{done.used} buffers were used meanwhile; they stay")
    for problem in done.problems[:10]:
        messages.error(problem)
    if len(done.problems) > 10:
        messages.error(f"... and {len(done.problems) - 10} more that could not be removed")
    return FAILURE if done.problems else OK


if __name__ == "__main__":
    sys.exit(main())
