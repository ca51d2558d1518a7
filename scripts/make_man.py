#!/usr/bin/env python3
"""Write the man pages of all commands, made from their parsers: `make_man.py [--check]`."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from make_completions import PARSERS, ROOT, installed_commands
from make_reference import epilog_sections

TARGET = ROOT / "share" / "man" / "man1"
NOTE = '.\\" Made by scripts/make_man.py; do not edit.\n'
# Signs that roff would read as markup, or show as others.
SIGNS = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"}


# --- roff -----------------------------------------------------------------------------------------


def roff(text: str) -> str:
    """Return text that roff shows as it is; each line is one of the input."""
    escaped = "".join(SIGNS.get(c, c) for c in text)
    return re.sub(r"^\.", r"\\&.", escaped, flags=re.MULTILINE)


def bold(text: str) -> str:
    """Return `text` in bold."""
    return f"\\fB{roff(text)}\\fR"


def italic(text: str) -> str:
    """Return `text` in italics."""
    return f"\\fI{roff(text)}\\fR"


def section(title: str, body: str, macro: str = "SH") -> str:
    """Return a section; nothing for an empty one."""
    heading = title.upper() if macro == "SH" else title
    return f'.{macro} "{roff(heading)}"\n{body.rstrip()}\n' if body.strip() else ""


def verbatim(lines: str) -> str:
    """Return lines that keep their ends."""
    return f".nf\n{roff(lines.rstrip())}\n.fi\n"


def indented(lines: str) -> str:
    """Return lines that keep their ends, indented."""
    return f".RS 4\n{verbatim(lines)}.RE\n"


def prose(text: str) -> str:
    """Return text whose lines are filled; those that are indented keep their ends, as does a table among them."""
    parts = []
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        lines = paragraph.split("\n")
        filled = not any(line.startswith(" ") or "  " in line.strip().replace(".  ", ". ") for line in lines)
        parts.append(roff(" ".join(line.strip() for line in lines)) + "\n" if filled else verbatim(paragraph))
    return ".PP\n".join(parts)


# --- a page ---------------------------------------------------------------------------------------


def page(name: str, parser: argparse.ArgumentParser, related: list[str]) -> str:
    """Return the man page of a command."""
    description = (parser.description or "").strip()
    sections = epilog_sections(parser)
    text = NOTE + f'.TH "{roff(name.upper())}" 1 "" "Seamless" "Seamless"\n.ad l\n.nh\n'
    text += section("Name", f"{roff(name)} \\- {roff(summary(name, description))}")
    text += section("Synopsis", verbatim(usage(parser)))
    text += section("Description", prose(description))
    text += section("Options", options(parser))
    for subname, subparser in subcommands(parser):
        body = prose(subparser.description or "") + options(subparser, macro="PP")
        text += section(f"{name} {subname}", body)
    text += section("Examples", indented("\n".join(sections.pop("examples", []))))
    text += section("Exit status", exit_statuses(sections.pop("exit codes", [])))
    for title, lines in sections.items():
        text += section(title, indented("\n".join(lines))) if lines else ""
    return text + section("See also", ",\n".join(f"{bold(other)}(1)" for other in related))


def summary(name: str, description: str) -> str:
    """Return the first sentence of a description, as the line NAME wants it."""
    sentences = re.split(r"(?<=[.:])\s", description.removeprefix(f"{name}: "), maxsplit=1)
    first = " ".join(sentences[0].split()).rstrip(".:")
    return first[:1].lower() + first[1:]


def usage(parser: argparse.ArgumentParser) -> str:
    """Return the usage, one way to call the command a line."""
    text = parser.format_usage().removeprefix("usage: ").rstrip()
    return re.sub(r"\n {7}(?! )", "\n", text)


def options(parser: argparse.ArgumentParser, macro: str = "SS") -> str:
    """Return the groups of options, each under its title."""
    text = ""
    for group in parser._action_groups:
        shown = [action for action in group._group_actions if action.help != argparse.SUPPRESS]
        shown = [action for action in shown if not isinstance(action, argparse._SubParsersAction)]
        body = prose(group.description) if group.description else ""
        body += "".join(option(parser, action) for action in shown)
        if macro == "SS":
            text += section((group.title or "options").capitalize(), body, "SS")
        else:
            text += body
    return text


def option(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """Return one option or argument."""
    formatter: Any = parser._get_formatter()
    meaning = " ".join(formatter._expand_help(action).split()) if action.help else ""
    value = ""
    if action.nargs != 0:
        value = formatter._format_args(action, formatter._get_default_metavar_for_optional(action))
        value = value if action.nargs != "?" else value.strip("[]")
    if not action.option_strings:
        head = italic(action.metavar if isinstance(action.metavar, str) else action.dest)
    elif action.nargs == "?":
        head = ", ".join(f"{bold(string)}[={italic(value)}]" for string in action.option_strings)
    else:
        head = ", ".join(bold(string) + (f" {italic(value)}" if value else "") for string in action.option_strings)
    return f".TP\n{head}\n{roff(meaning)}\n"


def subcommands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield the subcommands of a command."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def exit_statuses(lines: list[str]) -> str:
    """Return the table of exit statuses."""
    rows = [line.split(None, 1) for line in lines]
    return "".join(f".TP\n{bold(row[0])}\n{roff(' '.join(row[1:]))}\n" for row in rows)


# --- all pages ------------------------------------------------------------------------------------


def pages() -> dict[str, str]:
    """Return every page by the name of its file."""
    os.environ["COLUMNS"] = "80"
    commands = installed_commands()
    made = {}
    for name, target in commands.items():
        module, _, function = PARSERS.get(name, target.partition(":")[0] + ":build_parser").partition(":")
        parser = getattr(importlib.import_module(module), function)()
        made[f"{name}.1"] = page(name, parser, related(name, set(commands)))
    return made


def related(name: str, commands: set[str]) -> list[str]:
    """Return the commands that a reader of this page may want as well."""
    from seamless.cli.verbs import GROUPS, command_of

    if name.startswith("rhl-") or name == "remote-http-launcher":
        others = {other for other in commands if other.startswith("rhl-")} | {"remote-http-launcher"}
        return sorted(others & commands - {name})
    groups = [[command_of(verb) for verb in verbs] for verbs in GROUPS.values()]
    if name == "seamless":
        return sorted({command for group in groups for command in group} & commands)
    others = {command for group in groups if name in group for command in group}
    return ["seamless", *sorted(others & commands - {name})]


def main() -> int:
    """Write the pages, or with `--check` name those that are not up to date (exit status 1)."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is not up to date")
    check = parser.parse_args().check
    made = pages()
    TARGET.mkdir(parents=True, exist_ok=True)
    old = {path.name: path.read_text(encoding="utf-8") for path in TARGET.glob("*.1")}
    stale = sorted(name for name in made.keys() | old.keys() if made.get(name) != old.get(name))
    for name in stale:
        path: Path = TARGET / name
        if check:
            print(f"{path.relative_to(ROOT)} is not up to date: run scripts/make_man.py", file=sys.stderr)
        elif name in made:
            path.write_text(made[name], encoding="utf-8")
        else:
            path.unlink()
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    raise SystemExit(main())
