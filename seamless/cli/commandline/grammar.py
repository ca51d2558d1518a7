"""The grammar of bash, as far as it says where commands, words and redirections are.

Nothing is expanded or executed, and what is inside `[[ ]]` and `(( ))` is only skipped.
"""

from __future__ import annotations

from functools import lru_cache

from seamless.cli.commandline.line import Redirect
from seamless.cli.commandline.quoting import NotBashError, UnclosedError, arithmetic_end, is_assignment
from seamless.cli.commandline.reading import END, ENDS_WORD, Part, Reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

ENDS_CLAUSE = (";;&", ";;", ";&", "esac")
COMPOUNDS = frozenset("{ [[ if while until for select case function".split())
TAKES_ARRAYS = frozenset("alias declare eval export let local readonly typeset".split())


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
    """The pipelines of a text, where the commands of its substitutions are, and where it ends."""

    __slots__ = ("pipelines", "substitutions", "end")

    def __init__(self, pipelines: list[list[Statement]], substitutions: list[tuple[int, int]], end: int) -> None:
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


class _Parser(Reader):
    """Reads lists, pipelines and commands."""

    separated = False  # the list that was read last ended with `;` or `&`

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
