"""The options that every server has, and how mistakes in them reach the status file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from seamless.errors import UsageError

FIRST_PORT, LAST_PORT = 49152, 65535  # where a port is drawn from when none is asked for
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "kb": 1000, "mb": 10**6, "gb": 10**9}
_UNITS |= {"b": 1, "tb": 10**12, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}


def size(text: str) -> int:
    """Return a number of bytes, for `type=` of an option.

    >>> size("64"), size("64M"), size("64 MB")
    (64, 67108864, 64000000)
    """
    digits = text.strip().rstrip("bBiIkKmMgGtT ")
    unit = text.strip()[len(digits) :].strip().lower()
    if not (digits.isascii() and digits.isdigit()) or unit not in _UNITS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; expected for example 500M or '2 GB'")
    return int(digits) * _UNITS[unit]


def add_server_options(
    parser: argparse.ArgumentParser,
    *,
    host: str = "127.0.0.1",
    ports_text: str = f"a free one of {FIRST_PORT}-{LAST_PORT}",
) -> None:
    """Add the options of `serve` to a parser. `host`: the address bound by default; `ports_text`: the default port."""
    network = parser.add_argument_group("Network")
    ports = network.add_mutually_exclusive_group()
    ports.add_argument("--port", type=int, metavar="N", help=f"port to listen on (default: {ports_text})")
    ports.add_argument(
        "--port-range", type=int, nargs=2, metavar=("START", "END"), help="listen on a free port in this range"
    )
    network.add_argument("--host", default=host, help="address to bind (default: %(default)s)")
    network.add_argument(
        "--cors", metavar="ORIGIN", action="append", help="let web pages of ORIGIN (or *) use this server; repeatable"
    )
    access = parser.add_argument_group("Access")
    access.add_argument(
        "--token-file",
        metavar="FILE",
        help="file with the token that clients must send; created, readable for you only, if absent "
        "(environment: SEAMLESS_TOKEN holds a token)",
    )
    access.add_argument("--insecure", action="store_true", help="ask no client for a token")
    life = parser.add_argument_group("Life cycle")
    life.add_argument(
        "--status-file", metavar="FILE", help="JSON file of a launcher: port, token and status are written to it"
    )
    life.add_argument("--timeout", type=float, metavar="SECONDS", help="stop after being idle for so long")
    logs = parser.add_argument_group("Logging")
    logs.add_argument("--access-log", action="store_true", help="log every request on stderr")
    logs.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="form of log lines (default: %(default)s)"
    )


def parse_server_options(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; a mistake in it also becomes `failed` in the status file, if one is named."""
    try:
        return parser.parse_args(argv)
    except SystemExit as exc:
        path = _status_file(sys.argv[1:] if argv is None else argv) if exc.code else None
        if path is not None:
            from seamless.services.common.status import StatusFile

            StatusFile(path).failed("a mistake in the command line; see the log")
        raise


def _status_file(argv: Sequence[str]) -> str | None:
    for i, word in enumerate(argv):
        if word == "--status-file" and i + 1 < len(argv):
            return argv[i + 1]
        if word.startswith("--status-file="):
            return word.partition("=")[2]
    return None


def check_options(options: Any) -> None:
    """Raise UsageError for a port, a range or a timeout that cannot be."""
    if options.port is not None and not 0 <= options.port <= 65535:
        raise UsageError(f"--port {options.port}: a port is a number from 0 to 65535")
    if options.port_range is not None:
        start, end = options.port_range
        if not (0 <= start <= 65535 and 0 <= end <= 65535):
            raise UsageError(f"--port-range {start} {end}: ports are numbers from 0 to 65535")
        if start > end:
            raise UsageError(f"--port-range {start} {end}: START must not be greater than END")
    if options.timeout is not None and not 0 < options.timeout < float("inf"):
        raise UsageError(f"--timeout {options.timeout:g}: the timeout must be a number of seconds greater than 0")
