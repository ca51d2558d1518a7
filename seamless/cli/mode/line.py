"""A line as it was typed in a shell: which command it runs, and its text with names of variables replaced.

Reads the text as bash does, quotes and all. Only exported variables are replaced, never within single quotes,
here-documents or arithmetic, and what is put in their place is quoted: nothing in a value is read as code.
"""

from __future__ import annotations

import os

from seamless.cli.commandline.quoting import (
    NAME,
    NAME_START,
    SAFE,
    UnclosedError,
    ansi_c_end,
    bracket_end,
    expansion_end,
    heredoc_delimiter,
    heredocs_end,
    is_assignment,
    quote,
    quote_end,
    unquote,
)
from seamless.cli.mode.seamlessify import SUFFIXES, cut_suffix, is_passed, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BLANKS = " \t\n"
ENDS_WORD = frozenset(" \t\n;|&<>()")
GLOB = frozenset("*?[]")
READERS = frozenset(("read", "mapfile", "readarray", "getopts", "printf", "local", "declare", "typeset"))
LOOPS = frozenset(("for", "select"))
BEFORE_COMMAND = frozenset(("{", "!"))

# Programs that talk to the user when they get no arguments.
ALONE_INTERACTIVE = frozenset(
    "python python3 bash zsh fish julia node octave ghci irb lua sqlite3 psql mysql gdb guile racket".split()
)


