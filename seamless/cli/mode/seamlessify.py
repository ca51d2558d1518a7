"""`_seamlessify`: print the line of seamless mode that stands for a line that was typed.

Called at every Enter, by the shell functions of `seamless-mode-bind.sh`: imports next to nothing, runs nothing.
"""

from __future__ import annotations

import os
import sys

from seamless.cli.commandline.quoting import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

PROG = "_seamlessify"
MARK = "@@@"
SUFFIXES = (".CHECKSUM", ".INDEX")
SHELLS = ("bash", "zsh")

# Commands that act upon the shell, the terminal or the file system: never wrapped.
SKIPPED = frozenset(
    "cd rm ls mv cp exit source echo function set unset let export man printenv conda mamba pip apt more less time "
    "code nano vi emacs gedit".split()
)

EXIT_CODES = ((0, "done"), (1, "standard output cannot be written to"), (2, "a mistake in the arguments"))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser behind `--help` and `--version`; everything else is no matter of argparse."""
    from seamless.cli.common import add_version, make_parser

    parser = make_parser(
        PROG,
        "Print the line that seamless mode makes of a line that was typed. It is run by\n"
        "nobody yet: the shell shows it, and a second Enter runs it.\n\n"
        "Without @@@ the words are printed as they are.",
        usage="%(prog)s WORD... [@@@ [OPTION...]]\n       %(prog)s --shell=SHELL LINE @@@ [OPTION...]",
        examples=(
            "_seamlessify sort a.txt @@@ --stage clean",
            "_seamlessify --shell=bash 'sort $HOME/a.txt | head' @@@",
        ),
        exit_codes=EXIT_CODES,
    )
    text = "one LINE as it was typed in this shell: bash or zsh; names of exported variables are replaced"
    parser.add_argument_group("Inputs").add_argument("--shell", choices=SHELLS, metavar="SHELL", help=text)
    general = parser.add_argument_group("General")
    add_version(general)
    general.add_argument("-h", "--help", action="help", help="show this help and exit")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words in (["--help"], ["-h"], ["--version"]):
        build_parser().parse_args(words)
    if words and words[0].startswith("--shell="):
        shell = words[0].partition("=")[2]
        if shell not in SHELLS or len(words) < 3 or words[2] != MARK:
            sys.stderr.write(f"{PROG}: expected --shell=bash or --shell=zsh, one LINE, {MARK}, and options\n")
            return 2
        from seamless.cli.mode.line import rewrite_line

        text = rewrite_line(words[1], shell, words[3:], os.environ)
    else:
        text = rewrite_words(words, os.environ)
    return _print(text)


def rewrite_words(words: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return the line for words that are taken as they are; the last `@@@` ends them, and options follow.

    >>> rewrite_words(["sort", "a.txt.CHECKSUM", "@@@", "--stage", "x"], {})
    "seamless-run --stage x -c 'sort a.txt'"
    """
    if MARK not in words:
        return " ".join(words)
    end = len(words) - 1 - list(reversed(words)).index(MARK)
    typed = words[:end]
    line = " ".join(typed)
    if not line or is_passed(typed[0], environ) or (len(typed) == 1 and _is_plain_assignment(typed[0])):
        return line
    return wrap(" ".join(map(cut_suffix, typed)), words[end + 1 :])


def is_passed(command: str, environ: Mapping[str, str]) -> bool:
    """Tell whether a line with this command is run as it is.

    `SEAMLESS_MODE_SKIP` names further commands, separated by blanks; `-NAME` takes one out.
    """
    if command.startswith("seamless"):
        return True
    listed = environ.get("SEAMLESS_MODE_SKIP", "").split()
    if f"-{command}" in listed:
        return False
    return (len(command) <= 2 and command != "r") or command in SKIPPED or command in listed


def _is_plain_assignment(word: str) -> bool:
    name, equals, value = word.partition("=")
    return bool(equals) and name.isalnum() and value.isalnum()


def cut_suffix(word: str) -> str:
    """Return a word without the suffix of a sidecar: the name of what the sidecar is about."""
    for suffix in SUFFIXES:
        stem = word.removesuffix(suffix)
        if stem != word and os.path.basename(stem):
            return stem
    return word


def wrap(line: str, options: Sequence[str]) -> str:
    """Return the command that runs `line` through Seamless.

    >>> wrap("awk '{print}'", [])
    "seamless-run -c 'awk '\\\\''{print}'\\\\'' '"
    """
    # Without the blank the line would end in three quotes, which zsh may read as one (RC_QUOTES).
    blank = " " if line.endswith("'") else ""
    quoted = line.replace("'", "'\\''") + blank
    return " ".join(["seamless-run", *map(quote, options), "-c", f"'{quoted}'"])


def _print(text: str) -> int:
    data = os.fsencode(text) + b"\n"
    try:
        while data:
            data = data[os.write(1, data) :]
    except OSError as exc:
        sys.stderr.write(f"{PROG}: standard output: {exc.strerror}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
