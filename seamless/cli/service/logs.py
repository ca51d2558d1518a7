"""The command `seamless-service-logs`: print what a service has written, also after its end."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import BinaryIO

from seamless.cli.common import FAILURE, OK, print_error, run_main, write_stdout
from seamless.cli.service.common import finished, selected, service_parser
from seamless.cli.service.remote import RemoteMachine, with_statuses
from seamless.errors import UsageError
from seamless.launcher.logs import tail_bytes
from seamless.launcher.paths import log_path, state_path
from seamless.launcher.processes import recorded_process
from seamless.launcher.statefile import read_state_or_none

PROG = "seamless-service-logs"
POLL_SECONDS = 0.1
REMOTE_POLL_SECONDS = 1.0
_REMOTE_LINES = 1000  # that are fetched of a log that is followed; more if that many are new

Filter = Callable[[bytes], bool]


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = service_parser(
        PROG,
        "Print the log of a service: its stdout and stderr since it was started last.",
        examples=(
            "seamless-service-logs --service hashserver --tail 20",
            "seamless-service-logs --service database --grep '(?i)error' --follow",
        ),
        required=True,
    )
    output = parser.add_argument_group("Output")
    output.add_argument("--tail", metavar="N", type=int, help="only the last N lines")
    output.add_argument("--grep", metavar="PATTERN", help="only lines that the regular expression PATTERN matches")
    output.add_argument("--follow", action="store_true", help="go on until the service ends, or Ctrl-C")
    return finished(parser)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_main(PROG, partial(with_statuses, _run, argv))


def _run(argv: Sequence[str] | None) -> int:
    options = build_parser().parse_args(argv)
    if options.tail is not None and options.tail < 0:
        raise UsageError(f"--tail {options.tail}: a number of lines from 0 is expected")
    wanted = _filter(options.grep)
    target = selected(options)
    if target.machine is not None:
        return _remote(target.machine, target.key, wanted, options)
    return _local(target.key, wanted, options)


def _filter(pattern: str | None) -> Filter:
    if pattern is None:
        return lambda line: True
    try:
        expression = re.compile(pattern.encode())
    except re.error as exc:
        raise UsageError(f"--grep {pattern!r} is not a regular expression: {exc}") from exc
    return lambda line: expression.search(line) is not None


# --- a log of this machine ------------------------------------------------------------------------


def _local(key: str, wanted: Filter, options: argparse.Namespace) -> int:
    path = log_path(key)
    try:
        with open(path, "rb") as file:
            if options.tail is not None and options.grep is None and not options.follow:
                write_stdout(tail_bytes(path, options.tail))
            else:
                rest = _show(file, wanted, options.tail, whole=options.follow)
                if options.follow:
                    _follow(file, wanted, key, rest)
    except FileNotFoundError:
        print_error(f"no log file for '{key}'", label="rhl-logs")
        return FAILURE
    return OK


def _show(lines: Iterable[bytes], wanted: Filter, last: int | None, *, whole: bool) -> bytes:
    """Print the lines that are there (`last`: only so many of them); return one that is not `whole` yet."""
    from collections import deque

    kept: deque[bytes] = deque(maxlen=last)
    for line in lines:
        if whole and not line.endswith(b"\n"):
            return _printed(kept, line)
        if wanted(line):
            if last is None:
                write_stdout(line)
            else:
                kept.append(line)
    return _printed(kept, b"")


def _printed(lines: Iterable[bytes], rest: bytes) -> bytes:
    write_stdout(b"".join(lines))
    return rest


def _follow(file: BinaryIO, wanted: Filter, key: str, rest: bytes) -> None:
    """Print complete lines as they are written, until the service has ended. `rest`: the beginning of the next one."""
    while True:
        alive = recorded_process(read_state_or_none(state_path(key)) or {}) is not None
        rest = _show_new(rest + file.read(), wanted)  # read after the look at the process: nothing is missed
        if not alive:
            if rest and wanted(rest):
                write_stdout(rest)
            return
        time.sleep(POLL_SECONDS)


def _show_new(text: bytes, wanted: Filter) -> bytes:
    """Print the complete lines; return the beginning of the next one."""
    *lines, rest = text.split(b"\n")
    for line in lines:
        if wanted(line):
            write_stdout(line + b"\n")
    return rest


# --- a log of another machine ---------------------------------------------------------------------


def _remote(machine: RemoteMachine, key: str, wanted: Filter, options: argparse.Namespace) -> int:
    if options.follow:
        _follow_remote(machine, key, wanted, options.tail)
        return OK
    few = options.tail is not None and options.grep is None
    text = _fetch(machine, key, options.tail if few else None)
    _show(text.splitlines(keepends=True), wanted, options.tail, whole=False)
    return OK


def _fetch(machine: RemoteMachine, key: str, lines: int | None) -> bytes:
    words = ["rhl-logs", key] + ([] if lines is None else ["--tail", str(lines)])
    return machine.output(*words).encode("utf-8", "surrogateescape")


def _follow_remote(machine: RemoteMachine, key: str, wanted: Filter, last: int | None) -> None:
    """Print complete lines as they are written, until the service has ended."""
    seen = _fetch(machine, key, None)
    rest = _show(seen.splitlines(keepends=True), wanted, last, whole=True)
    while True:
        live = any(row["key"] == key and row.get("live") for row in machine.process_rows())
        now = _fetch_after(machine, key, seen)
        known = _overlap(seen, now)
        new = now[known:]
        rest = _show_new(rest + new, wanted)
        if not live:
            if rest and wanted(rest):
                write_stdout(rest)
            return
        seen = seen + new if known else now
        time.sleep(REMOTE_POLL_SECONDS)


def _fetch_after(machine: RemoteMachine, key: str, seen: bytes) -> bytes:
    """Return the end of a log, from somewhere within what has been `seen` on, or all of it."""
    lines = _REMOTE_LINES
    while True:
        now = _fetch(machine, key, lines)
        if now.count(b"\n") < lines - 1 or not seen or _overlap(seen, now):
            return now
        lines *= 8


def _overlap(seen: bytes, now: bytes) -> int:
    """Return how much of the beginning of `now` has been seen: all that `seen` ends with.

    >>> _overlap(b"a\\nb\\nc\\n", b"b\\nc\\nd\\n"), _overlap(b"a\\nb", b"a\\nbc\\n"), _overlap(b"a\\n", b"x\\n")
    (4, 3, 0)
    """
    start = max(0, len(seen) - len(now))
    while start < len(seen):
        if now.startswith(seen[start:]):
            return len(seen) - start
        following = seen.find(b"\n", start) + 1  # the end of a log begins with a line
        start = following or len(seen)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
