"""The command `seamless-init`: have the services run that the configuration of this directory calls for."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from seamless.cli.common import OK, Messages, add_general, make_parser, print_error, run_main
from seamless.cli.service.common import UNREACHABLE, with_commands
from seamless.cli.service.output import print_json, print_table
from seamless.config.activation import no_launch, refuse_unsupported, remote_backend
from seamless.config.api import resolve
from seamless.config.description import launch_dict
from seamless.config.extern_clients import VARIABLE as CLIENTS_VARIABLE
from seamless.config.resolved import ResolvedConfig
from seamless.errors import UsageError
from seamless.launcher.client import ON_MISMATCH, client_file, run
from seamless.launcher.configuration import Configuration
from seamless.launcher.errors import LauncherError
from seamless.launcher.executor import Executor, executor_for
from seamless.launcher.handshake import reachable_host
from seamless.launcher.health import examine
from seamless.launcher.observers import Observer, Observers, Phase, standard_observer
from seamless.launcher.paths import log_path
from seamless.launcher.processes import recorded_process
from seamless.launcher.statefile import State, read_state_or_none

PROG = "seamless-init"
# what a service is called when it is launched, in the order of launching
NAMES = {"hashserver": "hashserver", "database": "database server", "jobserver": "jobserver"}
_STORAGE = ("hashserver", "database")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = make_parser(
        PROG,
        "Have the services run that seamless.yaml and seamless.profile.yaml of the current\n"
        "directory call for. Programs start them as well, when they need them; this command\n"
        "shows early whether all of them work.",
        usage="%(prog)s [options]",
        examples=("seamless-init", "seamless-init --stage production:gpu", "seamless-init --check --json"),
        exit_codes=(
            (0, "the services run, or none is called for"),
            (1, "an error that is not about a service"),
            (2, "a mistake in the arguments or in the configuration"),
            (3, "a service could not be started, or with --check does not run"),
        ),
    )
    parser.allow_abbrev = False
    selection = parser.add_argument_group("Selection")
    selection.add_argument("--stage", metavar="S[:SUB]", help="the stage (default: $SEAMLESS_STAGE, else none)")
    execution = parser.add_argument_group("Execution")
    execution.add_argument("--check", action="store_true", help="only see whether the services run; start nothing")
    execution.add_argument(
        "--timeout", type=float, metavar="SECONDS", help="how long a service may take to start (default: 300)"
    )
    execution.add_argument(
        "--on-mismatch",
        choices=ON_MISMATCH,
        default="warn",
        help="what to do about a service that runs with other settings (default: %(default)s)",
    )
    output = parser.add_argument_group("Output")
    output.add_argument("--json", action="store_true", help="one JSON object a line instead of the table")
    add_general(parser, verbose=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_main(PROG, partial(_run, argv))


def _run(argv: Sequence[str] | None) -> int:
    parser = build_parser()
    options = parser.parse_args(argv)
    if options.timeout is not None and not 0 < options.timeout < float("inf"):
        parser.error("argument --timeout: a number of seconds greater than 0 is expected")
    stage = _stage(options.stage)
    if CLIENTS_VARIABLE in os.environ:
        return OK
    messages = Messages(PROG, options.verbosity)
    workdir = os.path.abspath(os.environ.get("SEAMLESS_WORKDIR") or os.getcwd())
    config = resolve(workdir, *stage)
    for warning in config.warnings:
        messages.warning(str(warning))
    if not no_launch():
        refuse_unsupported(config)
    if config.cache is not None and not options.check and not no_launch():
        _open_cache(config)
    reason = _no_services(config)
    if reason is not None:
        messages.message(0, reason)
        return OK
    launches = [Configuration.from_mapping(launch_dict(config, service)) for service in _STORAGE]
    rows = [_checked(launch, messages) if options.check else _launched(launch, options) for launch in launches]
    if remote_backend(config) == "jobserver":
        rows += _jobserver(config, options, messages, ready=all(row["status"] == "running" for row in rows))
    _print(rows, options)
    return OK if all(row["status"] == "running" for row in rows) else UNREACHABLE


def _stage(text: str | None) -> tuple[str | None, str | None]:
    """Return stage and substage of `STAGE[:SUBSTAGE]`. Raises UsageError for an empty stage."""
    if text is None:
        text = os.environ.get("SEAMLESS_STAGE", "").strip()
        if not text:
            return None, None
    stage, _, substage = text.partition(":")
    if not stage:
        raise UsageError(f"Invalid --stage value {text!r}: expected STAGE[:SUBSTAGE]")
    return stage, substage or None


def _no_services(config: ResolvedConfig) -> str | None:
    """Return why nothing is to be started, or None."""
    if config.cache is not None:
        return f"SEAMLESS_CACHE is set, so {config.cache} is used directly: there is nothing to start"
    if config.cluster is None:
        return f"no cluster is selected in {config.workdir}: there is nothing to start"
    if not config.persistent:
        return f"cluster '{config.cluster}' is used without persistence: there is nothing to start"
    if no_launch():
        return "SEAMLESS_NO_LAUNCH is set: nothing was started"
    return None


def _jobserver(
    config: ResolvedConfig, options: argparse.Namespace, messages: Messages, *, ready: bool
) -> list[dict[str, Any]]:
    """Have the jobserver run, or look at it; return its row. Without its stores (`ready`) it is not launched."""
    from seamless.config.context import context
    from seamless.shutdown import close

    if options.check:
        return [_checked(Configuration.from_mapping(launch_dict(config, "jobserver")), messages)]
    if not ready:
        return []
    try:
        context.activation.switch(config)  # what it is to use is told when it is launched
        return [_launched(Configuration.from_mapping(launch_dict(config, "jobserver")), options)]
    finally:
        close()


def _open_cache(config: ResolvedConfig) -> None:
    """See that the cache directory can be used. Raises StoreError."""
    from seamless.config.context import context
    from seamless.shutdown import close

    try:
        context.activation.switch(config)
    finally:
        close()


# --- one service ----------------------------------------------------------------------------------


class _Notice(Observer):
    """Says that a service is launched, if it really is."""

    def __init__(self, verbosity: int):
        self.verbosity, self.launched, self.service = verbosity, False, ""

    def begin(self, key: str, service: str) -> None:
        """Note the service."""
        self.service = service

    def phase(self, phase: Phase, result: str = "") -> None:
        """Say it."""
        if phase is Phase.LAUNCH and not self.launched:
            self.launched = True
            if self.verbosity >= 0:
                sys.stderr.write(f"Launch {NAMES.get(self.service, self.service)}...\n")
                sys.stderr.flush()


class _InOurWords(Observers):
    """The observers that a launch dict asks for; warnings name the commands for users."""

    def __init__(self, key: str, scope: Mapping[str, Any], *settings: Any):
        super().__init__([standard_observer(*settings)])
        self._key, self._scope = key, scope

    def warning(self, text: str) -> None:
        """Pass it on, with the commands for users."""
        super().warning(with_commands(text, self._key, self._scope))


def _described(launch: Configuration) -> dict[str, Any]:
    meta = launch.meta or {}
    scope = {name: meta.get(name) for name in ("service", "cluster", "project", "subproject", "stage")}
    host = launch.hostname
    return {**scope, "key": launch.key, "workdir": launch.workdir, "host": host, "port": None, "launched": False}


def _launched(launch: Configuration, options: argparse.Namespace) -> dict[str, Any]:
    """Have a service run; return its row. An error is shown, and becomes the status."""
    if options.timeout is not None:
        launch = launch.replaced(start_timeout=options.timeout)
    notice = _Notice(options.verbosity)
    row = _described(launch)
    shown = _InOurWords(launch.key, row, launch.log_level, launch.log_file, launch.debug_log_file)
    watchers = [notice, shown]
    try:
        payload = run(launch, observer=Observers(watchers), on_mismatch=options.on_mismatch)
    except LauncherError as exc:
        print_error(with_commands(str(exc), launch.key, row))
        log = log_path(launch.key) if launch.is_local else f"~/.remote-http-launcher/server/{launch.key}.log"
        return {**row, "launched": notice.launched, "status": "failed", "error": exc.message, "log": log}
    found = {"host": payload["hostname"], "port": payload["port"], "status": "running"}
    return {**row, **found, "launched": notice.launched}


def _checked(launch: Configuration, messages: Messages) -> dict[str, Any]:
    """See whether a service runs and answers; return its row. What is wrong is shown."""
    row = _described(launch)
    try:
        executor = executor_for(launch, connection_file=client_file(launch.key))
        state = executor.inspect(launch.key)
    except LauncherError as exc:
        print_error(with_commands(str(exc), launch.key, row))
        return {**row, "status": "unknown", "error": exc.message}
    if state is None:
        return {**row, "status": "absent"}
    row |= {"port": state.get("port"), "status": state["status"]}
    if not launch.is_local:
        return _checked_there(launch, executor, state, row, messages)
    process = recorded_process(state)
    if state["status"] != "running" or process is None:
        return row
    answer = examine(state, process, launch.handshake)
    if not answer.healthy:
        print_error(f"{launch.key} runs (pid {process.pid}), but does not answer: {answer.problem}")
        return {**row, "status": "unhealthy", "error": answer.problem}
    for difference in executor.differences(launch, state):
        messages.warning(f"{launch.key} runs with other settings than configured: {difference}")
    host = launch.hostname or reachable_host(str(state.get("network_interface") or "localhost"))
    return {**row, "host": host}


def _checked_there(
    launch: Configuration, executor: Executor, state: State, row: dict[str, Any], messages: Messages
) -> dict[str, Any]:
    """See whether a service of another machine, which is recorded there, answers here; return its row."""
    if state["status"] != "running":
        return row
    payload = read_state_or_none(client_file(launch.key)) or {}
    answers = "port" in payload and executor.vouches(launch, payload) is not None
    if answers:
        row |= {"host": payload["hostname"], "port": payload["port"]}
    elif payload and payload.get("status") != "stale":
        print_error(f"{launch.key} runs on {row['host']}, but does not answer here; {PROG} connects again")
        return {**row, "status": "unhealthy", "error": "it does not answer here"}
    for difference in executor.differences(launch, state):
        messages.warning(f"{launch.key} runs with other settings than configured: {difference}")
    return row


def _print(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    if options.json:
        for row in rows:
            print_json(row)
    elif options.verbosity >= 0:
        columns = ("service", "host", "port", "status")
        print_table([name.upper() for name in columns], ([row[name] for name in columns] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
