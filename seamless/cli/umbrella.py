"""The command `seamless`: every command as a verb, `seamless help TOPIC`, and suggestions for what is none.

`seamless VERB` is `seamless-VERB`: the same function, the same options, the same modules loaded, nothing more.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from seamless.cli.verbs import GROUPS, command_of, find

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

PROG = "seamless"
_USAGE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the verb with the words after it and return its exit status; without `argv` the process may end here."""
    words = list(sys.argv[1:] if argv is None else argv)
    found = find(words)
    if found is None:
        return _own(words)
    verb, target, rest = found
    module, _, function = target.partition(":")
    __import__(module)  # importlib.import_module would be one more module to load
    command = getattr(sys.modules[module], function)
    if argv is not None:
        return int(command(rest))
    # The command is to see what it would see under its own name.
    sys.argv = [command_of(verb), *rest]
    return int(command())


def _own(words: list[str]) -> int:
    from seamless.cli.common import run_main

    return run_main(PROG, lambda: _run(words))


def _run(words: list[str]) -> int:
    from seamless.cli.common import OK, fail

    if not words:
        sys.stderr.write(build_parser().format_help())
        return _USAGE
    if words[0] == "help":
        from seamless.cli.topics import show

        return show(words[1:])
    if words[0].startswith("-"):
        build_parser().parse_args(words[:1])  # --help and --version end here, everything else with a message
        return OK
    fail(PROG, f"there is no verb {' '.join(words[:1])!r}. {suggestion(words)}", _USAGE)


def suggestion(words: Sequence[str]) -> str:
    """Return the sentence that names the verbs most like the first word (or two)."""
    from difflib import get_close_matches

    from seamless.cli.verbs import PREFIXES, all_verbs

    word = words[0].removeprefix("seamless-")
    verbs = [*all_verbs(), "help"]
    if word in verbs:
        return f"Did you mean 'seamless {word}'?"
    if word in PREFIXES:
        return f"Did you mean one of {', '.join(verb for verb in verbs if verb.startswith(word + '-'))}?"
    if len(words) > 1 and "-".join((word, words[1])) in verbs:
        return f"Did you mean 'seamless {word}-{words[1]}'?"
    close = get_close_matches(word, verbs, 3, 0.6)
    if close:
        return f"Did you mean {' or '.join(repr(verb) for verb in close)}?"
    return "'seamless --help' lists all; to run a command of yours: seamless run COMMAND"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of what is not a verb: the help, which lists the verbs, and the version."""
    from seamless.cli.common import add_version, make_parser

    parser = make_parser(
        PROG,
        "Run a step once and never again. Each verb is also a command of its own:\n"
        "`seamless run` is `seamless-run`, with the same options. `seamless help` lists\n"
        "the pages of the manual.",
        usage="%(prog)s VERB [options] ...\n       %(prog)s help [VERB|PAGE]",
        examples=(
            "seamless run 'sort a.txt > b.txt'",
            "seamless help run                   # the help of seamless-run",
            "seamless help shell-pipelines       # a page of the manual",
        ),
        exit_codes=(
            (0, "done; a verb ends with the exit status of its command"),
            (2, "there is no such verb or page"),
        ),
    )
    for title, verbs in GROUPS.items():
        width = max(map(len, verbs))
        lines = [f"{verb.ljust(width)}  {summary}" for verb, (_, summary) in verbs.items()]
        parser.add_argument_group(title, "\n".join(lines))
    general = parser.add_argument_group("General")
    add_version(general)
    general.add_argument("-h", "--help", action="help", help="show this help and exit")
    return parser


if __name__ == "__main__":
    sys.exit(main())