def rewrite_line(line: str, shell: str, options: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return the line of seamless mode for a line typed in `shell` (bash or zsh); the same text if it is run as it is.

    A blank at the beginning stays, and so does a `&` at the end: both are for the shell.
    """
    text = line.strip(BLANKS)
    try:
        command = first_command(text)
        if command is None or is_passed(command, environ):
            return line
        if text in ALONE_INTERACTIVE:
            return line
        scan = Scan(text, shell, environ, declared_names(options))
        scan.run()
    except UnclosedError:
        return line
    text, background = scan.parts()
    indent = " " if line[:1] in (" ", "\t") else ""
    return indent + wrap(text, options) + background


def first_command(text: str) -> str | None:
    """Return the word that names the first command of a line, without quotes; None if it only assigns or comments.

    >>> first_command("A=1 'sort' a.txt | head"), first_command("(cd d; ls)"), first_command("A=1 B=2; ls")
    ('sort', 'cd', None)
    """
    i = 0
    while i < len(text):
        if text[i] in " \t(":
            i += 1
        elif text[i] in "<>":
            i = word_end(text, _skip_blanks(text, _skip(text, i, "<>&|")))
        elif text[i] in ENDS_WORD or text[i] == "#":
            return None
        else:
            end = word_end(text, i)
            raw = text[i:end]
            if (
                raw not in BEFORE_COMMAND
                and not is_assignment(raw)
                and not (raw.isdigit() and text[end : end + 1] in _REDIRECTS)
            ):
                return unquote(raw)[0]
            i = end
    return None


_REDIRECTS = ("<", ">")


def word_end(text: str, i: int) -> int:
    """Return the offset behind the word that begins at `text[i]`. Raises UnclosedError."""
    while i < len(text) and text[i] not in ENDS_WORD:
        i = _piece_end(text, i)
    return i


def _piece_end(text: str, i: int) -> int:
    c = text[i]
    if c == "\\":
        return min(i + 2, len(text))
    if c in "'\"":
        return quote_end(text, i)
    if text.startswith("$'", i):
        return ansi_c_end(text, i)
    if text.startswith('$"', i):
        return quote_end(text, i + 1)
    return expansion_end(text, i) if c in "$`" else i + 1


def declared_names(options: Sequence[str]) -> set[str]:
    """Return the names that options of seamless-run give a value: `--var N=V`, `--metavar N=V`."""
    names = set()
    for i, option in enumerate(options):
        head, equals, value = option.partition("=")
        if head in ("--var", "--metavar"):
            following = value if equals else "".join(options[i + 1 : i + 2])
            names.add(following.partition("=")[0])
    return names


def bound_names(text: str) -> set[str]:
    """Return the names to which the line itself gives a value: no value from outside belongs there.

    >>> sorted(bound_names("x=1; for f in a b; do read -r y z; done"))
    ['f', 'x', 'y', 'z']
    """
    names: set[str] = set()
    previous: list[str] = []
    i = 0
    while i < len(text):
        if text[i] in " \t":
            i += 1
            continue
        if text[i] in ENDS_WORD:
            previous = []
            i += 1
            continue
        end = word_end(text, i)
        raw = text[i:end]
        reads = not READERS.isdisjoint(previous)
        if is_assignment(raw):
            names.add(_leading_name(raw))
        elif _leading_name(raw) == raw and (reads or previous[-1:] in (["for"], ["select"])):
            names.add(raw)
        previous.append(raw)
        i = end
    return names


def _leading_name(raw: str) -> str:
    return raw[: _skip(raw, 0, NAME)] if raw[:1] in NAME_START else ""


def _skip(text: str, i: int, characters: frozenset[str] | str) -> int:
    while i < len(text) and text[i] in characters:
        i += 1
    return i


def _skip_blanks(text: str, i: int) -> int:
    return _skip(text, i, " \t")


class Scan:
    """One pass over a text: copies it word by word, with variables replaced and suffixes of sidecars cut.

    `known` are names that get their value in the line or by an option.
    """

    def __init__(self, text: str, shell: str, environ: Mapping[str, str], known: set[str]) -> None:
        self.text, self.shell, self.environ = text, shell, environ
        self.known = known | bound_names(text)
        self.out: list[str] = []
        self.word: list[str] = []  # the pieces of the word that is being read
        self.original = 0  # where that word begins in the text
        self.in_test = False  # between [[ and ]]
        self.heredocs: list[tuple[str, bool]] = []
        self.ampersand: int | None = None  # how many pieces of `out` precede a `&` that ends the line

    def run(self) -> str:
        """Return the new text. Raises UnclosedError."""
        text, i = self.text, 0
        while i < len(text):
            c = text[i]
            if c == "#" and not self.word:
                end = text.find("\n", i)
                end = len(text) if end < 0 else end
                self.out.append(text[i:end])
                i = end
            elif c in ENDS_WORD:
                i = self._operator(i)
            else:
                i = self._piece(i)
        self._end_word()
        return "".join(self.out)

    def parts(self) -> tuple[str, str]:
        """Return the text to be wrapped, and what follows it: ` &` for a line that ends in that."""
        if self.ampersand is None:
            return "".join(self.out), ""
        return "".join(self.out[: self.ampersand]).rstrip(BLANKS), " &"

    def _operator(self, i: int) -> int:
        text, c = self.text, self.text[i]
        self._end_word()
        end = i + 1
        if text.startswith("<<<", i):
            end = i + 3
        elif text.startswith("<<", i):
            delimiter, end = heredoc_delimiter(text, i)
            self.heredocs.append(delimiter)
        elif text[i : i + 2] in ("&&", "&>", ">&", "<&"):
            end = i + 2
        elif c in "<>" and text[i + 1 : i + 2] == "(":
            end = bracket_end(text, i + 1)
        elif c == "\n" and self.heredocs:
            end = heredocs_end(text, end, self.heredocs)
            self.heredocs = []
        if c not in BLANKS or end > i + 1:
            self.ampersand = len(self.out) if text[i:end] == "&" else None
        self.out.append(text[i:end])
        return end

    def _piece(self, i: int) -> int:
        """Copy what begins at `text[i]` to the word; return the offset behind it."""
        text, c = self.text, self.text[i]
        self.ampersand = None
        if not self.word:
            self.original = i
        if c == '"':
            end = quote_end(text, i)
            self.word.append('"' + self._within_double_quotes(text[i + 1 : end - 1]) + '"')
        elif c in "$`" and text[i + 1 : i + 2] not in ("'", '"'):
            end = expansion_end(text, i)
            self.word.append(self._expansion(text[i:end], quoted=False))
        else:
            end = _piece_end(text, i)
            self.word.append(text[i:end])
        return end

    def _within_double_quotes(self, text: str) -> str:
        out: list[str] = []
        i = 0
        while i < len(text):
            if text[i] == "\\":
                end = min(i + 2, len(text))
                out.append(text[i:end])
            elif text[i] in "$`":
                end = expansion_end(text, i)
                out.append(self._expansion(text[i:end], quoted=True))
            else:
                end = i + 1
                out.append(text[i])
            i = end
        return "".join(out)

    def _expansion(self, raw: str, *, quoted: bool) -> str:
        """Return what stands for `$NAME`, `${NAME}` or `$(...)`; anything else stays as it is."""
        if raw.startswith("$(") and not raw.startswith("$(("):
            inner = Scan(raw[2:-1], "bash", self.environ, self.known)
            return "$(" + inner.run() + ")"
        name = raw[2:-1] if raw.startswith("${") else raw[1:]
        if not name or name in self.known or _leading_name(name) != name or raw[0] != "$":
            return raw
        value = self.environ.get(name)
        if value is None:
            return raw
        if quoted:
            return "".join("\\" + c if c in '\\"$`' else c for c in value)
        if self.shell == "zsh" or self.in_test or is_assignment("".join(self.word)):
            return quote(value) if value or self.in_test else ""
        return split_value(value)

    def _end_word(self) -> None:
        if not self.word:
            return
        raw = "".join(self.word)
        self.word = []
        if raw in ("[[", "]]"):
            self.in_test = raw == "[["
        self.out.append(cut_typed_suffix(raw))


def split_value(value: str) -> str:
    """Return the value of a variable that stands outside quotes: bash splits it at blanks and expands its globs.

    >>> split_value("-n 5"), split_value("a;b *.txt")
    ('-n 5', "'a;b' *.txt")
    """
    words = [word if all(c in SAFE or c in GLOB or c > "\x7f" for c in word) else quote(word) for word in value.split()]
    before = " " if value[:1].isspace() else ""
    after = " " if words and value[-1:].isspace() else ""
    return before + " ".join(words) + after


def cut_typed_suffix(raw: str) -> str:
    """Return a source word without the suffix of a sidecar.

    Patterns keep it; within quotes it is cut only if there is such a sidecar, as other text may end like that, too.
    """
    if raw.endswith(SUFFIXES):
        return raw if not GLOB.isdisjoint(raw) or "{" in raw else cut_suffix(raw)
    if raw[-1:] in ("'", '"') and raw[:-1].endswith(SUFFIXES) and os.path.lexists(unquote(raw)[0]):
        return cut_suffix(raw[:-1]) + raw[-1]
    return raw
