"""What the parsers of the server commands share: exit statuses, and the options around those of the server itself."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from seamless.cli.common import add_general, make_parser
from seamless.services.common import add_server_options, size

EXIT_CODES = (
    (0, "ended by a signal, or by --timeout"),
    (1, "the server could not start; the status file says `failed`"),
    (2, "a mistake in the arguments"),
)


def make_server_parser(prog: str, description: str, *, usage: str, examples: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of a server command, without options."""
    return make_parser(prog, description, usage=usage, examples=examples, exit_codes=EXIT_CODES)


def add_place(
    parser: argparse.ArgumentParser, name: str, *, metavar: str, place: str, writable: str
) -> argparse._ArgumentGroup:
    """Add what is served (`place` explains it) and `--writable`; return their group (Storage)."""
    group = parser.add_argument_group("Storage")
    group.add_argument(name, metavar=metavar, help=place)
    group.add_argument("--writable", action="store_true", help=writable)
    return group


def add_max_body(group: argparse._ArgumentGroup, text: str, *, default: int | None = None) -> None:
    """Add `--max-body`, a number of bytes, explained by `text`."""
    group.add_argument("--max-body", type=size, default=default, metavar="SIZE", help=text)


def add_common(parser: argparse.ArgumentParser, *, port: int | None = None) -> None:
    """Add the options that every server command has, at the end. `port`: the default; None: any free one."""
    if port is None:
        add_server_options(parser)
    else:
        add_server_options(parser, ports_text=str(port))
    add_general(parser, verbose=False)
