"""The command `seamless-service-clear`: delete the data of a hashserver or database, and of nothing else."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from seamless.cli.common import FAILURE, OK, Messages, is_terminal, print_error, run_main
from seamless.cli.service.clear_remote import clear_there
from seamless.cli.service.common import STORAGE, Target, add_changing, finished, selected, service_parser
from seamless.cli.service.data import Clearing, below, clearing, look
from seamless.cli.service.output import print_json, print_line, round_size
from seamless.cli.service.remote import with_statuses
from seamless.errors import SeamlessError, UsageError
from seamless.launcher.clearing import checked_path, clear_directory
from seamless.launcher.errors import LauncherError
from seamless.launcher.listing import server_rows
from seamless.launcher.paths import expand_home
from seamless.launcher.processes import recorded_process

PROG = "seamless-service-clear"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = service_parser(
        PROG,
        "Delete the buffers of a hashserver, or the database of a database server, for\n"
        "good. Data of subprojects and stages stay, unless they are selected or with\n"
        "--recursive. Asks on a terminal. A running service is refused.",
        examples=(
            "seamless-service-clear --service hashserver --dry-run",
            "seamless-service-clear --service database --stage test --yes",
        ),
        required=True,
    )
    what = parser.add_argument_group("What is deleted")
    what.add_argument("--recursive", action="store_true", help="also the data of subprojects and stages below")
    what.add_argument("-y", "--yes", action="store_true", help="do not ask (a program is not asked)")
    what.add_argument("--force", action="store_true", help="also while a service uses the directory")
    add_changing(parser)
    return finished(parser)


class _Plan(NamedTuple):
    """What is to be done in one directory; its path and size for people."""

    clearing: Clearing
    shown: str
    size: str | None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_main(PROG, partial(with_statuses, _run, argv))


def _run(argv: Sequence[str] | None) -> int:
    parser = build_parser()
    options = parser.parse_args(argv)
    if options.service not in STORAGE:
        parser.error(f"a {options.service} has no durable data; --service hashserver or database is expected")
    target = selected(options)
    messages = Messages(PROG, options.verbosity)
    if target.machine is not None:
        return clear_there(target.machine, target, options, messages)
    try:
        path = checked_path(target.launch["workdir"])
    except LauncherError as exc:
        print_error(str(exc), label="rhl-clear")
        return FAILURE
    plans = _plans(path, target, options)
    if not options.force:
        _refuse_if_used(plans)
    if options.dry_run:
        for plan in plans:
            _show_command(plan, options, messages)
        return OK
    if not _agreed(plans, target, options):
        messages.message(-1, "nothing was deleted")
        return FAILURE
    status = OK
    for plan in plans:
        if not options.force:
            _refuse_if_used([plan])  # asking has taken time
        status = max(status, _clear(plan, target, options))
    return status


def _plans(path: str, target: Target, options: argparse.Namespace) -> list[_Plan]:
    workdir = target.launch["workdir"]
    root = os.path.realpath(_root(target))
    if root == path or root.startswith(path.rstrip("/") + "/"):
        raise SeamlessError(f"{workdir} holds the data of all projects (it is {path}); it is not deleted")
    plans = [_plan(options.service, path, expand_home(workdir))]
    if options.recursive:
        inner = [os.path.join(path, *names) for names in below(path, options.service)]
        plans += [_plan(options.service, directory, directory) for directory in inner]
    return plans


def _plan(service: str, path: str, shown: str) -> _Plan:
    return _Plan(clearing(service, path), shown, round_size(look(service, path).size))


def _root(target: Target) -> str:
    """Return the directory of all projects."""
    meta = target.launch["meta"]
    stage = f"/STAGE-{meta['stage']}" if meta["stage"] else ""
    tail = "/".join(["", *filter(None, (meta["project"], meta["subproject"]))]) + stage
    return expand_home(target.launch["workdir"].removesuffix(tail) or "/")


def _refuse_if_used(plans: list[_Plan]) -> None:
    """Raise SeamlessError if a living service has one of the directories."""
    paths = {plan.clearing.path for plan in plans}
    for row in server_rows():
        workdir = row.get("workdir")
        if not isinstance(workdir, str) or os.path.realpath(expand_home(workdir)) not in paths:
            continue
        if recorded_process(row) is not None:
            raise SeamlessError(
                f"service {row['key']} is running in {workdir}; stop it first (seamless-service-stop), or use --force"
            )


def _show_command(plan: _Plan, options: argparse.Namespace, messages: Messages) -> None:
    command = ["rhl-clear", *(["--force"] if options.force else []), plan.shown]
    if options.json:
        row = {"command": command, "dry_run": True, "items": len(plan.clearing.remove), "path": plan.shown}
        print_json({**row, "stay": plan.clearing.stay})
        return
    print_line(shlex.join(command))
    if plan.clearing.stay:
        messages.message(0, f"without {', '.join(plan.clearing.stay)}, which rhl-clear would delete as well")


def _agreed(plans: list[_Plan], target: Target, options: argparse.Namespace) -> bool:
    """Tell whether the data may be deleted: ask on a terminal."""
    if options.yes or not any(plan.clearing.remove for plan in plans):
        return True
    if not is_terminal(sys.stdin):
        return True
    if not is_terminal(sys.stderr):
        raise UsageError("cannot ask whether to delete, because stderr is not a terminal; use --yes")
    sys.stderr.write(f"This deletes the data of {target.key}:\n")
    for plan in plans:
        size = "" if plan.size is None else f", {plan.size}"
        stay = f" (there stay: {', '.join(plan.clearing.stay)})" if plan.clearing.stay else ""
        sys.stderr.write(f"  {len(plan.clearing.remove)} item(s){size} in {plan.shown}{stay}\n")
    sys.stderr.write("Delete? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _clear(plan: _Plan, target: Target, options: argparse.Namespace) -> int:
    cleared = clear_directory(plan.clearing.path, force=True, keep=plan.clearing.keep)
    for problem in cleared.problems:
        print_error(problem)
    if options.json:
        row = {"key": target.key, "path": plan.shown, "removed": cleared.removed, "stay": plan.clearing.stay}
        print_json({**row, "problems": cleared.problems})
    else:
        print_line(f"removed {cleared.removed} item(s) from {plan.shown}")
        if plan.clearing.stay:
            Messages(PROG, options.verbosity).message(0, f"there stay: {', '.join(plan.clearing.stay)}")
    return FAILURE if cleared.problems else OK


if __name__ == "__main__":
    raise SystemExit(main())
