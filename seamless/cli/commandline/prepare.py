"""Make a command line plain before it is given to tree-sitter-bash, keeping every offset.

The grammar stumbles over some quotings, here-documents and rarer operators. What is inside quotes and expansions does
not matter for the structure of the line, so it is overwritten with an ordinary character.
"""

from __future__ import annotations

from seamless.cli.commandline.quoting import (
    NAME,
    ansi_c_end,
    bracket_end,
    expansion_end,
    heredoc_delimiter,
    heredocs_end,
    is_assignment,
    quote_end,
)

FILLER = ","  # an ordinary character that makes neither a name nor a number
SEPARATORS = frozenset("\n;&|(")
ENDS_WORD = frozenset(" \t\n;&|<>()")
ENDS_TEST = ("", *ENDS_WORD)
LEADING_WORDS = ("{", "!", "then", "do", "else", "elif", "if", "while", "until")
COMPOUND_STARTS = ("{", "(", "while", "until", "for", "if", "case", "select")


class Prepared:
    """`text` has the length of the source and is ASCII.

    `no_target`: offsets of redirections that name no file (here-documents, here-strings, `<>`);
    `descriptors`: offset of a redirection -> the number or `{name}` written before it; `substitutions`: begin and end
    of the commands inside each `$(...)`, backticks, `<(...)` and `>(...)` of the words, innermost ones excepted.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.out = list(source)
        self.no_target: set[int] = set()
        self.descriptors: dict[int, str] = {}
        self.substitutions: list[tuple[int, int]] = []
        self.heredocs: list[tuple[str, bool]] = []
        i = 0
        while i < len(source):
            i = self._step(i)
        self.text = "".join(self.out)

    def fill(self, start: int, end: int, filler: str = FILLER) -> int:
        """Overwrite a part of the text, keeping line ends when blanking; return `end`."""
        for i in range(start, min(end, len(self.out))):
            if filler != " " or self.out[i] != "\n":
                self.out[i] = filler
        return end

    def _step(self, i: int) -> int:
        source, c = self.source, self.source[i]
        if c == "\\":
            return self._backslash(i)
        if c in "'\"":
            end = quote_end(source, i)
            if c == '"':
                self._substitutions_within(i + 1, end - 1)
            return self.fill(i, end)
        if c == "$" or c == "`":
            if source.startswith("$'", i):
                return self.fill(i, ansi_c_end(source, i))
            return self.fill(i, self._expansion(i))
        if c in "<>":
            return self._redirect(i)
        if c == "\n":
            if self.heredocs:
                end = heredocs_end(source, i + 1, self.heredocs)
                self.heredocs = []
                return self.fill(i + 1, end, " ")
            return i + 1
        if c == "#":
            if not self._at_word_start(i):
                return self.fill(i, i + 1)
            end = source.find("\n", i)
            return self.fill(i, len(source) if end < 0 else end, " ")
        if c == "(" or c == ";":
            return self._punctuation(i)
        if c in "{}":
            return self._brace(i)
        if c in "=%@^~*?+!" or c > "\x7e":
            return i + 1 if self._has_meaning(i) else self.fill(i, i + 1)
        if c in "[]":
            return self._square_bracket(i)
        if c in "tc" and self._at_word_start(i):
            return self._prefix(i)
        return i + 1

    def _expansion(self, i: int) -> int:
        """Return the offset behind the expansion at `i`; note where the commands are that it substitutes, if any."""
        source, end = self.source, expansion_end(self.source, i)
        if source[i] == "`":
            if "\\" not in source[i:end]:  # bash reads what is inside only without these
                self.substitutions.append((i + 1, end - 1))
        elif source.startswith("$(", i) and not source.startswith("$((", i):
            self.substitutions.append((i + 2, end - 1))
        return end

    def _substitutions_within(self, i: int, end: int) -> None:
        while i < end:
            if self.source[i] == "\\":
                i += 2
            elif self.source[i] in "$`":
                i = self._expansion(i)
            else:
                i += 1

    def _at_word_start(self, i: int) -> bool:
        return i == 0 or self.out[i - 1] in ENDS_WORD

    def _alone(self, i: int) -> bool:
        return self._at_word_start(i) and (i + 1 >= len(self.source) or self.source[i + 1] in ENDS_WORD)

    def _has_meaning(self, i: int) -> bool:
        """Tell whether the sign at `i` makes an assignment, a test or a negation."""
        source, start, end = self.source, i, i + 1
        while start and self.out[start - 1] not in ENDS_WORD:
            start -= 1
        while end < len(source) and source[end] not in ENDS_WORD:
            end += 1
        if source[start:end] in ("=", "==", "!=", "=~", "!"):
            return True
        assigns = source[i] == "=" or source.startswith("+=", i)
        return assigns and "=" not in source[start:i] and is_assignment(source[start:end])

    def _backslash(self, i: int) -> int:
        source = self.source
        if source[i + 1 : i + 2] != "\n":
            return self.fill(i, i + 2)
        end = i
        while source.startswith("\\\n", end):
            end += 2
        inside = not self._at_word_start(i) and end < len(source) and source[end] not in ENDS_WORD
        for k in range(i, min(end, len(source))):
            self.out[k] = FILLER if inside else " "
        return end

    def _redirect(self, i: int) -> int:
        source = self.source
        if source[i + 1 : i + 2] == "(":
            end = bracket_end(source, i + 1)
            self.substitutions.append((i + 2, end - 1))
            return self.fill(i, end)
        self._descriptor(i)
        if source.startswith("<<<", i):
            self.fill(i, i + 2, " ")
            self.no_target.add(i + 2)
            return i + 3
        if source.startswith("<<", i):
            delimiter, end = heredoc_delimiter(source, i)
            self.heredocs.append(delimiter)
            self.out[i] = " "
            self.no_target.add(i + 1)
            start = i + 2
            if source[start : start + 1] == "-":
                self.fill(start, start + 1, " ")
                start += 1
            while source[start : start + 1] in (" ", "\t"):
                start += 1
            return self.fill(start, end)
        if source.startswith("<>", i):
            self.out[i + 1] = " "
            self.no_target.add(i)
            return i + 2
        return i + (2 if source[i : i + 2] in (">>", ">&", "<&", ">|") else 1)

    def _descriptor(self, at: int) -> None:
        """Take the number before the redirection at `at` out of the text; digits at the end of a word stay in it."""
        start = at
        while start and self.source[start - 1] in "0123456789":
            start -= 1
        if start == at:
            return
        if self._at_word_start(start):
            self.descriptors[at] = self.source[start:at]
            self.fill(start, at, " ")
        else:
            self.fill(start, at)

    def _punctuation(self, i: int) -> int:
        source = self.source
        if source.startswith("((", i):
            end = bracket_end(source, i)
            if source[end - 2] == ")" and bracket_end(source, i + 1) == end - 1:
                for k in range(i + 2, end - 2):
                    if source[k] != ";":
                        self.out[k] = "1"
                return end
        for operator in (";;&", ";&"):
            if source.startswith(operator, i):
                self.out[i : i + len(operator)] = ";; "[: len(operator)]
                return i + len(operator)
        return i + 1

    def _brace(self, i: int) -> int:
        """Leave only braces that are words by themselves; note `{name}` before a redirection."""
        source = self.source
        end = i + 1
        while source[i] == "{" and end < len(source) and source[end] in NAME:
            end += 1
        if end > i + 1 and source[end : end + 1] == "}" and source[end + 1 : end + 2] in ("<", ">"):
            self.descriptors[end + 1] = source[i : end + 1]
            return self.fill(i, end + 1, " ")
        return i + 1 if self._alone(i) else self.fill(i, i + 1)

    def _square_bracket(self, i: int) -> int:
        """Leave only `[[`, `]]` and subscripts in assignments; `[` is a command, its arguments are ordinary words."""
        source = self.source
        if self._at_word_start(i) and source.startswith(("[[", "]]"), i) and source[i + 2 : i + 3] in ENDS_TEST:
            return i + 2
        start = i
        while start and source[start - 1] in NAME:
            start -= 1
        if source[i] == "[" and start < i and self._at_word_start(start) and is_assignment(source[start:]):
            return source.index("=", source.index("]", i)) + 1
        return self.fill(i, i + 1)

    def _prefix(self, i: int) -> int:
        """Blank the reserved words `time` and `coproc`, which the grammar takes for commands."""
        if not _ends_before_command("".join(self.out[:i])):
            return i + 1
        words = self.source[i:].split(None, 3)
        if len(words) < 2 or words[0] not in ("time", "coproc"):
            return i + 1
        end = i + len(words[0])
        if words[0] == "time" and words[1] in ("-p", "--"):
            end = self.source.index(words[1], end) + 2
        elif words[0] == "coproc" and len(words) > 2 and words[2].startswith(COMPOUND_STARTS[:2]):
            end = self.source.index(words[1], end) + (len(words[1]) if words[1] not in COMPOUND_STARTS else 0)
        return self.fill(i, end, " ")


def _ends_before_command(text: str) -> bool:
    """Tell whether the next word after `text` is the first of a command."""
    text = text.rstrip(" \t")
    if not text or text[-1] in SEPARATORS:
        return True
    last = text.split()[-1]
    return last in LEADING_WORDS and _ends_before_command(text[: -len(last)])
