"""The quick parser: plain words, quotes, pipelines, lists and simple redirections.

Whatever is not certain to mean the same to bash is left to the full parser: the answer is then None.
"""

from __future__ import annotations

from seamless.cli.commandline.line import ParsedLine, Redirect, SimpleCommand, Word, is_descriptor
from seamless.cli.commandline.quoting import NAME, NAME_START, RESERVED, is_assignment, unquote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

META = frozenset("|&;<>")


class _NotSimpleError(Exception):
    """The line needs the full parser."""


class _Builder:
    """Collects the commands and pipelines of a line."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.commands: list[SimpleCommand] = []
        self.pipeline: list[int] = []
        self.words: list[Word] = []
        self.redirects: list[Redirect] = []
        self.behind: list[Word] | None = None  # after a redirection: not typed, unless another one follows

    def add_word(self, word: Word) -> None:
        if self.redirects and not self.words:
            raise _NotSimpleError
        (self.words if self.behind is None else self.behind).append(word)

    def add_redirect(self, redirect: Redirect) -> None:
        self.words += self.behind or ()
        self.behind = [] if self.words else None
        self.redirects.append(redirect)

    def end_command(self) -> None:
        if not self.words and not self.redirects:
            raise _NotSimpleError
        if self.words:
            first = self.source[self.words[0].start : self.words[0].end]
            if first in RESERVED or "[" in first or is_assignment(first):  # [ may begin a subscript
                raise _NotSimpleError
        self.pipeline.append(len(self.commands))
        self.commands.append(SimpleCommand(self.words, self.redirects))
        self.words, self.redirects, self.behind = [], [], None

    def end_pipeline(self) -> None:
        members = tuple(self.pipeline)
        for index in members:
            self.commands[index].pipeline = members
        self.pipeline = []


def split_line(source: str) -> ParsedLine | None:
    """Parse `source`, or return None if it needs the full parser (it may then still be a syntax error)."""
    builder = _Builder(source)
    operator = ""
    try:
        for token in _tokens(source):
            operator = ""
            if isinstance(token, Word):
                builder.add_word(token)
            elif isinstance(token, Redirect):
                builder.add_redirect(token)
            else:
                operator = token
                builder.end_command()
                if token != "|":
                    builder.end_pipeline()
        if operator != ";":
            builder.end_command()
            builder.end_pipeline()
    except _NotSimpleError:
        return None
    return ParsedLine(source, builder.commands)


def _tokens(source: str) -> Iterator[Word | Redirect | str]:
    i, n = 0, len(source)
    while i < n:
        c = source[i]
        if c == " " or c == "\t":
            i += 1
        elif c in META:
            token, i = _operator(source, i)
            yield token
        else:
            end = _word_end(source, i)
            raw = source[i:end]
            if raw.isdigit() and source[end : end + 1] in ("<", ">"):
                token, i = _operator(source, end, raw)
                yield token
                continue
            text, expands = unquote(raw)
            yield Word(text, i, end, expands)
            i = end


def _operator(source: str, i: int, descriptor: str | None = None) -> tuple[Redirect | str, int]:
    """Read a control operator or a whole redirection at `i`; return it and the offset behind it."""
    pair = source[i : i + 2]
    if pair in ("&&", "||"):
        return pair, i + 2
    if pair[0] in "|;" and pair not in ("|&", ";;", ";&"):
        return pair[0], i + 1
    if pair in (">>", ">&", "&>"):
        operator = pair
    elif pair[0] in "<>" and pair[1:] not in ("<", ">", "|", "&", "("):
        operator = pair[0]
    else:
        raise _NotSimpleError
    start = i + len(operator)
    while source[start : start + 1] in (" ", "\t"):
        start += 1
    if start >= len(source) or source[start] in META:
        raise _NotSimpleError
    end = _word_end(source, start)
    text, expands = unquote(source[start:end])
    taken = source[start:end].isdigit() and source[end : end + 1] in ("<", ">")  # as a descriptor: not valid bash
    if taken or (operator == ">&" and not is_descriptor(text)):
        raise _NotSimpleError
    return Redirect(operator, descriptor, Word(text, start, end, expands)), end


def _word_end(source: str, i: int) -> int:
    """Return the offset behind the word that begins at `i`."""
    n = len(source)
    if source[i] == "#":
        raise _NotSimpleError
    while i < n:
        c = source[i]
        if c == " " or c == "\t" or c in META:
            break
        if c == "'":
            end = source.find("'", i + 1)
            if end < 0:
                raise _NotSimpleError
            i = end + 1
        elif c == '"':
            i = _double_quoted_end(source, i + 1)
        elif c == "\\":
            if i + 1 >= n or not _ordinary(source[i + 1]):
                raise _NotSimpleError
            i += 2
        elif c == "$":
            i = _name_end(source, i)
        elif c in "(){}`!" or not _ordinary(c):
            raise _NotSimpleError
        else:
            i += 1
    return i


def _double_quoted_end(source: str, i: int) -> int:
    n = len(source)
    while i < n:
        c = source[i]
        if c == '"':
            return i + 1
        if c == "\\" and _ordinary(source[i + 1 : i + 2] or "\0"):
            i += 2
        elif c == "$":
            i = _name_end(source, i)
        elif c in "\\`" or not _ordinary(c):
            break
        else:
            i += 1
    raise _NotSimpleError


def _name_end(source: str, i: int) -> int:
    """Return the offset behind `$NAME` at `i`; every other expansion needs the full parser."""
    i += 1
    if source[i : i + 1] not in NAME_START or i >= len(source):
        raise _NotSimpleError
    while i < len(source) and source[i] in NAME:
        i += 1
    return i


def _ordinary(c: str) -> bool:
    """Tell whether a character is neither a control character nor a blank that parsers disagree about."""
    return c == " " or c == "\t" or (c.isprintable() and not c.isspace())
