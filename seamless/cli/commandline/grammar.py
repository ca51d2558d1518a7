"""The grammar of bash, as far as it says where commands, words and redirections are.

Nothing is expanded or executed, and what is inside `[[ ]]`, `(( ))` and `${ }` is only skipped.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache

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
ENDS_CLAUSE = (";;&", ";;", ";&", "esac")
ENDS_WORD = frozenset(" \t\n;&|<>()")
COMPOUNDS = frozenset("{ [[ if while until for select case function".split())
TAKES_ARRAYS = frozenset("alias declare eval export let local readonly typeset".split())
END = "end"  # in the place of an operator: there is no more text


class Part:
    """A word or redirection of a simple command, from `start` to `end`."""

    __slots__ = ("start", "end", "value")

    def __init__(self, start: int, end: int, value: Word | Redirect) -> None:
        self.start, self.end, self.value = start, end, value


class Statement:
    """A simple command (`parts`), or a group, loop or function (`body`): what a pipeline consists of.

    `kind`: simple, test, braces, parentheses or compound; `redirects`: those behind all but a simple command;
    `separated`: the body is closed by `;` or `&`.
    """

    __slots__ = ("kind", "start", "end", "parts", "body", "redirects", "separated")

    def __init__(self, kind: str, start: int) -> None:
        self.kind, self.start, self.end = kind, start, start
        self.parts: list[Part] = []
        self.body: list[list[Statement]] = []
        self.redirects: list[Redirect] = []
        self.separated = False


class Parsed:
    """The pipelines of a text, and `substitutions`: begin and content of each that is not inside `${ }` or `(( ))`."""

    __slots__ = ("pipelines", "substitutions", "end")

    def __init__(self, pipelines: list[list[Statement]], substitutions: list[tuple[int, Parsed]], end: int) -> None:
        self.pipelines, self.substitutions, self.end = pipelines, substitutions, end


def parse_text(text: str, start: int = 0) -> Parsed:
    """Parse all that follows `start`. Raises NotBashError."""
    parser = _Parser(text, start)
    pipelines = parser.read_list((END,), empty=True)
    return Parsed(pipelines, parser.substitutions, parser.i)


@lru_cache(maxsize=256)
def substitution(text: str, start: int) -> Parsed:
    """Parse the commands that begin at `start`, behind the parenthesis of a substitution, and end with its other one.

    `end` is the offset behind that. Raises NotBashError.
    """
    parser = _Parser(text, start)
    pipelines = parser.read_list((")", END), empty=True)
    if parser.i >= len(text):
        raise UnclosedError(start - 1, "(")
    return Parsed(pipelines, parser.substitutions, parser.i + 1)


class _Parser:
    """Reads a text from offset `i` on."""

    def __init__(self, text: str, start: int) -> None:
        self.text = text
        self.i = start
        self.separated = False  # the list that was read last ended with `;` or `&`
        self.heredocs: list[tuple[str, bool]] = []  # those whose body follows the next line end
        self.substitutions: list[tuple[int, Parsed]] = []

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

    # --- lists and pipelines ------------------------------------------------------------------------------------

    def read_list(self, stops: Collection[str], *, empty: bool = False) -> list[list[Statement]]:
        """Read pipelines up to one of the stops, which is not read; `empty`: there need not be any."""
        pipelines: list[list[Statement]] = []
        self.newlines()
        wanted, separated = not empty, False
        while wanted or not self.at(stops):
            pipelines.append(self.pipeline())
            self.blanks()
            operator = self.operator()
            wanted = operator in ("&&", "||")
            separated = operator in (";", "&")
            if not wanted and not separated and operator != "\n":
                break
            self.i += len(operator) if operator != "\n" else 0
            self.newlines()
        if not self.at(stops):
            raise NotBashError(self.i)
        self.separated = separated
        return pipelines

    def pipeline(self) -> list[Statement]:
        """Read commands with pipes between them; those that a sign or `time` stands alone for are none."""
        statements: list[Statement] = []
        prefixed = False
        while (word := self.reserved()) in ("!", "time"):
            prefixed = True
            self.i += len(word)
            self.blanks()
            for option in ("-p", "--") if word == "time" else ():
                if self.text.startswith(option, self.i) and self.text[self.i + 2 : self.i + 3] in ("", *ENDS_WORD):
                    self.i += 2
                    self.blanks()
        if prefixed and self.operator() in (END, "\n", ";"):
            return statements
        while True:
            statements.append(self.command(first=not statements))
            self.blanks()
            if (pipe := self.operator()) not in ("|", "|&"):
                return statements
            self.i += len(pipe)
            self.newlines()

    # --- commands -----------------------------------------------------------------------------------------------

    def command(self, *, first: bool = True) -> Statement:
        """Read a command of a pipeline, with all of its redirections."""
        word = "" if self.operator() else self.reserved()
        if not self.text.startswith("(", self.i) and word not in COMPOUNDS:
            if word == "coproc":
                return self.coprocess()
            if word and (first or word != "time"):
                raise NotBashError(self.i)
            return self.simple()
        statement = self.compound(word)
        statement.end = self.i
        while (redirect := self.redirect()) is not None:
            assert isinstance(redirect.value, Redirect)
            statement.redirects.append(redirect.value)
            statement.end = redirect.end
        return statement

    def coprocess(self) -> Statement:
        """Read what follows `coproc`: a simple command, or a group or loop that may have a name."""
        self.i += len("coproc")
        self.blanks()
        start = self.i
        if not self.starts_compound() and start < len(self.text) and self.text[start] not in ENDS_WORD:
            self.unnoted_word()
            self.blanks()
        if self.starts_compound():
            return self.command()
        self.i = start
        return self.simple(function=False)

    def starts_compound(self) -> bool:
        """Tell whether a group, loop or test is next."""
        return self.text.startswith("(", self.i) or self.reserved() in COMPOUNDS - {"function"}

    def compound(self, word: str) -> Statement:
        """Read a group, loop, test or function, which begins with this reserved word or a parenthesis."""
        start = self.i
        end = arithmetic_end(self.text, start) if not word else None
        if end is not None:
            self.i = end
            return Statement("test", start)
        if word == "[[":
            self.test()
            return Statement("test", start)
        self.i += len(word or "(")
        if word == "function":
            self.blanks()
            self.word()
            return self.function(start)
        statement = Statement({"": "parentheses", "{": "braces"}.get(word, "compound"), start)
        if word in ("for", "select"):
            statement.body = self.loop(word)
        elif word == "case":
            statement.body = self.clauses()
        elif word in ("while", "until"):
            statement.body = self.read_list(("do",)) + self.do_group()
        elif word == "if":
            statement.body = self.branches()
        else:
            closing = "}" if word else ")"
            statement.body = self.read_list((closing,))
            statement.separated = self.separated
            self.expect(closing)
        return statement

    def do_group(self) -> list[list[Statement]]:
        self.expect("do")
        body = self.read_list(("done",))
        self.expect("done")
        return body

    def branches(self) -> list[list[Statement]]:
        """Read what follows `if`, up to its `fi`."""
        body = self.read_list(("then",))
        self.expect("then")
        body += self.read_list(("elif", "else", "fi"))
        while self.at(("elif",)):
            self.i += len("elif")
            body += self.read_list(("then",))
            self.expect("then")
            body += self.read_list(("elif", "else", "fi"))
        if self.at(("else",)):
            self.i += len("else")
            body += self.read_list(("fi",))
        self.expect("fi")
        return body

    def loop(self, word: str) -> list[list[Statement]]:
        """Read what follows `for` or `select`."""
        self.blanks()
        end = arithmetic_end(self.text, self.i) if word == "for" else None
        if end is not None:
            self.i = end
        else:
            self.word()
        self.blanks()
        if self.operator() == ";":
            self.i += 1
            self.newlines()
        else:
            self.newlines()
            if end is None and self.reserved() == "in":
                self.i += len("in")
                self.blanks()
                while not self.operator():
                    self.word()
                    self.blanks()
                if self.operator() not in (";", "\n"):
                    raise NotBashError(self.i)
                self.i += self.operator() == ";"
                self.newlines()
        if self.reserved() != "{":
            return self.do_group()
        self.i += 1
        body = self.read_list(("}",))
        self.expect("}")
        return body

    def clauses(self) -> list[list[Statement]]:
        """Read what follows `case`, up to its `esac`."""
        body: list[list[Statement]] = []
        self.blanks()
        self.word()
        self.newlines()
        self.expect("in")
        self.newlines()
        while self.reserved() != "esac":
            if self.operator() == "(":
                self.i += 1
                self.blanks()
            self.word()
            self.blanks()
            while self.operator() == "|":
                self.i += 1
                self.blanks()
                self.word()
                self.blanks()
            self.expect(")")
            body += self.read_list(ENDS_CLAUSE, empty=True)
            if not self.at(("esac",)):
                self.i += len(self.operator())
                self.newlines()
        self.expect("esac")
        return body

    def function(self, start: int) -> Statement:
        """Read what follows the name of a function: parentheses, if there are any, and its body."""
        self.blanks()
        if self.operator() == "(" and arithmetic_end(self.text, self.i) is None:
            before = self.i
            self.i += 1
            if self.at((")",)):
                self.i += 1
            else:
                self.i = before
        self.newlines()
        if not self.starts_compound():
            raise NotBashError(self.i)
        statement = Statement("compound", start)
        statement.body = [[self.command()]]
        return statement

    def test(self) -> None:
        """Skip `[[ ... ]]`; what bash would find wrong inside is left to bash."""
        start = self.i
        self.i += 2
        while True:
            self.newlines()
            text, i = self.text, self.i
            if i >= len(text):
                raise UnclosedError(start, "[[")
            if text.startswith("]]", i) and text[i + 2 : i + 3] in ("", *ENDS_WORD):
                self.i += 2
                return
            if text[i] in "()&|" or (text[i] in "<>" and text[i + 1 : i + 2] != "("):
                self.i += 1
                continue
            self.word(pattern=True)
            if text[i : self.i] == "=~":
                self.blanks()
                self.word(pattern=True, expression=True)

    # --- simple commands ----------------------------------------------------------------------------------------

    def simple(self, *, function: bool = True) -> Statement:
        """Read assignments, words and redirections; `function`: a name with parentheses defines one."""
        statement = Statement("simple", self.i)
        name = ""  # of the command
        while True:
            self.blanks()
            redirect = self.redirect()
            if redirect is not None:
                statement.parts.append(redirect)
                continue
            if self.operator():
                break
            word = self.word(assigns=not name, array=not name or name in TAKES_ARRAYS)
            raw = self.text[word.start : word.end]
            statement.parts.append(Part(word.start, word.end, word))
            if name or is_assignment(raw):
                continue
            name = raw
            self.blanks()
            if function and len(statement.parts) == 1 and self.operator() == "(":
                self.expect("(")
                self.expect(")")
                return self.function(word.start)
        if not statement.parts:
            raise NotBashError(self.i)
        statement.start, statement.end = statement.parts[0].start, statement.parts[-1].end
        return statement

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
            self.note_backticks(i + 1, end - 1)
        elif text[i + 1 : i + 2] == "(" and (text[i] != "$" or arithmetic_end(text, i + 1) is None):
            self.substitutions.append((i + 2, substitution(text, i + 2)))
        return end

    def note_backticks(self, i: int, end: int) -> None:
        """Note the commands between backticks; bash says only when it executes them whether they are any."""
        if "\\" not in self.text[i:end]:  # bash takes backslashes away before it reads the rest
            with suppress(NotBashError):
                self.substitutions.append((i, parse_text(self.text[:end], i)))

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
