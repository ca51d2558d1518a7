"""The full parser: what the grammar finds in any bash text, as a ParsedLine.

Gives the same as the quick parser wherever that one has an answer. Commands inside substitutions belong to the word
they are in; they are listed apart.
"""

from __future__ import annotations

from seamless.cli.commandline.grammar import Parsed, Statement, parse_text, substitution
from seamless.cli.commandline.line import ParsedLine, Redirect, SimpleCommand, Substituted, Word, place
from seamless.cli.commandline.quoting import NotBashError, UnclosedError, is_assignment
from seamless.errors import UsageError


def parse_bash(source: str) -> ParsedLine:
    """Parse any bash text.

    Raises UsageError with line, column and a caret if it is none.
    """
    try:
        return _walk(source, parse_text(source))
    except NotBashError as exc:
        raise UsageError(_error_message(source, exc)) from None
    except RecursionError:
        raise UsageError("the command line is nested too deeply to be analysed: put it into a file") from None


def _walk(source: str, parsed: Parsed) -> ParsedLine:
    walker = _Walker(source, parsed.pipelines)
    for start, end in parsed.substitutions:
        inner = _walk(source, _content(source, start, end))
        owner = walker.owner(start)
        found = [(command, start) for command in inner.commands]
        found += [(nested.command, nested.start) for nested in inner.substituted]
        walker.line.substituted += [Substituted(command, begin, owner) for command, begin in found]
    walker.line.substituted.sort(key=lambda nested: nested.start)
    return walker.line


def _content(source: str, start: int, end: int) -> Parsed:
    """Return what is in a substitution; bash says only when it executes backticks whether that are commands."""
    if source[end] == ")":
        return substitution(source, start)
    try:
        return parse_text(source[:end], start)
    except NotBashError:
        return Parsed([], [], end)


class _Pipeline:
    """The simple commands in a pipeline, and where it is in the text."""

    def __init__(self, start: int, end: int) -> None:
        self.members: list[int] = []
        self.start, self.end = start, end


class _Walker:
    """Collects the simple commands in textual order, with their pipelines."""

    def __init__(self, source: str, pipelines: list[list[Statement]]) -> None:
        self.source = source
        self.line = ParsedLine(source, [])
        self.whole: Statement | None = None  # the group or loop that is the whole line
        self.depth = 0  # of groups and loops
        self.pipeline: _Pipeline | None = None  # the outermost one around what is visited
        self.pipelines: list[_Pipeline] = []
        self.spans: list[tuple[int, int]] = []  # of each command, up to its last redirection
        if len(pipelines) == 1 and len(pipelines[0]) == 1:
            self.whole = pipelines[0][0]
        self.visit_pipelines(pipelines)
        for pipeline in self.pipelines:
            for index in pipeline.members:
                self.line.commands[index].pipeline = tuple(pipeline.members)

    def owner(self, offset: int) -> int | None:
        """Return the index of the command around the offset, or of the first one of the pipeline around it."""
        for index, (start, end) in enumerate(self.spans):
            if start <= offset < end:
                return index
        return next((p.members[0] for p in self.pipelines if p.members and p.start <= offset < p.end), None)

    def visit_pipelines(self, pipelines: list[list[Statement]]) -> None:
        for statements in pipelines:
            begins = len(statements) > 1 and self.pipeline is None and self.depth == 0
            if begins:
                self.pipeline = _Pipeline(statements[0].start, statements[-1].end)
                self.pipelines.append(self.pipeline)
            for statement in statements:
                if statement.kind == "simple":
                    self.add_command(statement)
                else:
                    self.visit_group(statement)
            if begins:
                self.pipeline = None

    def visit_group(self, group: Statement) -> None:
        """Visit the content of a group, loop or function; that of a test is none."""
        transparent = (
            group is self.whole
            and group.kind in ("parentheses", "braces")
            and len(group.body) == 1
            and not group.separated
        )
        depth = self.depth
        self.depth = 0 if transparent else depth + 1
        self.visit_pipelines(group.body)
        self.depth = depth
        whole = group is self.whole and group.kind != "test"
        (self.line.group_redirects if whole else self.line.other_redirects).extend(group.redirects)

    def add_command(self, statement: Statement) -> None:
        """Add a command with the words that precede its last redirection."""
        index = len(self.line.commands)
        command = SimpleCommand([], [], (index,), self.depth > 0)
        behind: list[Word] | None = None
        end = statement.end
        for part in statement.parts:
            if isinstance(part.value, Redirect):
                command.words += behind or ()
                command.redirects.append(part.value)
                behind = [] if command.words else None
                end = part.start if part is not statement.parts[0] else end
            elif behind is not None:
                behind.append(part.value)
            elif command.words or not is_assignment(self.source[part.start : part.end]):
                command.words.append(part.value)
        self.line.commands.append(command)
        self.spans.append((statement.start, max(end, statement.parts[0].end)))
        if self.pipeline is not None:
            self.pipeline.members.append(index)


def _error_message(source: str, error: NotBashError) -> str:
    """Say where the text stops being bash; what bash itself accepts gets another message."""
    if isinstance(error, UnclosedError):
        return syntax_message(source, error.offset, f"{error.what} is never closed")
    complaint = _bash_complaint(source)
    if complaint is None:
        return syntax_message(source, error.offset, "cannot analyse this bash syntax") + (
            "\nPut it into a file and write: bash FILE"
        )
    return syntax_message(source, error.offset, complaint)


def _bash_complaint(source: str) -> str | None:
    """Ask bash itself, without executing anything; None if it has no objection."""
    import subprocess

    command = ["/bin/bash", "-n", "-c", "--", source]
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env=environment, check=False)
    # What is wrong between [[ and ]] does not show in the exit status.
    lines = [line for line in run.stderr.decode(errors="replace").splitlines() if ": warning: " not in line]
    if lines:
        return lines[0].split(": ", 3)[-1]
    return "syntax error" if run.returncode else None


def syntax_message(source: str, offset: int, what: str) -> str:
    """Return a message for a place in the command line, with line, column and a caret."""
    line, column, shown = place(source, offset)
    return f"the command line is not valid bash: {what} (line {line}, column {column})\n{shown}"
