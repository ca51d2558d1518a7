"""Quotes of the shell: remove them from a word, and put them around text that needs them."""

from __future__ import annotations

from functools import lru_cache

SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+=:,./-")
# Characters that bash acts upon wherever they stand.
ACTIVE = frozenset(" \t\n'\"\\$`*?[|&;<>()")
ANSI_C = {"a": "\a", "b": "\b", "e": "\033", "E": "\033", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
RESERVED = frozenset(
    "! [[ ]] { } case coproc do done elif else esac fi for function if in select then time until while".split()
)
NAME_START = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
NAME = NAME_START | frozenset("0123456789")
EXPANSION_START = NAME | frozenset("@*#?$!-")
CLOSING = {"(": ")", "{": "}", "[": "]"}


def is_safe(text: str) -> bool:
    """Tell whether bash takes `text` as one word, unchanged, wherever an argument may stand.

    Characters outside ASCII are ordinary ones for bash and need no quotes.
    """
    return text != "" and all(c in SAFE or c > "\x7f" for c in text)


def quote(text: str) -> str:
    """Return `text` as it must be written for bash to see exactly that word; unchanged where it is safe."""
    return text if is_safe(text) else single_quote(text)


def quote_pattern(text: str) -> str:
    """Return `text` for bash, which is to expand its `*` and `?` and nothing else.

    >>> quote_pattern("my dir/*.csv")
    "'my dir/'*.csv"
    """
    parts, start = [], 0
    for i, c in enumerate(text):
        if c in "*?":
            parts += [quote(text[start:i])] * (i > start) + [c]
            start = i + 1
    return "".join(parts) + (quote(text[start:]) if start < len(text) else "")


def single_quote(text: str) -> str:
    """Return `text` between single quotes."""
    return "'" + text.replace("'", "'\"'\"'") + "'"


def quote_command(words: list[str]) -> list[str]:
    """Quote each word of a command that bash would read differently; word 0 also if it has a meaning of its own."""
    quoted = [quote(word) for word in words]
    if words and (words[0] in RESERVED or is_assignment(words[0])):
        quoted[0] = single_quote(words[0])
    return quoted


def changes_when_parsed(word: str, *, first: bool = False) -> bool:
    """Tell whether bash would make something else of `word` than this one word."""
    if is_safe(word):
        return first and (word in RESERVED or is_assignment(word))
    if not word or word[0] in "~#" or not ACTIVE.isdisjoint(word):
        return True
    braces = word.find("{") >= 0 and ("," in word or ".." in word)
    return braces or (first and word in RESERVED)


def is_assignment(raw: str) -> bool:
    """Tell whether a source word, quotes included, is an assignment if it stands before the command name."""
    if not raw or raw[0] not in NAME_START:
        return False
    i = 1
    while i < len(raw) and raw[i] in NAME:
        i += 1
    if raw[i : i + 1] == "[":
        closing = raw.find("]", i)
        return closing > 0 and raw[closing + 1 :].startswith(("=", "+="))
    return raw[i:].startswith(("=", "+="))


def unquote(raw: str) -> tuple[str, bool]:
    """Return a source word without its quotes, and whether bash would expand a `$` or a backtick in it.

    Expansions are copied as they stand, whatever quotes are inside them.
    """
    if "'" not in raw and '"' not in raw and "\\" not in raw and "$" not in raw and "`" not in raw:
        return raw, False
    out: list[str] = []
    expands = False
    quoted = False  # inside double quotes
    i, n = 0, len(raw)
    while i < n:
        c = raw[i]
        if c == "\\":
            i = _backslash(raw, i, quoted, out)
        elif c == '"':
            quoted = not quoted
            i += 1
        elif c == "'" and not quoted:
            end = quote_end(raw, i)
            out.append(raw[i + 1 : end - 1])
            i = end
        elif c == "$" and not quoted and raw[i + 1 : i + 2] == "'":
            i = _ansi_c(raw, i + 2, out)
        elif c == "$" and not quoted and raw[i + 1 : i + 2] == '"':
            i += 1  # a translated string: the quotes are ordinary double quotes
        elif c == "$" or c == "`" or (c in "<>" and not quoted and raw[i + 1 : i + 2] == "("):
            end = expansion_end(raw, i)
            expands = expands or end > i + 1
            out.append(raw[i:end])
            i = end
        else:
            out.append(c)
            i += 1
    return "".join(out), expands


class NotBashError(Exception):
    """A text is not valid bash; `offset` is where it stops being that."""

    def __init__(self, offset: int, what: str = "") -> None:
        super().__init__(what)
        self.offset = offset
        self.what = what


class UnclosedError(NotBashError):
    """A quote or bracket (`what`) is never closed; `offset` is where it was opened."""


def expansion_end(text: str, i: int) -> int:
    """Return the offset behind the expansion that begins at `text[i]` (`$`, a backtick, or `<(`, `>(`).

    Raises NotBashError.
    """
    if text[i] == "`":
        end = i + 1
        while end < len(text) and text[end] != "`":
            end += 2 if text[end] == "\\" else 1
        if end >= len(text):
            raise UnclosedError(i, "`")
        return end + 1
    following = text[i + 1 : i + 2]
    if following == "(":
        arithmetic = arithmetic_end(text, i + 1) if text[i] == "$" else None
        if arithmetic is not None:
            return arithmetic
        # Only the grammar knows which parenthesis closes a substitution: a pattern of `case` has one, too.
        from seamless.cli.commandline.grammar import substitution

        return substitution(text, i + 2).end
    if text[i] != "$" or not following:
        return i + 1
    if following in "{[":
        return matching_end(text, i + 1)
    if following in NAME_START:
        i += 2
        while i < len(text) and text[i] in NAME:
            i += 1
        return i
    return i + 2 if following in EXPANSION_START else i + 1


@lru_cache(maxsize=1024)  # what is nested would be read once more for each parenthesis around it
def arithmetic_end(text: str, i: int) -> int | None:
    """Return the offset behind the `((...))` that begins at `text[i]`; None if it is none.

    As in bash, two parentheses are arithmetic if the inner one is closed right before the outer one.

    >>> arithmetic_end("((1 + 2) * 3)", 0), arithmetic_end("(((1 + 2) * 3))", 0), arithmetic_end("((a; b) | c)", 0)
    (None, 15, None)
    """
    if not text.startswith("((", i):
        return None
    try:
        end = matching_end(text, i + 1)
    except NotBashError:
        return None
    return end + 1 if text.startswith(")", end) else None


def matching_end(text: str, i: int) -> int:
    """Return the offset behind the bracket that closes `text[i]`; quotes and expansions are skipped.

    A brace is closed by the first one. Raises NotBashError.
    """
    opened, opening = i, text[i]
    closing = CLOSING[opening]
    depth = 0
    while i < len(text):
        c = text[i]
        if c == "\\":
            i += 2
        elif c in "'\"":
            i = quote_end(text, i)
        elif c == "`" or (c == "$" and text[i + 1 : i + 2] in ("(", "{")):
            i = expansion_end(text, i)
        else:
            depth += (c == opening and (c != "{" or i == opened)) - (c == closing)
            i += 1
            if depth == 0:
                return i
    raise UnclosedError(opened, opening)


def quote_end(text: str, i: int) -> int:
    """Return the offset behind the quoted text that begins at `text[i]` (a single or double quote).

    Raises NotBashError.
    """
    end = i + 1
    if text[i] == "'":
        end = text.find("'", end)
        if end < 0:
            raise UnclosedError(i, "'")
        return end + 1
    while end < len(text) and text[end] != '"':
        c = text[end]
        if c == "\\":
            end += 2
        elif c == "`" or (c == "$" and text[end + 1 : end + 2] in ("(", "{")):
            end = expansion_end(text, end)
        else:
            end += 1
    if end >= len(text):
        raise UnclosedError(i, '"')
    return end + 1


def ansi_c_end(text: str, i: int) -> int:
    """Return the offset behind the $'...' that begins at `text[i]`. Raises NotBashError."""
    end = i + 2
    while end < len(text) and text[end] != "'":
        end += 2 if text[end] == "\\" else 1
    if end >= len(text):
        raise UnclosedError(i, "$'")
    return end + 1


def heredoc_delimiter(text: str, i: int) -> tuple[tuple[str, bool], int]:
    """Read `<<WORD` or `<<-WORD` at `text[i]`; return (delimiter, tabs are stripped) and the offset behind it."""
    i += 2
    strip = text[i : i + 1] == "-"
    i += strip
    while text[i : i + 1] in (" ", "\t"):
        i += 1
    start = i
    while i < len(text) and text[i] not in " \t\n|&;<>()":
        if text[i] in "'\"":
            i = quote_end(text, i)
        else:
            i += 2 if text[i] == "\\" else 1
    return (unquote(text[start:i])[0], strip), i


def heredocs_end(text: str, i: int, heredocs: list[tuple[str, bool]]) -> int:
    """Return the offset of the line after the bodies of `heredocs`, the first of which begins at `i`.

    A body that is not closed ends with the text, as in bash.
    """
    for delimiter, strip in heredocs:
        while i < len(text):
            end = text.find("\n", i)
            end = len(text) if end < 0 else end
            line = text[i:end]
            i = min(end + 1, len(text))
            if (line.lstrip("\t") if strip else line) == delimiter:
                break
    return i


def _backslash(raw: str, i: int, quoted: bool, out: list[str]) -> int:
    following = raw[i + 1 : i + 2]
    if following == "\n":
        return i + 2
    if not following or (quoted and following not in '$`"\\'):
        out.append("\\")
        return i + 1
    out.append(following)
    return i + 2


def _ansi_c(raw: str, i: int, out: list[str]) -> int:
    """Decode a $'...' string whose content begins at `i`; return the offset behind it."""
    while i < len(raw) and raw[i] != "'":
        if raw[i] != "\\" or i + 1 >= len(raw):
            out.append(raw[i])
            i += 1
            continue
        c = raw[i + 1]
        i += 2
        if c in ANSI_C:
            out.append(ANSI_C[c])
        elif c in "xuU01234567":
            base, limit = (8, 3) if c in "01234567" else (16, {"x": 2, "u": 4, "U": 8}[c])
            start = i - 1 if base == 8 else i
            end = start
            allowed = "01234567" if base == 8 else "0123456789abcdefABCDEF"
            while end < len(raw) and end - start < limit and raw[end] in allowed:
                end += 1
            out.append(chr(int(raw[start:end], base)) if end > start else "\\" + c)
            i = max(end, i)
        elif c == "c" and i < len(raw):
            out.append(chr(ord(raw[i]) & 0x1F))
            i += 1
        else:
            out.append(c if c in "\\'\"?" else "\\" + c)
    return i + 1
