"""The grammars of the helpers as parsers of argparse, for what is generated from parsers: completions and manual.

The helpers themselves parse with `grammar`.
"""

from __future__ import annotations

import argparse

from seamless.launcher.grammar import HELPERS
from seamless.launcher.grammar_table import Grammar

_EXIT_CODES = {
    "rhl-pid-alive": ((0, "it lives"), (1, "it does not, or a mistake")),
    "rhl-verify-port": ((0, "something listens"), (1, "nothing does, or a mistake")),
    "rhl-handshake": ((0, "an answer 2xx"), (1, "no answer, or a mistake"), (2, "another answer")),
    "rhl-launch-service": (
        (0, "started, or it runs already with the same command"),
        (1, "it failed"),
        (2, "a mistake in the arguments"),
        (3, "it runs already with another command"),
    ),
    "rhl-ensure": ((0, "it runs and answers"), (1, "it does not"), (2, "a mistake in the arguments")),
}
_COMMON = ((0, "done"), (1, "a mistake, or it failed"))


def parser_for(helper: str) -> argparse.ArgumentParser:
    """Return a parser that has the options and words of a helper."""
    grammar = HELPERS[helper]
    blocks = []
    if grammar.examples:
        blocks.append("examples:\n" + "\n".join(f"  {line}" for line in grammar.examples))
    codes = _EXIT_CODES.get(helper, _COMMON)
    blocks.append("exit codes:\n" + "\n".join(f"  {code:<3}  {meaning}" for code, meaning in codes))
    parser = argparse.ArgumentParser(
        prog=helper,
        usage=f"%(prog)s{grammar.synopsis()}",
        description=grammar.summary,
        epilog="\n\n".join(blocks),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    _add_words(parser, grammar)
    for option in grammar.options.values():
        if option.kind == "flag":
            parser.add_argument(f"--{option.name}", action="store_true", help=option.help)
        else:
            choices = option.choices or None
            parser.add_argument(f"--{option.name}", metavar=option.metavar, choices=choices, help=option.help)
    general = parser.add_argument_group("General")
    general.add_argument("--version", action="version", version="", help="show the version and exit")
    general.add_argument("-h", "--help", action="help", help="show this help and exit")
    return parser


def _add_words(parser: argparse.ArgumentParser, grammar: Grammar) -> None:
    inputs = parser.add_argument_group("Inputs")
    for name in grammar.words.metavar.split():
        many = name.endswith("...")
        word = name.removesuffix("...")
        inputs.add_argument(word.lower(), metavar=word, nargs="+" if many else None, help=_HELP[word])
    if grammar.service:
        inputs.add_argument("service", metavar="BINARY", nargs="+", help="after `--`: the command, with its arguments")


_HELP = {
    "KEY": "key of a service",
    "PATH": "absolute path of a directory",
    "PID": "number of a process",
    "HOST": "name or address",
    "PORT": "number of a port",
    "URL": "what is asked for",
}
