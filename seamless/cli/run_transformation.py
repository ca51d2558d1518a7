"""The command `seamless-run-transformation`: execute a transformation that is known by its checksum."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from seamless.cli.common import FAILURE, INTERRUPTED, OK, Messages, add_general, make_parser, run_main
from seamless.cli.resolve import checksum_from, deliver_bytes
from seamless.cli.storage import open_storage
from seamless.cli.transfer.options import add_scope
from seamless.errors import CacheMissError, SeamlessError, UsageError

if TYPE_CHECKING:
    from seamless.checksum import Checksum
    from seamless.cli.storage import Storage
    from seamless.transformer.outcome import Outcome

PROG = "seamless-run-transformation"
_DUNDER = "dunder.json"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = make_parser(
        PROG,
        "Execute a transformation of any language that is known by its checksum, or take its\n"
        "result from the cache, and print the checksum of the result.",
        usage="%(prog)s [options] CHECKSUM|FILE",
        examples=(
            "seamless-run --dry --upload -j job 'sort a.txt'",
            "seamless-run-transformation job/transformation.json.CHECKSUM",
        ),
        exit_codes=(
            (0, "done: the checksum of the result is printed"),
            (1, "the transformation has failed, or is not known"),
            (2, "a mistake in the arguments"),
            (130, "interrupted, or canceled"),
        ),
    )
    inputs = parser.add_argument_group("Inputs")
    inputs.add_argument("what", metavar="CHECKSUM|FILE", help="64 hexadecimal digits, or a file that holds them")
    inputs.add_argument(
        "--dunder",
        metavar="FILE",
        help="what is not part of the identity: __meta__, __env__, META__ pins (default: dunder.json beside FILE, if "
        "FILE ends in .CHECKSUM and there is one)",
    )
    outputs = parser.add_argument_group("Outputs")
    outputs.add_argument("-o", "--output", metavar="FILE", help="write the checksum to FILE (default: standard output)")
    outputs.add_argument("--scratch", action="store_true", help="keep the checksum of the result only")
    execution = parser.add_argument_group("Execution")
    execution.add_argument(
        "--direct-print", action="store_true", help="print the output while it runs, wherever it runs"
    )
    execution.add_argument("--fingertip", action="store_true", help="recompute inputs whose content is gone")
    execution.add_argument(
        "--strict", action="store_true", help="refuse to join an execution under way that has other settings"
    )
    add_scope(parser)
    add_general(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""

    def run() -> int:
        options = build_parser().parse_args(argv)
        messages = Messages(PROG, options.verbosity)
        tf = checksum_from(options.what)
        dunder = _dunder(options)
        storage = open_storage(project=options.project, stage=options.stage)
        try:
            return _run(tf, dunder, storage, options, messages)
        finally:
            storage.close()

    status = run_main(PROG, run, label="ERROR")
    shutdown = sys.modules.get("seamless.shutdown")
    if shutdown is not None:
        shutdown.close()
    return status


def _run(
    tf: Checksum, dunder: dict[str, Any], storage: Storage, options: argparse.Namespace, messages: Messages
) -> int:
    from seamless.transformer.remote_job import RemoteJobWritten

    try:
        outcome = _execute(tf, dunder, storage, options)
    except RemoteJobWritten as written:
        messages.message(0, str(written))
        return OK
    if outcome.canceled:
        messages.error(f"Canceled transformation {tf}")
        return INTERRUPTED
    if isinstance(outcome.original, RemoteJobWritten):
        messages.message(0, str(outcome.original))
        return OK
    if outcome.result is None:
        if isinstance(outcome.original, CacheMissError):
            raise SeamlessError(f"seamless.CacheMissError: {outcome.original.checksum}, an input of {tf}")
        messages.error((outcome.error or f"transformation {tf} has no result").rstrip())
        return FAILURE
    messages.message(1, "the result is from the cache" if outcome.cached else "the transformation was executed")
    deliver_bytes(outcome.result.hex().encode() + b"\n", options.output)
    return OK


def _execute(tf: Checksum, dunder: dict[str, Any], storage: Storage, options: argparse.Namespace) -> Outcome:
    from seamless.cli.running.execution import show_output
    from seamless.cli.running.requests import CancelRequests
    from seamless.cli.running.run_state import control_directory
    from seamless.transformer.from_dict import envelope_of
    from seamless.transformer.identity import load_bearing, orthogonal
    from seamless.transformer.runner import run_transformation

    whole = {**_definition(tf, storage), **dunder}
    meta: dict[str, Any] = {}
    if options.fingertip:
        meta["allow_input_fingertip"] = True
    if options.direct_print:
        meta["__direct_print__"] = True
    envelope = envelope_of(orthogonal(whole), meta=meta, scratch=options.scratch, strict=options.strict)
    transformation = {"__output__": ["result", "mixed", None], **load_bearing(whole)}
    with CancelRequests(control_directory()) as requests, requests.accept(tf):
        return run_transformation(transformation, tf, envelope, on_output=show_output)


def _definition(tf: Checksum, storage: Storage) -> dict[str, Any]:
    """Return the transformation dict of this checksum. Raises SeamlessError if it is not known, or is none."""
    from seamless.celltypes import parse

    data = storage.buffers.get(tf)
    if data is None:
        raise SeamlessError(
            f"seamless.CacheMissError: {tf}\nThe transformation is not in {storage.where}: store it with "
            "seamless-run --dry --upload -j DIR ..."
        )
    try:
        definition = parse(data, "plain")
    except ValueError:
        definition = None
    if not isinstance(definition, dict) or "__language__" not in definition:
        raise SeamlessError(f"{tf} is no transformation: its content is no JSON object with a '__language__'")
    return definition


def _dunder(options: argparse.Namespace) -> dict[str, Any]:
    """Return what goes over the transformation and is not part of its identity."""
    import json

    path = options.dunder
    if path is None:
        if not options.what.endswith(".CHECKSUM"):
            return {}
        path = os.path.join(os.path.dirname(options.what), _DUNDER)
        if not os.path.exists(path):
            return {}
    try:
        with open(path, encoding="utf-8") as f:
            dunder = json.load(f)
    except FileNotFoundError:
        raise UsageError(f"--dunder {path}: there is no such file") from None
    except RecursionError:
        raise UsageError(f"{path}: no valid JSON: it is nested too deeply") from None
    except ValueError as exc:
        raise UsageError(f"{path}: no valid JSON: {exc}") from exc
    if not isinstance(dunder, dict):
        raise UsageError(f"{path}: a JSON object is expected, not {type(dunder).__name__}")
    _check(dunder, path)
    return dunder


def _check(dunder: dict[str, Any], path: str) -> None:
    """Raise UsageError for a key that would change the identity."""
    from seamless.transformer.identity import is_load_bearing

    for key in dunder:
        try:
            wrong = is_load_bearing(key)
        except ValueError as exc:
            raise UsageError(f"{path}: {exc}") from exc
        if wrong:
            raise UsageError(
                f"{path}: {key!r} is part of the identity of a transformation; only __meta__, __env__ and other keys "
                "that say how it is executed can be given here"
            )


if __name__ == "__main__":
    sys.exit(main())
