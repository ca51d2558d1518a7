"""The command `seamless-probe`: have what execution records say of machine and software be up to date."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from seamless.cli.common import OK, OWN, Messages, make_parser, run_main
from seamless.cli.run_options import Options, add_options, check_combinations, parse_words
from seamless.errors import UsageError

PROG = "seamless-probe"

# Options of seamless-run that are refused here, and the name by which they are stored.
_REFUSED = {
    "--dry": "dry",
    "--qsubmit": "qsubmit",
    "--write-job": "job",
    "--write-remote-job": "remote_job",
    "--upload": "upload",
    "--undo": "undo",
    "--detach": "detach",
}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command: that of seamless-run, without what would execute or write."""
    parser = make_parser(
        PROG,
        "Note the machine and the software that a command would be executed with, for execution\n"
        "records: a bucket for the node, one for the environment, one for both together. What is\n"
        "up to date stays as it is. The command is not executed; without one, `true` is taken.",
        usage="%(prog)s [options] [command [args...]]",
        examples=("seamless-probe -v", "seamless-probe --conda tools -c 'samtools --version'"),
        exit_codes=(
            (0, "everything is up to date"),
            (2, "a mistake in the arguments"),
            (125, "Seamless itself failed"),
            (130, "interrupted"),
        ),
    )
    add_options(parser)
    for action in parser._actions:
        if "--force" in action.option_strings:
            action.help = "make them anew, even if nothing has changed"
        elif not _REFUSED.keys().isdisjoint(action.option_strings):
            action.help = argparse.SUPPRESS
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""

    def run() -> int:
        options = parse_words(build_parser(), sys.argv[1:] if argv is None else argv)
        for name, stored in _REFUSED.items():
            if getattr(options, stored):
                raise UsageError(f"{PROG} does not support {name}")
        check_combinations(options)
        options.command = options.command or ["true"]
        return _probe(options)

    return run_main(PROG, run, status=OWN, label="ERROR")


def _probe(options: Options) -> int:
    from seamless.cli.commandline.plan import make_plan
    from seamless.cli.running.command import plan_options
    from seamless.cli.running.description import environment_of
    from seamless.cli.storage import open_storage
    from seamless.transformer.buckets.probe import refresh
    from seamless.transformer.execution import seam

    messages = Messages(PROG, options.verbosity)
    plan = make_plan(plan_options(options), warn=messages.warning)
    storage = open_storage(project=options.project, stage=options.stage, local=options.local, queue=options.queue or "")
    try:
        if getattr(seam.executor, "remote", False) and not options.local:
            probes = _probe_elsewhere(plan, options)
        else:
            results: Any = storage.results  # every store of results but memory keeps probes
            probes = refresh(storage.buffers, results, environment_of(plan), force=options.force)
    finally:
        storage.close()
    for probe in probes:
        messages.message(1, f"{probe.kind}: {'refreshed' if probe.refreshed else 'up to date'} ({probe.label})")
        messages.message(2, f"{probe.kind}: {probe.checksum}")
    return OK


def _probe_elsewhere(plan: Any, options: Options) -> list[Any]:
    """Have the buckets made where the configuration executes; return their state. Raises TransformationError."""
    from seamless.celltypes import parse
    from seamless.cli.running.description import Description
    from seamless.errors import TransformationError
    from seamless.transformer import runner
    from seamless.transformer.buckets.probe import Probe
    from seamless.transformer.outcome import Envelope
    from seamless.transformer.recording.mode import PROBE

    step = Description(plan, [])  # not executed: its inputs need not be there
    envelope = Envelope(env=step.environment, scratch=True, pins={PROBE: {"force": options.force}}, name=PROG)
    outcome = runner.submit(step.transformation, step.checksum, envelope).wait()
    report = next((b for b in outcome.kept if b.get_checksum() == outcome.result), None)
    if report is None:
        raise TransformationError(outcome.error or "the place of execution has sent no report of its probe\n")
    return [Probe(**one) for one in parse(report.content, "plain")]


if __name__ == "__main__":
    sys.exit(main())
