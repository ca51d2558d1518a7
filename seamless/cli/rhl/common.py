"""What the helpers share: `rhl-NAME: message` on stderr and exit status 1 for every mistake, no abbreviated options."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from seamless.cli.common import FAILURE, OK, add_version, make_parser, run_main, write_stdout
from seamless.errors import SeamlessError
from seamless.launcher.paths import is_key

JSON_HELP = "one JSON object a line, with sorted keys"


class HelperParser(argparse.ArgumentParser):
    """A parser that reports a mistake in one line, with status 1."""

    def error(self, message: str) -> NoReturn:
        """End the command with `PROG: message`."""
        raise SystemExit(complain(self.prog, message.replace("unrecognized arguments", "unknown argument")))


def helper_parser(prog: str, summary: str, *, usage: str, examples: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser of a helper. Add arguments, then call `add_help`."""
    parser = make_parser(
        prog, summary, usage=usage, examples=examples, exit_codes=((0, "done"), (1, "a mistake, or it failed"))
    )
    parser.__class__ = HelperParser
    parser.allow_abbrev = False
    return parser


def add_help(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add --version and --help; return the parser."""
    group = parser.add_argument_group("General")
    add_version(group)
    group.add_argument("-h", "--help", action="help", help="show this help and exit")
    return parser


def complain(prog: str, message: str) -> int:
    """Write `PROG: message` to stderr; return the exit status for it."""
    sys.stderr.write(f"{prog}: {message}\n")
    return FAILURE


def run_helper(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None, action: Callable[[argparse.Namespace], int]
) -> int:
    """Parse the arguments and call `action`; errors become `PROG: message` and status 1."""

    def run() -> int:
        options = parser.parse_args(argv)
        try:
            return action(options)
        except SeamlessError as exc:
            return complain(parser.prog, str(exc))

    return run_main(parser.prog, run, label=f"{parser.prog}:")


def check_keys(keys: Iterable[str]) -> None:
    """End the command if one of these cannot be the key of a service."""
    for key in keys:
        if not is_key(key):
            sys.stderr.write(f"rhl: invalid key '{key}' (only letters, digits, . _ - allowed)\n")
            raise SystemExit(FAILURE)


def print_json_lines(rows: Iterable[Mapping[str, Any]]) -> int:
    """Print one object a line."""
    write_stdout("".join(json.dumps(row, sort_keys=True) + "\n" for row in rows).encode())
    return OK


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    """Print left-aligned columns; what is missing is `-`."""
    lines = [list(header)] + [[shown(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    for line in lines:
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        write_stdout((text + "\n").encode("utf-8", "backslashreplace"))
    return OK


def shown(cell: object) -> str:
    """Return a cell of a table as printable text."""
    text = "-" if cell is None or cell == "" else str(cell)
    return text if text.isprintable() else text.encode("unicode_escape").decode()
