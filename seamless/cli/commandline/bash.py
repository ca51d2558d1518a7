"""The full parser: all of bash, by tree-sitter-bash.

Gives the same ParsedLine as the quick parser wherever that one has an answer. Commands inside substitutions belong to
the word they are in and are not listed.
"""

from __future__ import annotations

from seamless.cli.commandline.line import ParsedLine, Redirect, SimpleCommand, Word, place
from seamless.cli.commandline.prepare import ENDS_WORD, Prepared
from seamless.cli.commandline.quoting import NAME, UnclosedError, bracket_end, is_assignment, unquote
from seamless.errors import MissingDependencyError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
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
OPERATORS = ("&>>", "&>", ">>", ">|", ">&", "<&", ">", "<")


def parse_bash(source: str) -> ParsedLine:
    """Parse any bash text.

    Raises UsageError with line, column and a caret if it is none, MissingDependencyError without tree-sitter.
    """
    try:
        prepared = Prepared(source)
    except UnclosedError as exc:
        raise UsageError(syntax_message(source, exc.offset, f"{exc.what} is never closed")) from None
    root = _tree(prepared.text)
    if root.has_error:
        raise UsageError(_error_message(source, root))
    return _Walker(prepared, root).line


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
    """The members of a pipeline being visited, and the number of groups between it and the current node."""

    def __init__(self) -> None:
        self.members: list[int] = []
        self.depth = 0


class _Walker:
    """Collects the simple commands of a tree in textual order, with their pipelines."""

    def __init__(self, prepared: Prepared, root: Any) -> None:
        self.prepared = prepared
        self.line = ParsedLine(prepared.source, [])
        statements = [child for child in root.named_children if child.type != "comment"]
        self.whole = _bare(statements[0]) if len(statements) == 1 else None
        self.around: list[_Pipeline] = []
        self.pipelines: list[_Pipeline | None] = []  # of each command
        self.visit_statements(root)
        for index, command in enumerate(self.line.commands):
            pipeline = self.pipelines[index]
            command.pipeline = tuple(pipeline.members) if pipeline else (index,)

    def visit(self, node: Any, pipeline: _Pipeline | None = None) -> int | None:
        """Visit a statement; return the index of its last simple command, None if it ends in a group.

        `pipeline`: the one of which `node` is a direct member.
        """
        kind = node.type
        if kind in COMMANDS:
            return self.visit_command(node, pipeline)
        if kind == "pipeline":
            return self.visit_pipeline(node, pipeline)
        if kind == "redirected_statement":
            return self.visit_redirected(node, pipeline)
        if kind == "negated_command":
            return self.visit(node.named_children[-1], pipeline)
        if kind == "list":
            return self.visit_list(node, pipeline)
        if self.around:
            self.around[-1].depth += 1
        self.visit_statements(node)
        if self.around:
            self.around[-1].depth -= 1
        return None

    def visit_statements(self, node: Any) -> int | None:
        last = None
        for child in node.named_children:
            if child.type == "file_redirect":  # of a function definition
                self.line.other_redirects.extend(self.redirects(child))
            elif child.type in BRANCHES:
                self.visit_statements(child)
            elif child.type in COMMANDS or child.type in GROUPS or child.type in OTHERS:
                last = self.visit(child)
        return last

    def visit_pipeline(self, node: Any, pipeline: _Pipeline | None) -> int | None:
        """Visit a pipeline; one cut in two by a redirection is one in the tree inside another."""
        inner = pipeline if pipeline is not None else _Pipeline()
        if pipeline is None:
            self.around.append(inner)
        last = None
        for child in node.named_children:
            last = self.visit(child, inner)
        if pipeline is None:
            self.around.pop()
        return last

    def visit_list(self, node: Any, pipeline: _Pipeline | None) -> int | None:
        """Visit a list; where the tree has it inside a pipeline, only its last command really is a member."""
        *before, end = node.named_children
        if pipeline is not None:
            self.around.pop()
        for child in before:
            self.visit(child)
        if pipeline is not None:
            self.around.append(pipeline)
        return self.visit(end, pipeline)

    def visit_redirected(self, node: Any, pipeline: _Pipeline | None) -> int | None:
        body = node.child_by_field_name("body")
        redirects = [r for child in node.named_children if child.type == "file_redirect" for r in self.redirects(child)]
        if body is None:
            return self.add(SimpleCommand([], redirects), pipeline)
        last = self.visit(body, pipeline)
        if last is not None:
            self.line.commands[last].redirects.extend(redirects)
        elif self.whole is not None and self.whole.type in GROUPS and _bare(body) == self.whole:
            self.line.group_redirects.extend(redirects)
        else:
            self.line.other_redirects.extend(redirects)
        return last

    def visit_command(self, node: Any, pipeline: _Pipeline | None) -> int | None:
        if node.type == "test_command":
            return None  # [[ ]] and (( )) are no simple commands
        words: list[Word] = []
        redirects: list[Redirect] = []
        ended = False
        for part in self.parts(node.start_byte, node.end_byte):
            if isinstance(part, Redirect):
                redirects.append(part)
                ended = bool(words)
            elif not ended and (words or not is_assignment(self.prepared.source[part.start : part.end])):
                words.append(part)
        return self.add(SimpleCommand(words, redirects), pipeline)

    def add(self, command: SimpleCommand, pipeline: _Pipeline | None) -> int:
        index = len(self.line.commands)
        self.line.commands.append(command)
        if pipeline is not None:
            pipeline.members.append(index)
        elif self.around and self.around[-1].depth <= 1:
            pipeline = self.around[-1]
        self.pipelines.append(pipeline)
        return index

    def redirects(self, node: Any) -> list[Redirect]:
        """Return the redirection of a node; words that the grammar takes for more targets are left out."""
        parts = self.parts(node.start_byte, node.end_byte)
        return [part for part in parts if isinstance(part, Redirect)]

    def parts(self, start: int, end: int) -> list[Word | Redirect]:
        """Split a piece of the prepared text, which has no quotes left, into words and redirections."""
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


def _bare(node: Any) -> Any:
    """Return a statement without the redirections around it."""
    while node.type == "redirected_statement" and node.child_by_field_name("body") is not None:
        node = node.child_by_field_name("body")
    return node


def _error_message(source: str, root: Any) -> str:
    """Say where the line stops being bash; a line that bash itself accepts gets another message."""
    node = root
    while True:
        inner = next((child for child in node.children if child.has_error or child.is_missing), None)
        if inner is None or node.type == "ERROR" and node is not root:
            break
        node = inner
    complaint = _bash_complaint(source)
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
