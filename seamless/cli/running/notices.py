"""What a user should know: variables outside the identity, misplaced options, a result that is read, too."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from seamless.cli.commandline.line import SimpleCommand

# What every shell has or sets itself.
_STANDARD = frozenset(
    "HOME PATH PWD OLDPWD USER LOGNAME SHELL TERM LANG LANGUAGE TMPDIR HOSTNAME HOSTTYPE MACHTYPE OSTYPE IFS UID EUID "
    "PPID RANDOM SRANDOM SECONDS LINENO BASH BASHPID BASHOPTS BASH_VERSION BASH_SOURCE BASH_COMMAND BASH_REMATCH "
    "SHELLOPTS SHLVL OPTARG OPTIND OPTERR REPLY FUNCNAME PIPESTATUS COLUMNS LINES EPOCHSECONDS EPOCHREALTIME PS1 PS2 "
    "PS4 GROUPS DIRSTACK MAPFILE COPROC".split()
)

# Options that hardly any other command has, too.
_OPTIONS = frozenset(
    "-cp --capture --input --var --metavar --prologue -nd --no-download --scratch --dry-run --qsubmit --project "
    "--stage --conda --docker --fingertip --refresh --explain --hermetic".split()
)


def misplaced_option(words: Sequence[str]) -> str:
    """Return advice if one of the words of a command seems to be meant for seamless-run; else an empty string.

    >>> misplaced_option(["cat", "a.txt", "--capture", "b.txt"])
    "If --capture is an option of seamless-run: those stand before the command, as in 'seamless-run --capture ... cat'."
    >>> misplaced_option(["cat", "--input.txt"])
    ''
    """
    option = next((word for word in words[1:] if word.partition("=")[0] in _OPTIONS), "").partition("=")[0]
    if not option:
        return ""
    return (
        f"If {option} is an option of seamless-run: those stand before the command, as in "
        f"'seamless-run {option} ... {words[0]}'."
    )


def outside_variables(line: str, declared: set[str]) -> list[str]:
    """Return the variables of the caller's environment that the line uses without declaring or assigning them.

    Their values are not part of the identity: a cached result does not notice when they change.
    """
    if "$" not in line:
        return []
    used = used_variables(line)
    return [
        name
        for name in used
        if name in os.environ
        and name not in declared
        and name not in _STANDARD
        and not name.startswith("LC_")
        and not _assigned(line, name)
    ]


def read_and_overwritten(source: str) -> str | None:
    """Return the name of the file that the last command, or its pipeline, reads and is redirected to; else None.

    >>> read_and_overwritten("cut -f 1 t.txt | sort > t.txt")
    't.txt'
    >>> read_and_overwritten("echo a > t.txt; sort t.txt > u.txt")
    """
    from seamless.cli.commandline.results import find_redirect_target
    from seamless.cli.commandline.split import split_line

    line = split_line(source)
    if line is None:
        from seamless.cli.commandline.bash import parse_bash

        line = parse_bash(source)
    redirect = find_redirect_target(line)
    if redirect is None or redirect.target is None:
        return None
    name = os.path.normpath(redirect.target.text)
    written = [r for r in line.all_redirects() if r.writes_file and r.target is not None]
    if sum(os.path.normpath(r.target.text) == name for r in written if r.target is not None) > 1:
        return None  # it is made by the line itself
    group = redirect in line.group_redirects
    commands = line.commands if group else [line.commands[i] for i in line.commands[-1].pipeline or (-1,)]
    read = {os.path.normpath(text) for text in _operands(commands)}
    return name if name in read else None


def _operands(commands: Iterable[SimpleCommand]) -> list[str]:
    """Return the words after the first one of each command, and the files of `<`."""
    found = []
    for command in commands:
        if command.words and command.words[0].text not in ("echo", "printf"):  # whose words are no files
            found += [word.text for word in command.words[1:]]
        found += [r.target.text for r in command.redirects if r.reads_file and r.target is not None]
    return found


def used_variables(line: str) -> list[str]:
    """Return the names after `$` or `${`, in order, except in single quotes and after a backslash.

    >>> used_variables("echo $A \\"it's ${B:-x}\\" '$C' \\\\$D $1 $$")
    ['A', 'B']
    """
    found: dict[str, None] = {}
    double, i = False, 0
    while i < len(line):
        char = line[i]
        if char == "\\":
            i += 2
            continue
        if char == '"':
            double = not double
        elif char == "'" and not double:
            end = line.find("'", i + 1)
            i = len(line) if end < 0 else end + 1
            continue
        elif char == "$":
            start = i + 2 if line[i + 1 : i + 2] == "{" else i + 1
            while line[start : start + 1] in ("#", "!") and start == i + 2:
                start += 1
            end = start
            while end < len(line) and (line[end].isalnum() or line[end] == "_") and line[end].isascii():
                end += 1
            if end > start and not line[start].isdigit():
                found[line[start:end]] = None
            i = max(end, i + 1)
            continue
        i += 1
    return list(found)


def _assigned(line: str, name: str) -> bool:
    """Tell whether the line itself gives the variable a value: `N=`, `for N`, `read N`, `declare N`, ..."""
    import re

    word = re.escape(name)
    before = r"(?:^|[\s;|&({])"
    setters = "for|select|read|declare|local|typeset|readonly|mapfile|readarray|getopts"
    return bool(
        re.search(rf"{before}{word}(?:\[[^]]*\])?\+?=", line)
        or re.search(
            rf"{before}(?:{setters})\b[^;|&]*\b{word}\b",
            line,
        )
        or re.search(rf"\(\(\s*[^)]*\b{word}\s*[-+*/%]?=", line)
        or re.search(rf"\$\{{{word}:?=", line)
    )
