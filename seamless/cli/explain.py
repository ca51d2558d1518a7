"""The command `seamless-explain`: what identifies a step, which cached step is nearest to it, and what differs."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from seamless.cli.common import OK, Messages, add_general, make_parser, run_main, write_stdout
from seamless.cli.insight.places import add_place, selected_place
from seamless.cli.run_options import Options, add_options, parse_words
from seamless.errors import SeamlessError, UsageError

if TYPE_CHECKING:
    from seamless.insight.differences import Read
    from seamless.insight.explanation import Explanation
    from seamless.insight.sidecar import Sidecar

PROG = "seamless-explain"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command; it lacks the words of the command line that is explained."""
    parser = _parser()
    inputs = parser.add_argument_group("What is explained")
    inputs.add_argument(
        "what",
        nargs="*",
        metavar="WHAT",
        help="a command line with the options of seamless-run; or the checksum of a transformation or of a result, or "
        "a .CHECKSUM file",
    )
    inputs.add_argument("--json", action="store_true", help="one JSON object a step")
    _add_own(parser)
    add_place(parser)
    add_general(parser)
    return parser


def _parser() -> argparse.ArgumentParser:
    return make_parser(
        PROG,
        "Say what identifies a step, whether its result is cached, which cached steps are\n"
        "nearest to it, and exactly which inputs, lines of code or keys differ from them.\n"
        "Nothing is run.",
        usage="%(prog)s [options] CHECKSUM|FILE\n       %(prog)s [options, also of seamless-run] command [args...]",
        examples=(
            "seamless-explain 'sort t.txt > sorted.txt'",
            "seamless-explain --relatives 3 sorted.txt.CHECKSUM",
        ),
        exit_codes=((0, "explained"), (1, "not known here"), (2, "a mistake in the arguments")),
    )


def _add_own(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("Relatives")
    group.add_argument(
        "--relatives", type=_count, default=1, metavar="N", help="show the N nearest cached steps (default: 1)"
    )
    group.add_argument("--rebuild-index", action="store_true", help="make the index of the store again first")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0")
    return int(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_main(PROG, lambda: _run(sys.argv[1:] if argv is None else list(argv)), label="ERROR")


def _run(argv: list[str]) -> int:
    options = _parsed(argv)
    messages = Messages(PROG, options.verbosity)
    word = options.command[0] if len(options.command) == 1 else ""
    if _is_checksum(word):
        named = _checksum(word)
        with _index(options, messages) as sidecar:
            found = [_explained(sidecar, name, options) for name in _steps(sidecar, named)]
    else:
        found = [_explained_command(options, messages)]
    from seamless.cli.insight.printing import explanation_lines

    for one in found:
        text = json.dumps(one.as_dict()) if options.json else "\n".join(explanation_lines(one))
        write_stdout((text + "\n").encode("utf-8", "surrogateescape"))
    return OK


def _parsed(argv: list[str]) -> Options:
    """Return the options of ours and of seamless-run, and the words after them."""
    if any(word in ("-h", "--help", "--version") for word in argv[:1]):
        build_parser().parse_args(argv[:1])
    parser = _parser()
    add_options(parser)
    _add_own(parser)
    add_place(parser, scope=False)
    options: Any = parse_words(parser, argv)
    options.rebuild_index = getattr(options, "rebuild_index", False)  # that parser leaves out what is not given
    if not options.command:
        raise UsageError("what is to be explained? A command line, or the checksum of a transformation, is expected")
    explained: Options = options
    return explained


def _is_checksum(word: str) -> bool:
    from seamless.insight.definition import is_hex

    return is_hex(word) or (word.endswith(".CHECKSUM") and os.path.isfile(word))


def _checksum(word: str) -> str:
    from seamless.cli.resolve import checksum_from

    return checksum_from(word).hex()


def _index(options: Any, messages: Messages) -> Sidecar:
    """Open the index of the store and bring it up to date."""
    from seamless.insight.sidecar import Sidecar

    sidecar = Sidecar(selected_place(options))
    try:
        if options.rebuild_index:
            sidecar.rebuild()
        with messages.progress("index", unit="steps") as progress:
            new = sidecar.update(progress.update)
    except BaseException:
        sidecar.close()
        raise
    messages.message(1, f"{new} new steps in the index {sidecar.path}")
    return sidecar


def _steps(sidecar: Sidecar, name: str) -> list[str]:
    """Return the transformations that a checksum stands for: itself, or those that give it."""
    from seamless.insight.definition import definition_of
    from seamless.insight.place import read_buffer

    data = read_buffer(sidecar.place.open_buffers(), name)
    if data is not None and definition_of(data) is not None:
        return [name]
    found = sidecar.giving(name)
    if not found:
        raise SeamlessError(
            f"{name} is neither a transformation that is stored in {sidecar.place.buffers}, nor the result of one"
        )
    return found


def _explained(
    sidecar: Sidecar, name: str, options: Any, data: bytes | None = None, at_hand: Read = lambda hexsum: None
) -> Explanation:
    from seamless.cli.running.journal import entries
    from seamless.cli.running.run_state import control_directory
    from seamless.insight.definition import definition_of
    from seamless.insight.explanation import explain
    from seamless.insight.place import read_buffer

    if data is None:
        data = read_buffer(sidecar.place.open_buffers(), name)
    definition = definition_of(data) if data is not None else None
    if definition is None:
        raise SeamlessError(f"the definition of the transformation {name} is not stored in {sidecar.place.buffers}")
    path = os.path.join(control_directory(), "run-journal.jsonl")
    journal = [entry for entry in entries(path, name) if entry["tf_checksum"] == name]
    return explain(sidecar, name, definition, journal=journal, at_hand=at_hand, limit=options.relatives)


def _explained_command(options: Options, messages: Messages) -> Explanation:
    """Explain a command line: analyse it and hash its inputs as seamless-run does, and run nothing."""
    from seamless.cli.commandline.plan import make_plan
    from seamless.cli.running.command import plan_options
    from seamless.cli.running.description import Description
    from seamless.cli.running.inputs import hash_inputs

    plan = make_plan(plan_options(options), wait_future=_do_not_wait, warn=messages.warning, promises=None)
    inputs = hash_inputs(plan.inputs, messages)
    description = Description(plan, inputs)
    small = {checksum.hex(): data for checksum, data in description.buffers.items()}
    paths = {entry.checksum: entry.path for entry in inputs if entry.kind == "file"}

    def at_hand(hexsum: str) -> bytes | None:
        return small[hexsum] if hexsum in small else _content(paths.get(hexsum), hexsum)

    with _index(options, messages) as sidecar:
        return _explained(sidecar, description.checksum.hex(), options, description.identity, at_hand)


def _content(path: str | None, hexsum: str) -> bytes | None:
    """Return the content of a local input that is not too long to be compared, unless it has just changed."""
    from seamless.checksum import Checksum
    from seamless.insight.relatives import LONGEST

    try:
        if path is None or os.path.getsize(path) > LONGEST:
            return None
        with open(path, "rb") as f:
            data = f.read()
    except OSError:
        return None
    return data if Checksum.of(data).hex() == hexsum else None


def _do_not_wait(path: str) -> None:
    raise SeamlessError(f"{path} is still being made by another run; explain it afterwards")


if __name__ == "__main__":
    sys.exit(main())
