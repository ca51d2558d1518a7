"""The command `remote-http-launcher`: have the service of a YAML file available."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from seamless.cli.common import FAILURE, OK, add_version, make_parser, print_error, run_main, write_stdout
from seamless.launcher.client import run
from seamless.launcher.configuration import LOG_LEVELS, Configuration
from seamless.launcher.errors import LauncherError
from seamless.launcher.paths import state_path

PROG = "remote-http-launcher"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = make_parser(
        PROG,
        "Make sure that exactly one service with the key of CONFIG runs on this machine\n"
        "and answers, and write how to reach it into a connection file.",
        usage="%(prog)s [options] CONFIG",
        examples=(
            "remote-http-launcher hashserver.yaml",
            "remote-http-launcher --json hashserver.yaml   # prints host, port, token",
        ),
        exit_codes=(
            (0, "the service answers"),
            (1, "it could not be made available"),
            (2, "a mistake in the arguments"),
        ),
    )
    parser.allow_abbrev = False
    parser.add_argument_group("Inputs").add_argument("config", metavar="CONFIG", help="YAML file: a mapping")
    outputs = parser.add_argument_group("Outputs")
    outputs.add_argument(
        "--connection-dir",
        metavar="DIR",
        help="directory of connection files (default: ~/.remote-http-launcher/client)",
    )
    outputs.add_argument("--json", action="store_true", help="print the connection as JSON, its token included")
    execution = parser.add_argument_group("Execution")
    execution.add_argument("--dry-run", action="store_true", help="print the command of the service and start nothing")
    execution.add_argument(
        "--timeout", type=float, metavar="SECONDS", help="how long it may take to start (default: 300)"
    )
    debugging = parser.add_argument_group("Debugging")
    debugging.add_argument("--log-level", choices=LOG_LEVELS, help="how much is said on stderr (default: basic)")
    debugging.add_argument("--log-file", metavar="F", help="with --log-level minimal: phases to this file")
    debugging.add_argument("--debug-log-file", metavar="F", help="everything to this file")
    add_version(debugging)
    debugging.add_argument("-h", "--help", action="help", help="show this help and exit")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_main(PROG, lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> int:
    parser = build_parser()
    options = parser.parse_args(argv)
    if options.timeout is not None and not 0 < options.timeout < float("inf"):
        parser.error("argument --timeout: a number of seconds greater than 0 is expected")
    try:
        config = Configuration.from_yaml(options.config)
        given = {"log_level": options.log_level, "log_file": options.log_file, "debug_log_file": options.debug_log_file}
        given |= {"start_timeout": options.timeout}
        config = config.replaced(**{name: value for name, value in given.items() if value is not None})
        if options.dry_run:
            path = state_path(config.key) if config.is_local else f"~/.remote-http-launcher/server/{config.key}.json"
            write_stdout(config.evaluated_command(path).encode("utf-8", "surrogateescape") + b"\n")
            return OK
        payload = run(config, connection_dir=options.connection_dir)
    except LauncherError as exc:
        if not exc.reported:
            print_error(str(exc), label="error")
        return FAILURE
    if options.json:
        write_stdout(json.dumps(payload, sort_keys=True).encode() + b"\n")
    return OK


if __name__ == "__main__":
    raise SystemExit(main())
