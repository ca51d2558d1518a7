"""The sessions that the manual shows are what happens on a terminal."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from tests.cli.mode.conftest import MODE, PLAIN, ROOT, Start

PAGE = ROOT / "docs" / "howto" / "seamless-mode.md"
PROMPT = re.compile(r"^(\$|\[seamless-mode\] ada@lab:~\$) (.*)$")


class Entry(NamedTuple):
    """A line at a prompt, and what follows until the next prompt."""

    prompt: str
    line: str
    output: list[str]

    @property
    def shown(self) -> str:
        return f"{self.prompt} {self.line}"


def entries(block: str) -> list[Entry]:
    found: list[Entry] = []
    for line in block.splitlines():
        match = PROMPT.match(line)
        if match is not None:
            found.append(Entry(PLAIN if match[1] == "$" else MODE, match[2], []))
        else:
            found[-1].output.append(line)
    return found


@pytest.mark.parametrize("kind", ["bash", "zsh"])
def test_the_sessions_of_the_manual_are_what_happens(kind: str, start: Start) -> None:
    blocks = re.findall(r"^```text\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.M | re.S)
    session = start(kind)
    shown = [entry for block in blocks for entry in entries(block)]
    assert len(shown) > 10
    for entry, following in zip(shown, [*shown[1:], Entry(PLAIN, "", [])], strict=True):
        rewritten = following.line.startswith("seamless-run ")
        offered = session.lines()[-1] == entry.shown
        session.enter(
            "" if offered else entry.line,
            entry.shown,
            *entry.output,
            following.shown if rewritten else following.prompt,
        )


def test_the_manual_tells_each_function_of_the_mode() -> None:
    text = PAGE.read_text(encoding="utf-8")
    functions = re.findall(
        r"^(seamless-mode-\w+)\(\)", (ROOT / "seamless/cli/mode/seamless-mode-bind.sh").read_text(), re.M
    )
    assert len(functions) == 4
    assert [name for name in functions if name not in text] == []
