"""The command `seamless-dashboard`: show a store and the services of this machine in a browser."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from seamless.cli.common import run_main

if TYPE_CHECKING:
    from seamless.services.common import Service

PROG = "seamless-dashboard"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    from seamless.cli.insight.places import add_place
    from seamless.cli.servers import add_common, make_server_parser

    parser = make_server_parser(
        PROG,
        "Show in a browser what runs, what has run and what has failed in a store, where results\n"
        "come from, and the services of this machine. Changes nothing. The address that is\n"
        "printed has a token in it: open it once, and the browser remembers it.",
        usage="%(prog)s [options]",
        examples=(
            "seamless-dashboard --port 8899",
            "ssh -L 8899:127.0.0.1:8899 login.example seamless-dashboard --port 8899",
        ),
    )
    add_place(parser)
    add_common(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the server; return the exit status."""
    return run_main(PROG, partial(_run, argv))


def _run(argv: Sequence[str] | None) -> int:
    from seamless.services.common import parse_server_options, serve
    from seamless.services.common.token import choose_token

    options = parse_server_options(build_parser(), argv)
    welcome = "{url}/"
    if not options.insecure and not options.status_file:
        if not options.token_file and not os.environ.get("SEAMLESS_TOKEN", "").strip():
            options.token_file = _own_token_file()
        welcome = f"{{url}}/?token={choose_token(options, None, loopback=True)}"
    return serve(partial(_service, options), options, name=PROG, welcome=welcome)


def _own_token_file() -> str:
    directory = os.path.join(os.path.expanduser("~"), ".seamless")
    os.makedirs(directory, mode=0o700, exist_ok=True)
    return os.path.join(directory, "dashboard-token")


def _service(options: argparse.Namespace) -> Service:
    from seamless.cli.insight.places import selected_place
    from seamless.insight.dashboard.service import DashboardService

    return DashboardService(selected_place(options))


if __name__ == "__main__":
    raise SystemExit(main())
