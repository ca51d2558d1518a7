"""The command `seamless-verify`: execute steps again, and compare with the results that are known."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from seamless.cli.common import FAILURE, OK, Messages, add_general, make_parser, run_main, write_stdout
from seamless.cli.insight.places import origins_in
from seamless.cli.resolve import checksum_from
from seamless.cli.storage import open_storage
from seamless.cli.transfer.options import add_scope
from seamless.errors import SeamlessError, UsageError

if TYPE_CHECKING:
    from seamless.checksum import Checksum
    from seamless.cli.storage import Storage
    from seamless.insight.verification import Verdict

PROG = "seamless-verify"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = make_parser(
        PROG,
        "Execute steps again, here, and compare what they give with their known results:\n"
        "by every byte; if they differ and there is a witness, by what that makes of both.\n"
        "A difference is registered. The known result stays, unless --forget.",
        usage="%(prog)s [options] WHAT...\n       %(prog)s --list",
        examples=(
            "seamless-verify sorted.txt.CHECKSUM",
            "seamless-verify --witness 'cut -c 1-4 result' numbers.txt.CHECKSUM",
        ),
        exit_codes=(
            (0, "all gave the same, or the witness says so"),
            (1, "a result did not come again, or a step failed"),
            (2, "a mistake in the arguments"),
        ),
    )
    inputs = parser.add_argument_group("What is verified")
    inputs.add_argument(
        "what", nargs="*", metavar="WHAT", help="the checksum of a transformation or of a result, or a file with it"
    )
    inputs.add_argument(
        "--witness",
        metavar="STEP",
        help="a bash command that reads the file or directory 'result' and prints what must be the same; or the "
        "checksum of a transformation that has the known result as an input",
    )
    inputs.add_argument("--list", action="store_true", help="list the results that are registered as irreproducible")
    execution = parser.add_argument_group("Execution")
    execution.add_argument("--repeat", type=_positive, default=1, metavar="N", help="so many times (default: 1)")
    execution.add_argument(
        "--forget", action="store_true", help="a result that does not come again is no longer that of the step"
    )
    outputs = parser.add_argument_group("Outputs")
    outputs.add_argument("--json", action="store_true", help="one JSON object a line")
    group = add_scope(parser)
    group.add_argument("--directory", metavar="DIR", default=None, help="with --list: the store in this directory")
    group.add_argument("--database", metavar="DIR", default=None, help="with --directory: where seamless.db is")
    add_general(parser)
    return parser


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    status = run_main(PROG, lambda: _run(build_parser().parse_args(argv)), label="ERROR")
    shutdown = sys.modules.get("seamless.shutdown")
    if shutdown is not None:
        shutdown.close()
    return status


def _run(options: argparse.Namespace) -> int:
    if options.list:
        return _list(options)
    if not options.what:
        raise UsageError("what is to be verified? The checksum of a transformation or of a result is expected")
    if options.directory or options.database:
        raise UsageError("--directory and --database are for --list; select a store with --project and --stage")
    messages = Messages(PROG, options.verbosity)
    storage = open_storage(project=options.project, stage=options.stage, local=True)
    status = OK
    try:
        with origins_in(options, storage) as origins:
            steps = list(_steps(options.what, storage, origins))
        for step, definition, cached in steps:
            for _ in range(options.repeat):
                messages.message(1, f"run {step}")
                verdict = _verify(step, definition, cached, options)
                _print(verdict, options)
                if verdict.outcome in ("different", "failed"):
                    status = FAILURE
                if verdict.outcome != "same":
                    break
    finally:
        storage.close()
    return status


def _verify(step: Checksum, definition: dict[str, Any], cached: Checksum, options: argparse.Namespace) -> Verdict:
    from seamless.cli.running.execution import show_output
    from seamless.insight.verification import verify

    return verify(step, definition, cached, witness=options.witness, forget=options.forget, on_output=show_output)


def _steps(
    words: Sequence[str], storage: Storage, origins: Callable[[Checksum], list[Checksum]]
) -> Iterator[tuple[Checksum, dict[str, Any], Checksum]]:
    """Yield what the words mean: a transformation, its dict, its known result. Raises SeamlessError."""
    for word in words:
        checksum = checksum_from(word)
        steps = [checksum] if _dict(checksum, storage) is not None else origins(checksum)
        if not steps:
            raise SeamlessError(f"{checksum} is neither a transformation in {storage.where}, nor the result of one")
        for step in steps:
            definition, result = _dict(step, storage), storage.results.get_result(step)
            if definition is None:
                raise SeamlessError(f"the definition of the transformation {step} is not in {storage.where}")
            if result is None:
                raise SeamlessError(f"the transformation {step} has no known result: there is nothing to compare with")
            yield step, definition, result


def _dict(checksum: Checksum, storage: Storage) -> dict[str, Any] | None:
    """Return the transformation dict of this checksum, or None if it is none."""
    length = storage.buffers.length(checksum)
    data = storage.buffers.get(checksum) if length is not None and length <= 1 << 24 else None
    try:
        value = json.loads(data) if data is not None else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and "__language__" in value else None


def _print(verdict: Verdict, options: argparse.Namespace) -> None:
    from seamless.cli.insight.printing import verdict_lines

    text = json.dumps(verdict.as_dict()) if options.json else "\n".join(verdict_lines(verdict))
    write_stdout((text + "\n").encode("utf-8", "surrogateescape"))


def _list(options: argparse.Namespace) -> int:
    """Print the registered results of a store on this machine."""
    from seamless.cli.insight.places import selected_place
    from seamless.insight.place import registered_results

    for step, result, current in registered_results(selected_place(options)):
        if options.json:
            line = json.dumps({"tf_checksum": step, "result_checksum": result, "current": current})
        else:
            line = f"{step}  {result}  {'is the known result' if current else 'is another result'}"
        write_stdout((line + "\n").encode())
    return OK


if __name__ == "__main__":
    sys.exit(main())
