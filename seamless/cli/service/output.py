"""How the commands `seamless-service-*` print: tables with one blank between columns, JSON lines, round sizes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from seamless.cli.common import write_stdout
from seamless.cli.rhl.common import shown

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
