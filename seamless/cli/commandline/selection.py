"""Which commands of a line, and which of their words, are typed: those of the primary command and of its pipeline.

Commands inside substitutions are numbered behind the others, and typed with the command that they are a part of.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from seamless.cli.commandline.line import ParsedLine, SimpleCommand


def all_commands(line: ParsedLine) -> list[SimpleCommand]:
    """Return the commands of the line, then those inside its substitutions."""
    return [*line.commands, *(inner.command for inner in line.substituted)]


def primary_command(line: ParsedLine, number: int) -> int:
    """Return the index of the primary command; assignments that precede the first command by themselves are none."""
    if number > 1:
        return number - 1
    owners = {inner.owner for inner in line.substituted}
    full = (i for i, command in enumerate(line.commands) if command.words or command.redirects or i in owners)
    return next(full, 0)


def typed_commands(line: ParsedLine, primary: int) -> list[int]:
    """Return the indices of the primary command, then of the others of its pipeline.

    A substitution before the first command, as in `for x in $(ls d)`, takes the place of that.
    """
    first = line.substituted[0] if line.substituted and primary == 0 else None
    if first is not None and first.owner is None:
        words = line.commands[0].words if line.commands else []
        if not words or first.start < words[0].start:
            return [len(line.commands)]
    if not line.commands:
        return []
    return [primary, *(index for index in line.commands[primary].pipeline if index != primary)]


def typed_words(line: ParsedLine, commands: list[SimpleCommand], typed: list[int]) -> list[tuple[int, int]]:
    """Return (index of the command, number of the word) of each word that is typed, in order."""
    found: list[tuple[int, int]] = []
    for index in typed:
        inner = [len(line.commands) + i for i, nested in enumerate(line.substituted) if nested.owner == index]
        words = [(i, number) for i in (index, *inner) for number in range(len(commands[i].words))]
        if inner:
            words.sort(key=lambda place: commands[place[0]].words[place[1]].start)
        found += words
    return found
