"""What is written about the guard: its help, and a parser for what is generated from parsers. It parses nothing."""

from __future__ import annotations

import textwrap

from seamless.launcher.guard.settings import FLAGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser

_SUMMARY = """\
rhl-guard: this program is an SSH guard for remote-http-launcher.
It is the forced command of a key: it lets a client call the helpers rhl-*, and
nothing else."""
_EXAMPLES = """\
To install, add the line that this prints to ~/.ssh/authorized_keys:
  rhl-guard --data-roots FILE --print-authorized-key KEY.pub

To test a command:
  SSH_ORIGINAL_COMMAND="rhl-ps" rhl-guard --permissive-paths"""
_EXIT_CODES = "exit codes:\n  0    done\n  1    refused, or a mistake in the flags; else that of the helper"


def help_text() -> str:
    """Return the help of the guard."""
    lines = [_SUMMARY]
    for title, flags in FLAGS.items():
        lines += ["", *textwrap.wrap(f"{title}:", 80)]
        for name, flag in flags.items():
            shown = f"{name} {flag.metavar}".strip()
            lines += textwrap.wrap(flag.help, 80, initial_indent=f"  {shown:<31} ", subsequent_indent=" " * 34)
    return "\n".join([*lines, "", _EXAMPLES, "", _EXIT_CODES, ""])


def build_parser() -> ArgumentParser:
    """Return a parser that has the flags of the guard."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="rhl-guard",
        usage="%(prog)s [FLAG...]",
        description=_SUMMARY,
        epilog=f"{_EXAMPLES}\n\n{_EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    for title, flags in FLAGS.items():
        group = parser.add_argument_group(title.partition(" (")[0])
        for name, flag in flags.items():
            if flag.wanted:
                group.add_argument(name, metavar=flag.metavar, help=flag.help)
            else:
                group.add_argument(name, action="store_true", help=flag.help)
    general = parser.add_argument_group("General")
    general.add_argument("--version", action="version", version="", help="show the version and exit")
    general.add_argument("-h", "--help", action="help", help="show this help and exit")
    return parser
