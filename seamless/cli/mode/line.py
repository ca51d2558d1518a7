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
    NotBashError,
    ansi_c_end,
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
    from collections.abc import Iterator, Mapping, Sequence

BLANKS = " \t\n"
ENDS_WORD = frozenset(" \t\n;|&<>()")
GLOB = frozenset("*?[]")
OPERATORS = ("<<<", "&>>", "&&", "||", ";;", "&>", ">&", "<&", ">>", ">|", "<>")  # those of several characters
READERS = frozenset(("read", "mapfile", "readarray", "getopts", "printf", "local", "declare", "typeset"))
BEFORE_COMMAND = frozenset(("{", "!"))
BEFORE_ASSIGNMENT = BEFORE_COMMAND | frozenset(
    "if then elif else while until do time declare export local readonly typeset".split()
)

# Programs that talk to the user when they get no arguments.
ALONE_INTERACTIVE = frozenset(
    "python python3 bash zsh fish julia node octave ghci irb lua sqlite3 psql mysql gdb guile racket".split()
)


def rewrite_line(line: str, shell: str, options: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return the line of seamless mode for a line typed in `shell` (bash or zsh); the same text if it is run as it is.

    A blank at the beginning stays, and so does a `&` at the end: both are for the shell.
    """
    text = line.strip(BLANKS)
    if text.endswith("\\"):
        text += line.lstrip(BLANKS)[len(text) :][:1]  # the blank behind it is part of a word
    background = ""
    try:
        command = first_command(text)
        if command is None or is_passed(command, environ) or text in ALONE_INTERACTIVE:
            return line
        pieces = replaced(text, shell, environ, declared_names(options) | bound_names(text))
        if pieces[-1] == "&":
            pieces, background = pieces[:-1], " &"
        text = "".join(pieces).rstrip(BLANKS) if background else "".join(pieces)
    except NotBashError:
        pass  # bash may know better; then the text is wrapped as it is
    indent = " " if line[:1] in (" ", "\t") else ""
    return indent + wrap(text, options) + background


# --- reading --------------------------------------------------------------------------------------


def tokens(text: str) -> Iterator[tuple[str, str]]:
    """Yield (kind, text) for all of a text. Kinds: word, blank, operator, body (of a here-document), comment.

    Raises NotBashError.
    """
    i = 0
    heredocs: list[tuple[str, bool]] = []
    while i < len(text):
        start, kind = i, "operator"
        c = text[i]
        if c in " \t":
            kind, i = "blank", _skip(text, i, " \t")
        elif c == "#":
            end = text.find("\n", i)
            kind, i = "comment", len(text) if end < 0 else end
        elif c == "\n" and heredocs:
            kind, i = "body", heredocs_end(text, i + 1, heredocs)
            heredocs = []
        elif c in "<>" and text[i + 1 : i + 2] == "(":
            kind, i = "word", word_end(text, expansion_end(text, i))
        elif text.startswith("<<", i) and not text.startswith("<<<", i):
            delimiter, i = heredoc_delimiter(text, i)
            heredocs.append(delimiter)
        elif c in ENDS_WORD:
            i += next((len(operator) for operator in OPERATORS if text.startswith(operator, i)), 1)
        else:
            kind, i = "word", word_end(text, i)
        yield kind, text[start:i]


def word_end(text: str, i: int) -> int:
    """Return the offset behind the word that goes on at `text[i]`. Raises NotBashError."""
    while i < len(text) and text[i] not in ENDS_WORD:
        i = _piece_end(text, i)
    return i


def _pieces(word: str) -> Iterator[str]:
    """Yield the parts of a word: quoted text, an expansion, or one character."""
    i = 0
    while i < len(word):
        end = _piece_end(word, i)
        yield word[i:end]
        i = end


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


def first_command(text: str) -> str | None:
    """Return the word that names the first command of a line, without quotes.

    None if there is none, or none that could be run elsewhere: assignments, a comment, the definition of a function.

    >>> first_command("A=1 'sort' a.txt | head"), first_command("(cd d; ls)"), first_command("A=1 B=2; ls")
    ('sort', 'cd', None)
    >>> first_command("2> log sort"), first_command("f() { ls; }"), first_command("x=(ls -l)")
    ('sort', None, None)
    """
    word, assigned, redirected = "", False, False
    for kind, raw in tokens(text):
        if kind == "blank":
            continue
        if kind == "word" and redirected:
            redirected = False
        elif kind == "word":
            if word:
                break
            assigned = assigned or is_assignment(raw)
            word = "" if raw in BEFORE_COMMAND or is_assignment(raw) else raw
        elif kind == "operator" and raw[0] in "<>" and (not word or word.isdigit()):
            word, redirected = "", True
        elif raw != "(":
            break
        elif word or assigned:
            return None
    return unquote(word)[0] if word else None


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
    previous: list[str] = []  # words of the same command
    for kind, raw in tokens(text):
        if kind == "word":
            name = _leading_name(raw)
            follows = previous[-1:] in (["for"], ["select"]) or not READERS.isdisjoint(previous)
            if is_assignment(raw) or (name == raw and follows):
                names.add(name)
            previous.append(raw)
        elif kind != "blank":
            previous = []
    return names


def _leading_name(raw: str) -> str:
    return raw[: _skip(raw, 0, NAME)] if raw[:1] in NAME_START else ""


def _skip(text: str, i: int, characters: frozenset[str] | str) -> int:
    while i < len(text) and text[i] in characters:
        i += 1
    return i


# --- replacing ------------------------------------------------------------------------------------


def replaced(text: str, shell: str, environ: Mapping[str, str], known: set[str]) -> list[str]:
    """Return the pieces of a text, with exported variables replaced and suffixes of sidecars cut.

    `known` are names that stay: they get their value in the line or by an option. A last piece `&` is the operator.
    Raises NotBashError.
    """
    pieces: list[str] = []
    whole = in_test = False  # the next word stays one word, whatever is in it; between [[ and ]]
    assigns = True  # `a=b` would be an assignment here
    for kind, raw in tokens(text):
        if kind == "word":
            assignment = assigns and is_assignment(raw)
            expansion = Expansion(shell, environ, known, whole=whole or in_test or assignment)
            pieces.append(cut_typed_suffix(expansion.of_word(raw)))
            in_test = raw == "[[" or (in_test and raw != "]]")
            assigns = assigns and (assignment or whole or raw in BEFORE_ASSIGNMENT)
            whole = raw == "case"
        else:
            pieces.append(raw)
            if kind != "blank":
                whole = kind == "operator" and (raw[0] in "<>" or raw.startswith("&>"))
                assigns = assigns or not whole
    return pieces


class Expansion:
    """Replaces variables in words typed in `shell`; `whole`: where bash would not split the value either."""

    def __init__(self, shell: str, environ: Mapping[str, str], known: set[str], *, whole: bool) -> None:
        self.shell, self.environ, self.known, self.whole = shell, environ, known, whole

    def of_word(self, raw: str) -> str:
        """Return a source word with its variables replaced."""
        if "$" not in raw:
            return raw
        whole = self.whole or self.shell == "zsh"
        pieces = list(_pieces(raw))
        stays = pieces[0] == "~" or "{" in pieces  # bash expands ~ and braces before variables
        out: list[str] = []
        after_value = False
        for piece in pieces:
            stays = stays and not (piece == "/" and "{" not in pieces)
            value = None
            if piece[0] == '"':
                piece = '"' + self._within_double_quotes(piece[1:-1]) + '"'
            elif piece[0] == "$" and piece[1:2] not in ("'", '"') and not stays:
                value = self._value(piece)
                if value is None:
                    piece = self._substitution(piece)
                else:
                    piece = split_value(value) if not whole else quote(value) if value or self.whole else ""
            elif after_value and piece in "#~":
                piece = "\\" + piece  # it does not begin a word, whatever the value is
            after_value = value is not None
            _append(out, piece)
        return "".join(out)

    def _within_double_quotes(self, text: str) -> str:
        out: list[str] = []
        i = 0
        while i < len(text):
            end = expansion_end(text, i) if text[i] in "$`" else min(i + 1 + (text[i] == "\\"), len(text))
            piece = text[i:end]
            if piece[0] == "$":
                value = self._value(piece)
                if value is None:
                    piece = self._substitution(piece)
                else:
                    piece = "".join("\\" + c if c in '\\"$`' else c for c in value)
            _append(out, piece)
            i = end
        return "".join(out)

    def _value(self, raw: str) -> str | None:
        """Return the value of `$NAME` or `${NAME}`; None if it is something else, or not to be replaced."""
        name = raw[2:-1] if raw.startswith("${") else raw[1:]
        if not name or name in self.known or _leading_name(name) != name:
            return None
        return self.environ.get(name)

    def _substitution(self, raw: str) -> str:
        """Return `$(...)` with the variables of its commands replaced; anything else stays as it is."""
        if not raw.startswith("$(") or raw.startswith("$(("):
            return raw
        inner = raw[2:-1]
        return "$(" + "".join(replaced(inner, self.shell, self.environ, self.known | bound_names(inner))) + ")"


def _append(out: list[str], piece: str) -> None:
    """Append a piece of a word; braces around a variable before it, if it would prolong the name."""
    if out and out[-1][0] == "$" and out[-1][1:2] in NAME_START and piece[:1] in NAME:
        out[-1] = "${" + out[-1][1:] + "}"
    if piece:
        out.append(piece)


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
