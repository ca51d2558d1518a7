"""The command `seamless-config`: show, check, compare and rewrite configurations. Starts and contacts nothing."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from seamless.cli.common import (
    OK,
    USAGE,
    HelpFormatter,
    Messages,
    add_general,
    make_parser,
    run_main,
    write_stdout,
)
from seamless.errors import UsageError

PROG = "seamless-config"
WARNINGS = 1  # exit status of `check --strict` if there are only warnings
EXIT_CODES = (
    (0, "the configuration is in order; for 'check' there may be warnings"),
    (1, "only with 'check --strict': there are warnings, but no errors"),
    (2, "the configuration has errors, or the arguments are wrong"),
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = make_parser(
        PROG,
        "Show and check what is configured, by seamless.yaml, seamless.profile.yaml and\n"
        "the cluster files. Nothing is started or contacted.",
        usage="%(prog)s [options] COMMAND ...",
        examples=(
            "seamless-config show --origin            # each value, and where it is set",
            "seamless-config check --strict           # also stages and clusters not in use",
        ),
        exit_codes=EXIT_CODES,
    )
    commands = parser.add_subparsers(metavar="COMMAND", title="Commands", required=True, dest="command")
    _add_show(_command(commands, "show", "print what is configured for a directory"))
    _add_check(_command(commands, "check", "check the files, also stages and clusters not in use"))
    _add_clusters(_command(commands, "clusters", "list the defined clusters and where they are"))
    _add_schema(_command(commands, "schema", "print the JSON Schema of a kind of file, for editors"))
    _add_diff(_command(commands, "diff", "print what differs between two stages"))
    _add_migrate(_command(commands, "migrate", "rewrite files that were written for earlier versions"))
    add_general(parser, verbose=False)
    return parser


def _command(commands: Any, name: str, summary: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + ".", formatter_class=HelpFormatter
    )
    return parser


def _add_workdir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workdir", metavar="DIR", help="the directory of the project files (default: $SEAMLESS_WORKDIR, else here)"
    )


def _add_show(parser: argparse.ArgumentParser) -> None:
    _add_workdir(parser)
    parser.add_argument("--stage", metavar="S[:SUB]", help="the stage (default: $SEAMLESS_STAGE, else none)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--services", action="store_true", help="also how each service would be launched")
    parser.add_argument("--origin", action="store_true", help="also where each value is set")
    parser.set_defaults(run=_show)


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="*", help="check only these files, each by itself")
    _add_workdir(parser)
    parser.add_argument("--strict", action="store_true", help="exit status 1 if there are warnings")
    parser.add_argument(
        "--format", choices=("text", "json", "github"), default="text", help="how to print findings (default: text)"
    )
    parser.set_defaults(run=_check)


def _add_clusters(parser: argparse.ArgumentParser) -> None:
    _add_workdir(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.set_defaults(run=_clusters)


def _add_schema(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "kind",
        choices=("project", "clusters"),
        nargs="?",
        default="project",
        help="the kind of file (default: project)",
    )
    parser.set_defaults(run=_schema)


def _add_diff(parser: argparse.ArgumentParser) -> None:
    _add_workdir(parser)
    parser.add_argument(
        "--stage",
        metavar="S[:SUB]",
        action="append",
        required=True,
        help="a stage; give it twice, '' stands for none",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_diff)


def _add_migrate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", help="a project file or cluster file")
    parser.add_argument(
        "--image",
        metavar="CONDA=IMAGE",
        action="append",
        default=[],
        help="write 'image: IMAGE' instead of 'conda: CONDA'; may be repeated",
    )
    parser.add_argument("--write", action="store_true", help="change the files (default: print the new text)")
    parser.set_defaults(run=_migrate)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_main(PROG, partial(_run, argv))


def _run(argv: Sequence[str] | None) -> int:
    options = build_parser().parse_args(argv)
    status: int = options.run(options)
    return status


# --- commands -------------------------------------------------------------------------------------


def _workdir(options: argparse.Namespace) -> str:
    return os.path.abspath(options.workdir or os.environ.get("SEAMLESS_WORKDIR") or os.getcwd())


def split_stage(text: str | None) -> tuple[str | None, str | None]:
    """Return stage and substage of `STAGE[:SUBSTAGE]`. Raises UsageError if there is a substage without a stage."""
    stage, _, substage = (text or "").partition(":")
    if substage and not stage:
        raise UsageError(f"Invalid --stage value {text!r}: expected STAGE[:SUBSTAGE]")
    return stage or None, substage or None


def _show(options: argparse.Namespace) -> int:
    from seamless.config.api import resolve
    from seamless.config.description import describe_config

    stage = options.stage if options.stage is not None else os.environ.get("SEAMLESS_STAGE")
    config = resolve(_workdir(options), *split_stage(stage))
    described = describe_config(config, services=options.services)
    if options.json:
        _print_json(described)
        return OK
    messages = Messages(PROG, options.verbosity)
    for warning in config.warnings:
        messages.warning(str(warning))
    lines = []
    for name, value in described["state"].items():
        lines.append([name, _shown(value), described["origin"][name] if options.origin else ""])
    lines.append(["active", ", ".join(described["active"]) or "-", ""])
    _print_table(lines)
    if options.services:
        import json

        for service, launch in described["services"].items():
            _print(f"\n{service}")
            for name, value in launch.items():
                _print(f"  {name}: {value if isinstance(value, str) else json.dumps(value)}")
    return OK


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check(options: argparse.Namespace) -> int:
    from seamless.config.checking import check_files, check_workdir

    findings = check_files(options.files) if options.files else check_workdir(_workdir(options))
    shown = [finding for finding in findings if options.verbosity >= 0 or finding.severity == "error"]
    for finding in shown:
        _print_finding(finding, options.format)
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = len(findings) - errors
    if options.format == "text":
        Messages(PROG, options.verbosity, stream=sys.stderr).message(0, f"errors: {errors}, warnings: {warnings}")
    if errors:
        return USAGE
    return WARNINGS if warnings and options.strict else OK


def _print_finding(finding: Any, form: str) -> None:
    from seamless.config.errors import shown_path

    place = finding.place
    if form == "json":
        _print_json(
            {
                "severity": finding.severity,
                "code": finding.code,
                "message": finding.message,
                "path": None if place is None else place.path,
                "line": None if place is None else place.line,
                "column": None if place is None else place.column,
            }
        )
    elif form == "github":
        where = "" if place is None else f"file={shown_path(place.path)},line={place.line},col={place.column}"
        _print(f"::{finding.severity} {where}::{finding.message}")
    elif place is None:
        _print(f"{finding.severity}: {finding.message}")
    else:
        _print(f"{place}: {finding.severity}: {finding.message}{place.marked_line()}")


def _clusters(options: argparse.Namespace) -> int:
    from seamless.config.evaluation import evaluate

    config = evaluate(_workdir(options), check=False)
    table = [["CLUSTER", "TYPE", "QUEUES", "USABLE", "ORIGIN"]]
    for name, cluster in sorted(config.clusters.items()):
        origin = "SEAMLESS_CACHE" if cluster.key is None else str(cluster.key.place)
        table.append([name, cluster.type or "-", ",".join(cluster.queues) or "-", _shown(cluster.usable), origin])
        if options.json:
            _print_json(
                {
                    "cluster": name,
                    "type": cluster.type,
                    "local": name == config.local_cluster,
                    "usable": cluster.usable,
                    "queues": list(cluster.queues),
                    "default_queue": cluster.default_queue,
                    "origin": origin,
                }
            )
    if not options.json:
        _print_table(table)
    return OK


def _schema(options: argparse.Namespace) -> int:
    from seamless.config.commands import clusters_schema, project_schema

    _print_json(project_schema() if options.kind == "project" else clusters_schema(), indent=2)
    return OK


def _diff(options: argparse.Namespace) -> int:
    from seamless.config.api import resolve
    from seamless.config.description import describe_config, difference

    if len(options.stage) != 2:
        raise UsageError(f"'diff' compares two stages: give --stage twice, not {len(options.stage)} times")
    first, second = (describe_config(resolve(_workdir(options), *split_stage(text))) for text in options.stage)
    changes = difference(first, second)
    if options.json:
        _print_json({name: list(pair) for name, pair in changes.items()})
    else:
        _print_table([[name, _shown(old), "->", _shown(new)] for name, (old, new) in changes.items()])
    return OK


def _migrate(options: argparse.Namespace) -> int:
    from seamless.config.migration import migrate
    from seamless.util.files import write_atomically

    images = {}
    for pair in options.image:
        conda, equals, image = pair.partition("=")
        if not (conda and equals and image):
            raise UsageError(f"--image expects CONDA=IMAGE, found {pair!r}")
        images[conda] = image
    messages = Messages(PROG, options.verbosity)
    for path in options.files:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        new, changes = migrate(text, path, images)
        for change in changes:
            messages.message(0, change)
        if not options.write:
            write_stdout(new.encode())
        elif new != text:
            write_atomically(path, new.encode(), follow=True, mode=os.stat(path).st_mode & 0o777)
    return OK


# --- output ---------------------------------------------------------------------------------------


def _print(line: str) -> None:
    write_stdout((line + "\n").encode("utf-8", "backslashreplace"))


def _print_json(value: Any, indent: int | None = None) -> None:
    import json

    _print(json.dumps(value, indent=indent, ensure_ascii=False))


def _print_table(rows: list[list[str]]) -> None:
    """Print rows with columns of equal width."""
    if not rows:
        return
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        _print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    raise SystemExit(main())
