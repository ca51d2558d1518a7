"""The full parser: all of bash, by tree-sitter-bash.

Gives the same ParsedLine as the quick parser wherever that one has an answer. Commands inside substitutions belong to
the word they are in; they are listed apart.
"""

from __future__ import annotations

from seamless.cli.commandline.line import ParsedLine, Redirect, SimpleCommand, Substituted, Word, place
from seamless.cli.commandline.prepare import ENDS_WORD, Prepared
from seamless.cli.commandline.quoting import NAME, UnclosedError, bracket_end, is_assignment, unquote
from seamless.errors import MissingDependencyError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

COMMANDS = frozenset(
    ("command", "declaration_command", "unset_command", "test_command", "variable_assignment", "variable_assignments")
)
GROUPS = frozenset(
    (
        "subshell",
        "compound_statement",
        "for_statement",
        "c_style_for_statement",
        "while_statement",
        "if_statement",
        "case_statement",
        "function_definition",
    )
)
BRANCHES = frozenset(("do_group", "elif_clause", "else_clause", "case_item"))
OTHERS = frozenset(("pipeline", "list", "redirected_statement", "negated_command"))
PIPES = ("|", "|&")
OPERATORS = ("&>>", "&>", ">>", ">|", ">&", "<&", ">", "<")


def parse_bash(source: str) -> ParsedLine:
    """Parse any bash text.

    Raises UsageError with line, column and a caret if it is none, MissingDependencyError without tree-sitter.
    """
    return _parse(source, source)


def _parse(text: str, source: str) -> ParsedLine:
    """Parse `text`, which is `source` or a part of it in its place, all else being blank."""
    try:
        prepared = Prepared(text)
    except UnclosedError as exc:
        raise UsageError(syntax_message(source, exc.offset, f"{exc.what} is never closed")) from None
    root = _tree(prepared.text)
    if root.has_error:
        raise UsageError(_error_message(text, root, source))
    walker = _Walker(prepared, root)
    for start, end in prepared.substitutions:
        inner = _parse(" " * start + text[start:end], source)
        owner = walker.owner(start)
        found = [(command, start) for command in inner.commands]
        found += [(nested.command, nested.start) for nested in inner.substituted]
        walker.line.substituted += [Substituted(command, begin, owner) for command, begin in found]
    walker.line.substituted.sort(key=lambda nested: nested.start)
    return walker.line


def _tree(text: str) -> Any:
    try:
        import tree_sitter
        import tree_sitter_bash
    except ImportError as exc:
        package = (exc.name or "tree_sitter").split(".")[0].replace("_", "-")
        raise MissingDependencyError(package, extra="shell", purpose="a command line with this bash syntax") from exc
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))
    return parser.parse(text.encode("ascii")).root_node


class _Pipeline:
    """The simple commands in a pipeline, and where it is in the text."""

    def __init__(self, start: int, end: int) -> None:
        self.members: list[int] = []
        self.start, self.end = start, end


class _Statement:
    """A simple command or a group, and the redirections behind it."""

    def __init__(self, node: Any) -> None:
        self.node = node
        self.redirects: list[Any] = []
        self.start, self.end = node.start_byte, node.end_byte

    def add(self, redirect: Any) -> None:
        """Add a redirection that follows."""
        self.redirects.append(redirect)
        self.end = redirect.end_byte


