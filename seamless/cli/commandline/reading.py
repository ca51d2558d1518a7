"""Words, operators and redirections of bash, where they stand in a text.

Nothing is expanded or executed. What is inside a word is only skipped, and where commands are in it is noted.
"""

from __future__ import annotations

from seamless.cli.commandline.line import Redirect, Word
from seamless.cli.commandline.quoting import (
    NAME,
    NAME_START,
    RESERVED,
    NotBashError,
    UnclosedError,
    ansi_c_end,
    arithmetic_end,
    expansion_end,
    heredocs_end,
    is_assignment,
    matching_end,
    quote_end,
    unquote,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

# The longest first: an operator is what matches first.
OPERATORS = (";;&", ";;", ";&", ";", "&&", "&", "||", "|&", "|", "(", ")", "\n")
REDIRECTIONS = ("&>>", "&>", "<<<", "<<", "<&", "<>", "<", ">>", ">&", ">|", ">")
ENDS_WORD = frozenset(" \t\n;&|<>()")
END = "end"  # in the place of an operator: there is no more text


class Part:
    """A word or redirection of a simple command, from `start` to `end`."""

    __slots__ = ("start", "end", "value")

    def __init__(self, start: int, end: int, value: Word | Redirect) -> None:
        self.start, self.end, self.value = start, end, value


class Reader:
    """Reads a text from offset `i` on.

    `substitutions`: begin and end of the commands in each that is not inside `${ }` or `(( ))`.
    """

    def __init__(self, text: str, start: int) -> None:
        self.text = text
        self.i = start
        self.heredocs: list[tuple[str, bool]] = []  # those whose body follows the next line end
        self.substitutions: list[tuple[int, int]] = []

    # --- tokens -------------------------------------------------------------------------------------------------

    def blanks(self) -> None:
        """Skip blanks, continuations of lines and a comment."""
        text, i = self.text, self.i
        while i < len(text):
            if text[i] in " \t":
                i += 1
            elif text.startswith("\\\n", i):
                i += 2
            else:
                break
        if text.startswith("#", i):
            end = text.find("\n", i)
            i = len(text) if end < 0 else end
        self.i = i

    def newlines(self) -> None:
        """Skip blanks, comments, line ends and the bodies of here-documents."""
        self.blanks()
        while self.text.startswith("\n", self.i):
            self.i += 1
            if self.heredocs:
                self.i = heredocs_end(self.text, self.i, self.heredocs)
                self.heredocs = []
            self.blanks()

    def operator(self) -> str:
        """Return the control operator that is next, END at the end, otherwise nothing."""
        if self.i >= len(self.text):
            return END
        if self.text.startswith("&>", self.i):
            return ""
        return next((operator for operator in OPERATORS if self.text.startswith(operator, self.i)), "")

    def reserved(self) -> str:
        """Return the reserved word that is next, if one is."""
        text, end = self.text, self.i
        while end < len(text) and text[end] not in ENDS_WORD:
            end += 1
        word = text[self.i : end]
        return word if word in RESERVED and not text.startswith(("<(", ">("), end) else ""

    def at(self, stops: Collection[str]) -> bool:
        """Tell whether one of these operators or reserved words is next."""
        self.blanks()
        return (self.operator() or self.reserved()) in stops

    def expect(self, token: str) -> None:
        """Skip an operator or reserved word that must be there."""
        if not self.at((token,)):
            raise NotBashError(self.i)
        self.i += len(token)

    # --- redirections -------------------------------------------------------------------------------------------

    def redirect(self) -> Part | None:
        """Read a redirection, if one is next."""
        self.blanks()
        text, start = self.text, self.i
        i = start
        if text.startswith("{", i):
            while i + 1 < len(text) and text[i + 1] in NAME:
                i += 1
            i = i + 2 if i > start and text.startswith("}", i + 1) else start
        else:
            while i < len(text) and text[i] in "0123456789":
                i += 1
        operator = next((operator for operator in REDIRECTIONS if text.startswith(operator, i)), "")
        if not operator or text.startswith(("<(", ">("), i) or (operator[0] == "&" and i > start):
            return None
        descriptor = text[start:i] or None
        self.i = i + len(operator)
        if operator == "<<":
            return Part(i, self.heredoc(), Redirect("<", descriptor, None))
        self.blanks()
        target = self.word()
        if text[target.start : target.end].isdigit() and text[target.end : target.end + 1] in ("<", ">"):
            if operator not in ("<&", ">&"):  # bash takes the number for that of the next redirection
                raise NotBashError(target.start)
        if operator in ("<<<", "<>"):
            return Part(i, target.end, Redirect("<", descriptor, None))
        return Part(i, target.end, Redirect(operator, descriptor, target))

    def heredoc(self) -> int:
        """Read the rest of `<<` or `<<-`, and the word behind it; return the end of that."""
        strip = self.text.startswith("-", self.i)
        self.i += strip
        self.blanks()
        self.heredocs.append((self.unnoted_word().text, strip))
        return self.i

    # --- words --------------------------------------------------------------------------------------------------

    def word(
        self, *, assigns: bool = False, array: bool = False, pattern: bool = False, expression: bool = False
    ) -> Word:
        """Read a word; there must be one.

        `assigns`: a subscript may follow a name; `array`: parentheses may follow the `=` of an assignment; `pattern`:
        they may belong to a pattern, as everywhere once a line has named `extglob`; `expression`: to a regular one.
        """
        text, start = self.text, self.i
        pattern = pattern or "extglob" in text
        while self.i < len(text):
            i, c = self.i, text[self.i]
            if c == "(":
                opens = expression or (pattern and i > start and text[i - 1] in "?*+@!")
                if opens:
                    self.i = matching_end(text, i)
                elif array and text[i - 1] == "=" and is_assignment(text[start:i]):
                    self.array()
                else:
                    break
            elif c == "|" and expression:
                self.i += 1
            elif text.startswith("\\\n", i) and self.continuation_ends():
                break
            elif c in ENDS_WORD and not text.startswith(("<(", ">("), i):
                break
            elif c == "[" and assigns and i > start and text[start] in NAME_START and NAME.issuperset(text[start:i]):
                self.i = matching_end(text, i)
            else:
                self.i = self.piece_end(i)
        self.i = end = min(self.i, len(text))
        if end == start:
            raise NotBashError(start)
        value, expands = unquote(text[start:end])
        return Word(value, start, end, expands)

    def unnoted_word(self) -> Word:
        """Read a word whose substitutions bash does not execute, or that is read once more."""
        count = len(self.substitutions)
        word = self.word()
        del self.substitutions[count:]
        return word

    def continuation_ends(self) -> bool:
        """Tell whether a word ends before the continuations of lines that are next."""
        i = self.i
        while self.text.startswith("\\\n", i):
            i += 2
        return i >= len(self.text) or (self.text[i] in ENDS_WORD and not self.text.startswith(("<(", ">("), i))

    def piece_end(self, i: int) -> int:
        """Return the end of what begins at `i`: a quoted text, an expansion or one character."""
        text, c = self.text, self.text[i]
        if c == "\\":
            return i + 2
        if c == "'":
            return quote_end(text, i)
        if c == '"' or text.startswith('$"', i):
            i += c == "$"
            end = quote_end(text, i)
            self.note_within(i + 1, end - 1)
            return end
        if text.startswith("$'", i):
            return ansi_c_end(text, i)
        return self.expansion(i) if c in "$`<>" else i + 1

    def expansion(self, i: int) -> int:
        """Return the offset behind the expansion at `i`; note what is in it, if it is a substitution of commands."""
        text, end = self.text, expansion_end(self.text, i)
        if text[i] == "`":
            if "\\" not in text[i:end]:  # bash takes backslashes away before it reads the rest
                self.substitutions.append((i + 1, end - 1))
        elif text[i + 1 : i + 2] == "(" and (text[i] != "$" or arithmetic_end(text, i + 1) is None):
            self.substitutions.append((i + 2, end - 1))
        return end

    def note_within(self, i: int, end: int) -> None:
        """Note the substitutions between double quotes."""
        while i < end:
            if self.text[i] == "\\":
                i += 2
            else:
                i = self.expansion(i) if self.text[i] in "$`" else i + 1

    def array(self) -> None:
        """Read the parenthesised words of an array."""
        opened = self.i
        self.i += 1
        self.newlines()
        while self.operator() != ")":
            if self.i >= len(self.text):
                raise UnclosedError(opened, "(")
            if self.text[self.i] == "[":
                self.i = matching_end(self.text, self.i)
            self.word()
            self.newlines()
        self.i += 1
