"""The command `seamless-status`: what is in a store, what runs, what has failed, and what a failed step has written.

Reads the files of the store; it starts nothing, and changes nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from seamless.cli.common import FAILURE, OK, Messages, add_general, format_size, make_parser, run_main, write_stdout
from seamless.cli.gc import seconds
from seamless.cli.insight.places import add_place, every_place, selected_place
from seamless.errors import SeamlessError, UsageError

if TYPE_CHECKING:
    from seamless.insight.place import Place
    from seamless.insight.status import Failed, Status

PROG = "seamless-status"
_SHOWN = 10  # running and failed steps in the overview
_SHORTEST = 6  # digits of a checksum that is not given in full


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = make_parser(
        PROG,
        "Say what is in a store, what is being executed, and which steps have failed and\n"
        "have no result since. For a step: its state, and all that its failure has written.",
        usage="%(prog)s [options] [CHECKSUM|FILE...]\n       %(prog)s [options] --failed | --steps",
        examples=(
            "seamless-status",
            "seamless-status --steps",
            "seamless-status --failed --since 12h",
            "seamless-status $(seamless-status --failed --checksums)   # all error output",
        ),
        exit_codes=(
            (0, "shown"),
            (1, "nothing is known of a step that was named"),
            (2, "a mistake in the arguments, or there is no such store"),
        ),
    )
    inputs = parser.add_argument_group("What is shown")
    inputs.add_argument(
        "what",
        nargs="*",
        metavar="CHECKSUM|FILE",
        help="a transformation: 64 hexadecimal digits, the first 6 or more of a step that runs or has failed, or a "
        "file that holds a checksum (default: the store)",
    )
    inputs.add_argument(
        "--steps", action="store_true", help="how many results there are of each step's code, and how long they took"
    )
    inputs.add_argument("--failed", action="store_true", help="every failed step, with the time and the reason")
    inputs.add_argument("--since", metavar="TIME", help="failures of the last 90m, 12h, 30d or 8w only")
    inputs.add_argument("--history", action="store_true", help="also failed steps that have a result now")
    outputs = parser.add_argument_group("Outputs")
    outputs.add_argument("--checksums", action="store_true", help="with --failed: only the checksums, one a line")
    outputs.add_argument("--json", action="store_true", help="one JSON object a store, or a step")
    add_place(parser).add_argument(
        "--all", action="store_true", help="the stores of all projects and stages below the cache directory, each"
    )
    add_general(parser, verbose=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_main(PROG, lambda: _run(build_parser().parse_args(argv)), label="ERROR")


def _run(options: argparse.Namespace) -> int:
    messages = Messages(PROG, options.verbosity)
    listing = options.failed or options.history or options.since is not None or options.checksums
    if options.what and (listing or options.steps or options.all):
        raise UsageError(
            "either name steps, or ask for all of them: --failed, --since, --history, --checksums, --steps, --all"
        )
    if listing and options.steps:
        raise UsageError(
            "--steps is about results, --failed (--since, --history, --checksums) about failures: ask for one"
        )
    places = every_place(options) if options.all else [selected_place(options)]
    since = time.time() - seconds(options.since, "--since") if options.since is not None else 0.0
    if options.what:
        return _show_steps(places[0], options)
    for number, place in enumerate(places):
        if options.steps:
            _list_groups(place, options, messages, titled=len(places) > 1)
        elif listing:
            _list_failed(place, since, options, messages, titled=len(places) > 1)
        else:
            if number and not options.json:
                _print([""])
            _show_store(place, options)
    return OK


def _show_store(place: Place, options: argparse.Namespace) -> None:
    from seamless.insight.status import status

    found = status(place)
    _print([json.dumps(found.as_dict())] if options.json else _store_lines(found))


def _store_lines(found: Status) -> Iterator[str]:
    yield f"store           {found.place.label}  ({found.place.buffers})"
    yield f"results         {found.results}"
    yield f"buffers         {found.buffers}, {format_size(found.size)}; database {format_size(found.database)}"
    yield f"disk            {format_size(found.free)} free"
    yield f"running         {len(found.running)}"
    for one in found.running[:_SHOWN]:
        yield f"  {one['tf_checksum'][:12]}  {_runs(one)}  {one.get('title') or ''}".rstrip()
    yield from _more(len(found.running))
    yield f"failed          {len(found.failed)}{', without a result since' if found.failed else ''}"
    for failed in found.failed[:_SHOWN]:
        yield f"  {failed.checksum[:12]}  {_when(failed.latest.get('time'))}  {failed.title}: {failed.reason}"
    yield from _more(len(found.failed), ": seamless-status --failed")
    if found.failed:
        yield f"  to see what one has written: {PROG} {found.failed[0].checksum[:12]}"
    hint = ": seamless-verify --list" if found.irreproducible else ""
    yield f"irreproducible  {found.irreproducible}{hint}"


def _more(count: int, hint: str = "") -> Iterator[str]:
    if count > _SHOWN:
        yield f"  ... and {count - _SHOWN} more{hint}"


def _list_failed(place: Place, since: float, options: argparse.Namespace, messages: Messages, *, titled: bool) -> None:
    from seamless.insight.status import failed_steps
    from seamless.stores.failures import KEPT

    every = failed_steps(place, since=since)
    found = [one for one in every if options.history or one.result is None]
    if sum(one.times for one in every) >= KEPT:
        messages.message(0, f"the last {KEPT} failures are noted; there may have been more")
    if not found:
        messages.message(
            0, f"no failed step {'was noted' if options.history else 'is without a result'} in {place.buffers}"
        )
    if options.json:
        _print(json.dumps({"store": place.label, **one.as_dict()}) for one in found)
    elif options.checksums:
        _print(one.checksum for one in found)
    else:
        if titled:
            _print([f"{place.label}: {len(found)} failed"])
        _print(_failed_line(one) for one in found)


def _list_groups(place: Place, options: argparse.Namespace, messages: Messages, *, titled: bool) -> None:
    from seamless.insight.status import by_code

    with messages.progress("reading", unit="steps") as progress:
        groups = by_code(place, progress.update)
    if options.json:
        _print(json.dumps({"store": place.label, **group.as_dict()}) for group in groups)
        return
    if titled:
        _print([place.label])
    _print([f"{'results':>8}  {'total':>10}  {'longest':>10}  code"])
    for group in groups:
        title = group.title or "(their definitions are not stored)"
        _print([f"{group.results:8}  {_duration(group.seconds):>10}  {_duration(group.longest):>10}  {title}"])


def _duration(wall: float) -> str:
    """Return a time for people.

    >>> _duration(0.0123), _duration(75), _duration(86400 * 2 + 3600 * 3 + 5)
    ('0.01 s', '1m15s', '51h00m')
    """
    if wall < 60:
        return f"{wall:.2f} s"
    minutes, rest = divmod(int(wall), 60)
    return f"{minutes}m{rest:02}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"


def _failed_line(one: Failed) -> str:
    notes = [f"{one.times} times"] if one.times > 1 else []
    notes += ["has a result now"] if one.result else []
    note = f"  ({', '.join(notes)})" if notes else ""
    return f"{one.checksum}  {_when(one.latest.get('time'))}  {one.title}: {one.reason}{note}"


def _show_steps(place: Place, options: argparse.Namespace) -> int:
    """Print what is known of the steps that are named; return the exit status."""
    from seamless.insight.dashboard.overview import View
    from seamless.insight.status import failed_steps, known_result

    failed = {one.checksum: one for one in failed_steps(place)}
    view = View(place)
    running = {one["tf_checksum"]: one for one in view.running()}
    status = OK
    for number, step in enumerate([_step(word, {*failed, *running}) for word in options.what]):
        result, under_way, failure = known_result(place, step), running.get(step), failed.get(step)
        if not (result or under_way is not None or failure is not None):
            status = FAILURE
        if options.json:
            row: dict[str, Any] = {"store": place.label, "tf_checksum": step, "result_checksum": result}
            row |= {"running": under_way, "failure": failure.as_dict() if failure is not None else None}
            _print([json.dumps(row)])
            continue
        title = failure.title if failure is not None else view.title(step)
        lines = _step_lines(step, title, result, under_way, failure)
        _print(["", *lines] if number else list(lines))
    return status


def _step(word: str, names: set[str]) -> str:
    """Return the checksum (hex) that a word is, begins, or names the file of. Raises UsageError, SeamlessError."""
    from seamless.cli.resolve import checksum_from

    if _SHORTEST <= len(word) < 64 and not set(word) - set("0123456789abcdef"):
        found = sorted(name for name in names if name.startswith(word))
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(f"{word}: {len(found)} steps begin so: {', '.join(found[:5])}")
        raise SeamlessError(f"{word}: no step that runs or has failed begins so; give all 64 digits of any other")
    return checksum_from(word).hex()


def _step_lines(
    step: str, title: str, result: str | None, running: dict[str, Any] | None, failure: Failed | None
) -> Iterator[str]:
    yield f"transformation  {step}"
    if title:
        yield f"step            {title}"
    if running is not None:
        yield f"state           running {_runs(running)}"
    elif result is not None:
        yield f"state           known: result {result}"
    elif failure is not None:
        yield "state           failed: the next run executes it again"
    else:
        yield "state           unknown: neither a result, nor a failure, nor an execution of it is noted here"
    if failure is None:
        return
    latest = failure.latest
    times = f", {failure.times} times in the last failures" if failure.times > 1 else ""
    yield f"failed          {_when(latest.get('time'))} on {latest.get('host')}{times}"
    error, stderr = str(latest.get("error") or "").rstrip(), str(latest.get("stderr") or "").rstrip()
    yield from error.splitlines()
    if stderr and stderr not in error:
        yield from ("standard error, its end:", *stderr.splitlines())


def _runs(one: dict[str, Any]) -> str:
    return f"since {_when(one.get('start'))} by process {one.get('pid', '?')} on {one.get('host', '?')}"


def _when(seconds_: object) -> str:
    """Return a time (seconds since the epoch) in local time."""
    known = isinstance(seconds_, (int, float))
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds_)) if known else "at an unknown time"  # type: ignore[arg-type]


def _print(lines: Iterator[str] | Sequence[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    write_stdout(text.encode("utf-8", "surrogateescape"))


if __name__ == "__main__":
    sys.exit(main())