class _Walker:
    """Collects the simple commands of a tree in textual order, with their pipelines."""

    def __init__(self, prepared: Prepared, root: Any) -> None:
        self.prepared = prepared
        self.line = ParsedLine(prepared.source, [])
        self.whole: Any = None  # the group or loop that is the whole line
        self.depth = 0  # of groups and loops
        self.pipeline: _Pipeline | None = None  # the outermost one around what is visited
        self.pipelines: list[_Pipeline] = []
        self.spans: list[tuple[int, int]] = []  # of each command, up to its last redirection
        pipelines = self.statements(root)
        if len(pipelines) == 1 and len(pipelines[0]) == 1:
            self.whole = pipelines[0][0].node
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

    def statements(self, node: Any) -> list[list[_Statement]]:
        """Return the pipelines of which the content of a node consists.

        The grammar does not always nest pipelines and lists as bash does, so only the order of their parts counts.
        """
        pipelines: list[list[_Statement]] = []
        joined = False  # by a pipe to what precedes
        for child, parent in _flat(node):
            kind = child.type
            alone = kind == "file_redirect" and parent.type == "redirected_statement" and parent.children[0] == child
            if kind in COMMANDS or kind in GROUPS or alone:
                if not joined:
                    pipelines.append([])
                pipelines[-1].append(_Statement(child))
                joined = False
            elif kind in BRANCHES:
                pipelines += self.statements(child)
            elif kind in PIPES:
                joined = bool(pipelines)  # not between the patterns of `case`
            elif kind == "file_redirect" and pipelines:
                pipelines[-1][-1].add(child)
        return pipelines

    def visit_pipelines(self, pipelines: list[list[_Statement]]) -> None:
        for statements in pipelines:
            begins = len(statements) > 1 and self.pipeline is None and self.depth == 0
            if begins:
                self.pipeline = _Pipeline(statements[0].start, statements[-1].end)
                self.pipelines.append(self.pipeline)
            for statement in statements:
                self.visit(statement)
            if begins:
                self.pipeline = None

    def visit(self, statement: _Statement) -> None:
        node, kind = statement.node, statement.node.type
        if kind == "test_command":  # [[ ]] and (( )) are no simple commands
            self.line.other_redirects.extend(r for child in statement.redirects for r in self.redirects(child))
        elif kind in COMMANDS or kind == "file_redirect":
            self.add_command(statement)
        else:
            self.visit_group(node, [r for child in statement.redirects for r in self.redirects(child)])

    def visit_group(self, node: Any, redirects: list[Redirect]) -> None:
        pipelines = self.statements(node)
        transparent = node == self.whole and node.type in ("subshell", "compound_statement") and len(pipelines) == 1
        depth = self.depth
        self.depth = 0 if transparent and not _is_list(node) else depth + 1
        self.visit_pipelines(pipelines)
        self.depth = depth
        if node == self.whole:
            self.line.group_redirects.extend(redirects)
        else:
            self.line.other_redirects.extend(redirects)

    def add_command(self, statement: _Statement) -> None:
        """Add a command with the words that precede its last redirection."""
        index = len(self.line.commands)
        command = SimpleCommand([], [], (index,), self.depth > 0)
        behind: list[Word] | None = None
        end = statement.node.end_byte
        for node in (statement.node, *statement.redirects):
            for part in self.parts(node):
                if isinstance(part, Redirect):
                    command.words += behind or ()
                    command.redirects.append(part)
                    behind = [] if command.words else None
                    end = max(end, node.start_byte)
                elif behind is not None:
                    behind.append(part)
                elif command.words or not is_assignment(self.prepared.source[part.start : part.end]):
                    command.words.append(part)
        self.line.commands.append(command)
        self.spans.append((statement.start, end))
        if self.pipeline is not None:
            self.pipeline.members.append(index)

    def redirects(self, node: Any) -> list[Redirect]:
        """Return the redirection of a node; words that the grammar takes for more targets are left out."""
        return [part for part in self.parts(node) if isinstance(part, Redirect)]

    def parts(self, node: Any) -> list[Word | Redirect]:
        """Split the prepared text of a node, which has no quotes left, into words and redirections."""
        start, end = node.start_byte, node.end_byte
        text = self.prepared.text
        parts: list[Word | Redirect] = []
        i = start
        while i < end:
            if text[i] in " \t\n":
                i += 1
                continue
            operator = next((o for o in OPERATORS if text.startswith(o, i)), None)
            if operator is None:
                word = self.word(i)
                parts.append(word)
                i = max(word.end, i + 1)
                continue
            at, i = i, i + len(operator)
            while text[i : i + 1] in (" ", "\t"):
                i += 1
            target = self.word(i)
            i = max(target.end, i + 1)
            named = None if at in self.prepared.no_target else target
            parts.append(Redirect(operator, self.prepared.descriptors.get(at), named))
        return parts

    def word(self, start: int) -> Word:
        """Return the word that begins at `start`; the subscript and the array of an assignment belong to it."""
        text, i = self.prepared.text, start
        while i < len(text) and text[i] not in ENDS_WORD:
            i = text.index("]", i) if text[i] == "[" and text[i - 1] in NAME and i > start else i + 1
            if text[i : i + 1] == "(" and text[i - 1] == "=":
                i = bracket_end(text, i)
        value, expands = unquote(self.prepared.source[start:i])
        return Word(value, start, i, expands)


def _flat(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each part of the pipelines and lists in a node, and its parent."""
    for child in node.children:
        if child.type in OTHERS:
            yield from _flat(child)
        else:
            yield child, node


def _is_list(group: Any) -> bool:
    """Tell whether a group ends its only pipeline with a sign, as braces in one line do."""
    return any(child.type in (";", "&") for child in group.children)


def _error_message(text: str, root: Any, source: str) -> str:
    """Say where the text stops being bash; what bash itself accepts gets another message."""
    node = root
    while True:
        inner = next((child for child in node.children if child.has_error or child.is_missing), None)
        if inner is None or node.type == "ERROR" and node is not root:
            break
        node = inner
    complaint = _bash_complaint(text)
    if complaint is None:
        return syntax_message(source, node.start_byte, "cannot analyse this bash syntax") + (
            "\nPut it into a file and write: bash FILE"
        )
    return syntax_message(source, node.start_byte, complaint)


def _bash_complaint(source: str) -> str | None:
    """Ask bash itself, without executing anything; None if it has no objection."""
    import subprocess

    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    run = subprocess.run(
        ["/bin/bash", "-n", "-c", source], stdin=subprocess.DEVNULL, capture_output=True, env=environment, check=False
    )
    if run.returncode == 0:
        return None
    lines = run.stderr.decode(errors="replace").splitlines()
    return lines[0].split(": ", 3)[-1] if lines else "syntax error"


def syntax_message(source: str, offset: int, what: str) -> str:
    """Return a message for a place in the command line, with line, column and a caret."""
    line, column, shown = place(source, offset)
    return f"the command line is not valid bash: {what} (line {line}, column {column})\n{shown}"
