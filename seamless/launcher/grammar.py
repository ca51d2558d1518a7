"""The command lines of the helpers `rhl-*`: one strict grammar each, shared by the helpers and by `rhl-guard`.

No abbreviation, no repeated option, no control character, nothing unknown. Looks at no file. Who accepts an
`Invocation` passes on `Invocation.argv()`, never the text that it was made from. (What the guard adds: `guarded`.)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from seamless.launcher.grammar_table import HELPERS, Grammar, Option
from seamless.launcher.grammar_values import GrammarError, Value, check_word, parse_value, parse_word

__all__ = ["HELPERS", "GrammarError", "Grammar", "Invocation", "Value", "parse", "usage", "wants_help", "wants_version"]

MAX_LENGTH = 128 << 10  # of all words together

_OPTION = re.compile(r"--[a-z][a-z-]*")


class Invocation(NamedTuple):
    """A command line that is well-formed. `options` has the long names without dashes, `service` what follows `--`."""

    helper: str
    options: Mapping[str, Value]
    words: tuple[str, ...] = ()
    service: tuple[str, ...] = ()

    def argv(self) -> list[str]:
        """Return the one form of this command line: options in order of their table, words, service.

        >>> parse("rhl-logs", ["--tail=007", "KEY"]).argv()
        ['rhl-logs', '--tail', '7', 'KEY']
        """
        grammar = HELPERS[self.helper]
        argv = [self.helper]
        for name in grammar.options:
            if name in self.options:
                argv += _shown(name, self.options[name])
        argv += self.words
        return [*argv, "--", *self.service] if grammar.service else argv

    def replaced(self, **changes: Value | None) -> Invocation:
        """Return a copy with these options (`_` for `-` in names) set, or removed if None."""
        options = dict(self.options)
        for name, value in changes.items():
            options.pop(name.replace("_", "-"), None)
            if value is not None:
                options[name.replace("_", "-")] = value
        return self._replace(options=options)


def _shown(name: str, value: Value) -> list[str]:
    if value is True:
        return [f"--{name}"]
    text = str(value)
    return [f"--{name}={text}"] if text.startswith("-") else [f"--{name}", text]


def wants_help(argv: Sequence[str]) -> bool:
    """Tell whether these arguments ask for help: `-h` or `--help` before `--`."""
    before = list(argv[: list(argv).index("--")] if "--" in argv else argv)
    return "-h" in before or "--help" in before


def wants_version(argv: Sequence[str]) -> bool:
    """Tell whether `--version` is all that is asked."""
    return list(argv) == ["--version"]


def parse(helper: str, argv: Sequence[str]) -> Invocation:
    """Return what the arguments of `helper` (without its name) say. Raises GrammarError."""
    grammar = HELPERS.get(helper)
    if grammar is None:
        raise GrammarError(f"unknown helper: {helper[:120]!r}")
    _check_text(argv)
    options: dict[str, Value] = {}
    words: list[str] = []
    service: tuple[str, ...] = ()
    unknown: list[str] = []
    i = 0
    while i < len(argv):
        word = argv[i]
        i += 1
        if word == "--" and grammar.service:
            service = tuple(argv[i:])
            break
        if not word.startswith("-"):
            words.append(word)
            continue
        name, separator, text = word[2:].partition("=")
        option = grammar.options.get(name) if _OPTION.fullmatch(word.partition("=")[0]) else None
        if option is None:
            unknown.append(word)
            continue
        if name in options:
            raise GrammarError(f"--{name} is given more than once")
        if option.kind == "flag":
            if separator:
                raise GrammarError(f"--{name} takes no value")
            options[name] = True
            continue
        if not separator:
            text, i = _following(option, argv, i)
        options[name] = parse_value(option, text)
    if unknown:
        raise GrammarError(_unknown(grammar, unknown))
    return _checked(grammar, Invocation(helper, options, tuple(words), service))


def _check_text(argv: Sequence[str]) -> None:
    for word in argv:
        check_word(word)
    if sum(len(word.encode()) + 1 for word in argv) > MAX_LENGTH:
        raise GrammarError(f"the command is longer than {MAX_LENGTH} bytes")


def _following(option: Option, argv: Sequence[str], i: int) -> tuple[str, int]:
    """Return the value of an option that is a word of its own, and the index after it."""
    if i < len(argv) and (not argv[i].startswith("-") or re.fullmatch(r"-[0-9]+", argv[i])):
        return argv[i], i + 1
    if option.kind == "count":
        raise GrammarError(f"--{option.name} requires an integer", shared=True)
    raise GrammarError(f"--{option.name} requires a value")


def _unknown(grammar: Grammar, words: list[str]) -> str:
    if not grammar.options and not grammar.words.most:
        return grammar.words.problem
    if grammar.unknown_together:
        return f"unknown flag(s): {' '.join(sorted(words))}"
    return f"unknown argument: {words[0]}"


def _checked(grammar: Grammar, found: Invocation) -> Invocation:
    """Return the invocation with its words checked and normalised."""
    missing = [f"--{name}" for name in grammar.required if name not in found.options]
    if missing:
        raise GrammarError(f"the following arguments are required: {', '.join(missing)}")
    for first, second, text in grammar.conflicts:
        if first in found.options and (second in found.options) is (text is not None):
            raise GrammarError(text or f"--{first} requires --{second}")
    if grammar.service:
        if found.words:
            raise GrammarError(f"unknown argument: {found.words[0]}")
        if not found.service or not found.service[0]:
            raise GrammarError("service binary is required after --")
        return found
    kinds = grammar.words
    if not kinds.least <= len(found.words) <= kinds.most:
        raise GrammarError(kinds.problem)
    words = [parse_word(kinds.kinds[min(i, len(kinds.kinds) - 1)], word) for i, word in enumerate(found.words)]
    return found._replace(words=tuple(words))


def usage(helper: str) -> str:
    """Return the text of `--help`."""
    grammar = HELPERS[helper]
    lines = [f"usage: {helper}{grammar.synopsis()}", "", *grammar.summary.splitlines()]
    if grammar.options:
        shown = [(f"--{option.name}{' ' + option.metavar if option.metavar else ''}", option.help)
                 for option in grammar.options.values()]  # fmt: skip
        width = max(len(name) for name, _ in shown)
        lines += ["", "options:", *(f"  {name.ljust(width)}  {text}" for name, text in shown)]
    if grammar.examples:
        lines += ["", "examples:", *(f"  {example}" for example in grammar.examples)]
    return "\n".join(lines) + "\n"
