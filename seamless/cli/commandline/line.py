"""What a parsed command line is: words with their place in the source, redirections, simple commands, pipelines."""

from __future__ import annotations

from seamless.cli.commandline.data import Record


class Word(Record):
    """A word of the source: `text` without its quotes, expansions and globs left as they are.

    `start` and `end` are offsets of the word, quotes included, in the source. `expands`: the text holds a `$` or
    backtick that bash would act upon, so that it is not yet what the command will see.
    """

    __slots__ = ("text", "start", "end", "expands")

    def __init__(self, text: str, start: int, end: int, expands: bool = False) -> None:
        self.text = text
        self.start = start
        self.end = end
        self.expands = expands


class Redirect(Record):
    """A redirection: `operator` as written, `descriptor` before it (None if absent), `target` None for heredocs."""

    __slots__ = ("operator", "descriptor", "target")

    def __init__(self, operator: str, descriptor: str | None, target: Word | None) -> None:
        self.operator = operator
        self.descriptor = descriptor
        self.target = target

    @property
    def reads_file(self) -> bool:
        """Tell whether this is `< FILE`."""
        return self.operator == "<" and self.target is not None

    @property
    def writes_file(self) -> bool:
        """Tell whether this writes a file, whatever the descriptor."""
        if self.target is None or ">" not in self.operator or self.operator == "<>":
            return False
        return not (self.operator == ">&" and is_descriptor(self.target.text))

    @property
    def writes_stdout(self) -> bool:
        """Tell whether this sends the standard output to a file."""
        return self.writes_file and self.descriptor in (None, "1")


class SimpleCommand(Record):
    """A command with its words up to the last redirection, if that follows one.

    `redirects`: of this command itself. `pipeline`: indices, in textual order, of all simple commands in the pipeline
    that contains this command, those of its groups and loops included; just its own index if there is no pipeline, or
    none that a list, a line or a single pair of parentheses has as a part. `grouped`: it is inside a group or loop.
    """

    __slots__ = ("words", "redirects", "pipeline", "grouped")

    def __init__(
        self, words: list[Word], redirects: list[Redirect], pipeline: tuple[int, ...] = (), grouped: bool = False
    ) -> None:
        self.words = words
        self.redirects = redirects
        self.pipeline = pipeline
        self.grouped = grouped


class Substituted(Record):
    """A simple command inside `$(...)`, backticks, `<(...)` or `>(...)` that begins at `start` in the source.

    `owner`: index of the command, or of the first one of the pipeline, that the substitution is a part of; None if it
    is part of none, such as that in `for x in $(...)`.
    """

    __slots__ = ("command", "start", "owner")

    def __init__(self, command: SimpleCommand, start: int, owner: int | None) -> None:
        self.command = command
        self.start = start
        self.owner = owner


class ParsedLine(Record):
    """The simple commands of `source` in textual order; those inside substitutions are in `substituted`.

    `group_redirects`: redirections of a group or loop that is the whole line; `other_redirects`: those of other
    groups and loops.
    """

    __slots__ = ("source", "commands", "group_redirects", "other_redirects", "substituted")

    def __init__(
        self,
        source: str,
        commands: list[SimpleCommand],
        group_redirects: list[Redirect] | None = None,
        other_redirects: list[Redirect] | None = None,
        substituted: list[Substituted] | None = None,
    ) -> None:
        self.source = source
        self.commands = commands
        self.group_redirects = group_redirects or []
        self.other_redirects = other_redirects or []
        self.substituted = substituted or []

    def all_redirects(self) -> list[Redirect]:
        """Return every redirection of the line, in textual order."""
        commands = [*self.commands, *(inner.command for inner in self.substituted)]
        found = [redirect for command in commands for redirect in command.redirects]
        found += self.group_redirects + self.other_redirects
        return sorted(found, key=lambda redirect: redirect.target.start if redirect.target else -1)


def is_descriptor(text: str) -> bool:
    """Tell whether the word after `>&` or `<&` names a descriptor: digits, `-`, or digits and `-`."""
    return text == "-" or text.removesuffix("-").isdigit()


def place(source: str, start: int, end: int | None = None) -> tuple[int, int, str]:
    """Return line, column (both from 1) and the source line with carets below the place."""
    begin = source.rfind("\n", 0, start) + 1
    stop = source.find("\n", start)
    shown = source[begin : len(source) if stop < 0 else stop]
    column = start - begin
    width = max(1, min((end or start + 1) - start, len(shown) - column))
    before, room = column, 90
    if column + width > room:  # a long line: show what is around the place
        cut = max(0, column - room // 3)
        shown, before = "..." + shown[cut:], column - cut + 3
    if len(shown) > room + 10:
        shown = shown[: room + 7] + "..."
    padding = "".join("\t" if c == "\t" else " " for c in shown[:before])
    return source.count("\n", 0, start) + 1, column + 1, f"  {shown}\n  {padding}{'^' * width}"
