"""The command `seamless-doctor`: check the current configuration and every machine that it names."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from functools import partial

from seamless.cli.common import FAILURE, OK, add_general, make_parser, run_main
from seamless.cli.config import split_stage
from seamless.cli.doctor.finding import HERE, PROBLEM, Finding, good, note, print_findings, problem
from seamless.cli.doctor.machine import check_machine
from seamless.cli.doctor.plan import places_of
from seamless.cli.doctor.services import check_packages, check_services, check_workers
from seamless.cli.doctor.store import check_store
from seamless.cli.service.remote import at_once
from seamless.cli.storage import FINE_WITHOUT_CLUSTER
from seamless.config.checking import check_workdir
from seamless.config.errors import ConfigurationError
from seamless.config.evaluation import evaluate
from seamless.config.resolved import ResolvedConfig
from seamless.errors import SeamlessError

PROG = "seamless-doctor"
SECONDS = 30.0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = make_parser(
        PROG,
        "Check whether what is configured can work: this machine, every other one that\n"
        "the cluster names (by SSH), the services, the cache directory. Starts nothing and\n"
        "changes nothing.",
        usage="%(prog)s [options]",
        examples=("seamless-doctor", "seamless-doctor --cluster hpc", "seamless-doctor --all-clusters --json"),
        exit_codes=(
            (0, "all is well; there may be notes"),
            (1, "something is wrong: the column FIX says what helps"),
            (2, "a mistake in the arguments or in the configuration"),
        ),
    )
    parser.allow_abbrev = False
    selection = parser.add_argument_group("Selection")
    selection.add_argument("--cluster", metavar="C", help="the cluster (default: as configured here)")
    selection.add_argument("--all-clusters", action="store_true", help="the machines of every defined cluster")
    selection.add_argument("--stage", metavar="S[:SUB]", help="the stage (default: $SEAMLESS_STAGE, else none)")
    selection.add_argument(
        "--workdir", metavar="DIR", help="the directory of the project files (default: $SEAMLESS_WORKDIR, else here)"
    )
    selection.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=SECONDS,
        help="how long a machine may take (default: %(default)g)",
    )
    output = parser.add_argument_group("Output")
    output.add_argument("--json", action="store_true", help="one JSON object a line: check, place, status, result, fix")
    add_general(parser, verbose=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_main(PROG, partial(_run, argv))


def _run(argv: Sequence[str] | None) -> int:
    parser = build_parser()
    options = parser.parse_args(argv)
    if not 0 < options.timeout < float("inf"):
        parser.error("argument --timeout: a number of seconds greater than 0 is expected")
    if options.cluster is not None and options.all_clusters:
        parser.error("--all-clusters and --cluster exclude each other")
    stage, substage = split_stage(options.stage or os.environ.get("SEAMLESS_STAGE"))
    workdir = os.path.abspath(options.workdir or os.environ.get("SEAMLESS_WORKDIR") or os.getcwd())
    overrides = {} if options.cluster is None else {"cluster": options.cluster}
    # A cluster alone can be looked at, whatever the project calls for.
    check = options.cluster is None and not options.all_clusters
    config = evaluate(workdir, stage=stage, substage=substage, overrides=overrides, check=check)
    findings = examine(config, all_clusters=options.all_clusters, seconds=options.timeout)
    if options.verbosity < 0:
        findings = [finding for finding in findings if finding.status == PROBLEM]
    if findings or options.verbosity >= 0:
        print_findings(findings, as_json=options.json)
    return FAILURE if any(finding.status == PROBLEM for finding in findings) else OK


def examine(config: ResolvedConfig, *, all_clusters: bool = False, seconds: float = SECONDS) -> list[Finding]:
    """Return all findings. A machine that cannot be reached is one of them. Blocks about `seconds`.

    Raises ConfigurationError if the configured cluster is not rightly defined.
    """
    findings = [*_configured(config), *check_packages(config)]
    tasks: dict[object, Callable[[], list[Finding]]] = {}
    names = [config.cluster] if config.cluster is not None and config.cache is None else []
    if config.cluster is not None:
        config.get_cluster(config.cluster)
    for name in sorted(config.clusters) if all_clusters else names:
        try:
            places_of(config, [name])
        except ConfigurationError as exc:
            findings.append(problem("config", name, exc.findings[0].message, "correct the definition of the cluster"))
        else:
            names = list(dict.fromkeys([*names, name]))
    for place in places_of(config, names):
        tasks["machine", place.host] = partial(check_machine, place, seconds)
    if not names or config.cache is not None:
        tasks["store", None] = partial(check_store, config, seconds)
    elif config.cluster is not None:
        tasks["services", None] = partial(check_services, config)
    for (what, host), answer in at_once(tasks).items():
        if isinstance(answer, SeamlessError):
            findings.append(problem(what, host or HERE, str(answer), "see the message"))
        else:
            findings += answer
    return findings + check_workers(config)


def _configured(config: ResolvedConfig) -> list[Finding]:
    """Return what the configuration itself says."""
    names = ("cluster", "project", "subproject", "stage", "execution")
    shown = ", ".join(f"{name} {getattr(config, name)}" for name in names if getattr(config, name))
    found = [good("config", HERE, shown)]
    doubts = {warning.message: (warning.code, warning.where) for warning in config.warnings}
    if config.cache is None:
        doubts |= {
            doubt.message: (doubt.code, None if doubt.place is None else str(doubt.place))
            for doubt in check_workdir(config.workdir)
        }
    for message, (code, where) in doubts.items():
        if config.cluster is not None or code not in FINE_WITHOUT_CLUSTER:
            found.append(note("config", where or HERE, message))
    return found


if __name__ == "__main__":
    raise SystemExit(main())
