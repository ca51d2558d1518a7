"""How the commands `seamless-service-*` print: tables with one blank between columns, JSON lines, round sizes."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from seamless.cli.common import write_stdout
from seamless.cli.service.remote import RemoteMachine

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def print_line(text: str) -> None:
    """Print one line."""
    write_stdout((text + "\n").encode("utf-8", "surrogateescape"))


def print_json(row: Mapping[str, Any]) -> None:
    """Print one object on one line."""
    print_line(json.dumps(row, sort_keys=True))


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print left-aligned columns with one blank between; what is missing is `-`."""
    lines = [list(header), *([shown(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    for line in lines:
        print_line(" ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def show_command(host: str | None, words: Sequence[str], options: argparse.Namespace, **more: Any) -> None:
    """Print the command that a dry run does not run: a helper, on the machine `host` by SSH, on None here."""
    if options.json:
        print_json({"command": list(words), "dry_run": True, **({} if host is None else {"host": host}), **more})
    else:
        print_line(shlex.join(words) if host is None else RemoteMachine(host).command_line(*words))


def round_size(size: int | None) -> str | None:
    """Return a size for people.

    >>> round_size(11), round_size(4200), round_size(42_000_000), round_size(999_999_999), round_size(None)
    ('11 B', '4.2 kB', '42 MB', '1.0 GB', None)
    """
    if size is None:
        return None
    value, i = float(size), 0
    while round(value, 1 if value < 10 else 0) >= 1000 and i < len(_UNITS) - 1:
        value /= 1000
        i += 1
    return f"{value:.1f} {_UNITS[i]}" if i and value < 9.95 else f"{value:.0f} {_UNITS[i]}"


def shown(cell: object) -> str:
    """Return a cell of a table as printable text."""
    text = "-" if cell is None or cell == "" else str(cell)
    return text if text.isprintable() else text.encode("unicode_escape").decode()
