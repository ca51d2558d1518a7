"""The picture of a terminal shows what the first commands of the README print, and is drawn the same each time."""

from __future__ import annotations

import importlib
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def terminal() -> Iterator[ModuleType]:
    """Return the script that makes the picture."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts"))
        yield importlib.import_module("make_terminal_picture")


def shown_in(picture: str) -> list[str]:
    """Return the lines that a picture shows."""
    return ["".join(element.itertext()) for element in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def first_block() -> list[str]:
    """Return the lines of the first console block of the README."""
    block = re.search(r"^```console\n(.*?)^```$", README, flags=re.M | re.S)
    assert block is not None
    return block[1].splitlines()


def test_the_picture_is_drawn_from_the_recorded_session(terminal: ModuleType) -> None:
    drawn = terminal.draw(terminal.session_lines(terminal.read_cast(terminal.CAST)))
    assert terminal.PICTURE.read_text(encoding="utf-8") == drawn, "run scripts/make_terminal_picture.py --draw"


def test_the_picture_shows_what_the_readme_says(
    terminal: ModuleType, output_agrees: Callable[[list[str], list[str]], bool]
) -> None:
    shown = shown_in(terminal.PICTURE.read_text(encoding="utf-8"))
    assert output_agrees(first_block(), shown), "run scripts/make_terminal_picture.py"


def test_a_new_recording_shows_what_the_readme_says(
    terminal: ModuleType, tmp_path: Path, isolation: Path, output_agrees: Callable[[list[str], list[str]], bool]
) -> None:
    output = terminal.record(terminal.first_commands(README), tmp_path, isolation)
    shown = shown_in(terminal.draw(terminal.session_lines(output)))
    assert output_agrees(first_block(), shown), "\n".join(shown)
    assert str(tmp_path) not in output


def test_a_recording_is_read_as_it_was_written(terminal: ModuleType, tmp_path: Path) -> None:
    output = f"{terminal.PROMPT}$ {terminal.TYPED}echo é\r\né\r\n{terminal.PROMPT}$ {terminal.TYPED}"
    terminal.write_cast(tmp_path / "a.cast", output)
    assert terminal.read_cast(tmp_path / "a.cast") == output


def test_colours_are_left_out_and_overwritten_text_is_not_shown(terminal: ModuleType) -> None:
    printed = "\x1b[31mred\x1b[0m\r\n 5 %\r100 %\r\n"
    output = f"{terminal.PROMPT}$ {terminal.TYPED}make\r\n{printed}{terminal.PROMPT}$ {terminal.TYPED}"
    assert [line.shown for line in terminal.session_lines(output)] == ["$ make", "red", "100 %"]


def test_a_long_line_takes_more_rows_and_stays_one_line(terminal: ModuleType) -> None:
    picture = terminal.draw([terminal.Line(False, "x" * (terminal.COLUMNS + 1)), terminal.Line(False, "<&>")])
    assert shown_in(picture) == ["x" * (terminal.COLUMNS + 1), "<&>"]
    rows = [span.get("y") for span in ElementTree.fromstring(picture).iter(f"{SVG}tspan")]
    assert len(set(rows)) == 3


def test_the_picture_can_be_read_aloud_and_follows_the_colours_of_the_reader(terminal: ModuleType) -> None:
    text = terminal.PICTURE.read_text(encoding="utf-8")
    picture = ElementTree.fromstring(text)
    assert picture.get("role") == "img"
    named = {element.get("id"): element.text for element in picture if element.tag in (f"{SVG}title", f"{SVG}desc")}
    assert list(named) == (picture.get("aria-labelledby") or "").split()
    assert (named["desc"] or "").splitlines() == shown_in(text)
    assert "prefers-color-scheme: dark" in text
    assert re.findall(r"font-family: ([^;]*);", text) == ["monospace"]


def test_the_readme_and_the_first_page_of_the_manual_show_the_picture() -> None:
    assert "](docs/assets/first-commands.svg)" in README.split("\n## ")[0]
    assert "](assets/first-commands.svg)" in (ROOT / "docs" / "index.md").read_text(encoding="utf-8").split("\n## ")[0]


def test_every_link_of_the_readme_leads_to_a_file() -> None:
    targets = re.findall(r"\]\(([^)\s#]+)", re.sub(r"^```.*?^```$", "", README, flags=re.M | re.S))
    missing = [target for target in targets if not target.startswith("https://") and not (ROOT / target).exists()]
    assert targets and missing == []
