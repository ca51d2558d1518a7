"""The directories that the redirections of a step need: a command that writes `> sub/x` finds no `sub` otherwise.

Made before the execution, and only if no command of the step could have meant to make them itself. They are told
from the code text, so that every execution of a step makes the same ones.
"""

from __future__ import annotations

import os
import re
import shlex

_MKDIR = "mkdir -p "
_RESULT = "RESULT/"
_PREAMBLE = ("export ", "chmod +x ")
# Commands that make no directory: those that precede a redirection must all be among them.
_FILTERS = frozenset(
    "awk cat cmp column comm cut diff echo egrep expand fgrep fold gawk grep head join mawk nl paste printf rev sed "
    "seq shuf sort tac tail test tr true tsort uniq wc zcat [ :".split()
)
_LISTS = (";", "&&", "||")
_PIPES = ("|", "|&")
_REDIRECTIONS = (">", ">>", ">|", "&>", "&>>")
_OTHER_REDIRECTIONS = ("<", "<<<", ">&", "<&")


def needed_directories(code: str) -> list[str]:
    """Return the relative directories to be made; empty if the step may make them itself.

    >>> needed_directories("mkdir -p RESULT/sub\\nsort a.txt | uniq > sub/x\\nmv sub/x RESULT/sub\\n")
    ['sub']
    >>> needed_directories("mkdir -p RESULT/sub\\nmkdir sub; cat a.txt > sub/x\\nmv sub/x RESULT/sub\\n")
    []
    """
    lines = code.split("\n")
    while lines and lines[0].startswith(_PREAMBLE):
        del lines[0]
    if not lines or not lines[0].startswith(_MKDIR):
        return []
    wanted = {word.removeprefix(_RESULT) for word in shlex.split(lines[0].removeprefix(_MKDIR))} - {""}
    if not wanted:
        return []
    moves = next((i for i, line in enumerate(lines) if line.startswith("mv ")), len(lines))
    tokens = _tokens("\n".join(lines[1:moves]))
    found = {os.path.normpath(os.path.dirname(name)) for name in _redirected(tokens)}
    return sorted(name for name in found & wanted if not name.startswith(("/", "..")))


def _tokens(command: str) -> list[str]:
    """Return the words and operators of one line; nothing if it has more structure than a list of pipelines."""
    outside_quotes = re.sub(r"'[^']*'|\\.", "q", command)
    double = re.sub(r'"[^"]*"', lambda match: "(" if "$(" in match[0] or "`" in match[0] else "q", outside_quotes)
    if re.search(r"[\n(){}`#]", re.sub(r"\$\{\w+\}", "", double)):
        return []
    try:
        lexer = shlex.shlex(command, posix=True, punctuation_chars=";&|<>")
        lexer.commenters = ""
        lexer.whitespace_split = True
        return list(lexer)
    except ValueError:
        return []  # bash reads quotes otherwise than shlex


def _redirected(tokens: list[str]) -> list[str]:
    """Return what output is written to, as long as only filters have been run before."""
    names: list[str] = []
    commands: list[str] = []
    expecting = True
    for before, token in zip(["", *tokens], tokens, strict=False):
        if token in _LISTS:
            if not _FILTERS.issuperset(commands):
                break
            expecting = True
        elif token in _PIPES:
            expecting = True
        elif _is_operator(token):
            if token not in _REDIRECTIONS and token not in _OTHER_REDIRECTIONS:
                return []
        elif before in _REDIRECTIONS:
            names.append(token)
        elif expecting and "=" not in token and not _is_operator(before, but=(*_LISTS, *_PIPES)):
            commands.append(token)
            expecting = False
    return names


def _is_operator(token: str, but: tuple[str, ...] = ()) -> bool:
    return bool(token) and token not in but and not token.strip(";&|<>")
