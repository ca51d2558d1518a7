"""The command `seamless-service-logs`: print what a service of this machine has written, also after its end."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import BinaryIO

from seamless.cli.common import FAILURE, OK, print_error, run_main, write_stdout
from seamless.cli.service.common import finished, selected_here, service_parser
from seamless.errors import UsageError
from seamless.launcher.logs import tail_bytes
from seamless.launcher.paths import log_path, state_path
from seamless.launcher.processes import recorded_process
from seamless.launcher.statefile import read_state_or_none

PROG = "seamless-service-logs"
POLL_SECONDS = 0.1

Filter = Callable[[bytes], bool]


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = service_parser(
        PROG,
        "Print the log of a service: its stdout and stderr since it was started last.",
        examples=(
            "seamless-service-logs --service hashserver --tail 20",
            "seamless-service-logs --service database --grep -i error --follow",
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
    return run_main(PROG, partial(_run, argv))


def _run(argv: Sequence[str] | None) -> int:
    options = build_parser().parse_args(argv)
    if options.tail is not None and options.tail < 0:
        raise UsageError(f"--tail {options.tail}: a number of lines from 0 is expected")
    wanted = _filter(options.grep)
    key = selected_here(PROG, options).key
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


def _filter(pattern: str | None) -> Filter:
    if pattern is None:
        return lambda line: True
    try:
        expression = re.compile(pattern.encode())
    except re.error as exc:
        raise UsageError(f"--grep {pattern!r} is not a regular expression: {exc}") from exc
    return lambda line: expression.search(line) is not None


def _show(file: BinaryIO, wanted: Filter, last: int | None, *, whole: bool) -> bytes:
    """Print the lines that are there (`last`: only so many of them); return one that is not `whole` yet."""
    from collections import deque

    kept: deque[bytes] = deque(maxlen=last)
    for line in file:
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
        *lines, rest = (rest + file.read()).split(b"\n")  # read after the look at the process: nothing is missed
        for line in lines:
            if wanted(line):
                write_stdout(line + b"\n")
        if not alive:
            if rest and wanted(rest):
                write_stdout(rest)
            return
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    raise SystemExit(main())
