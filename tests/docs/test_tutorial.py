"""The tutorial and the first page work from their first line to their last."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_tutorial_does_what_it_says(run_page: Callable[[str], list[str]]) -> None:
    assert "\n\n".join(run_page((DOCS / "tutorial.md").read_text(encoding="utf-8"))) == ""


def test_the_first_page_does_what_it_says(run_page: Callable[[str], list[str]]) -> None:
    assert "\n\n".join(run_page((DOCS / "index.md").read_text(encoding="utf-8"))) == ""


def test_the_tutorial_shows_the_shell_and_python() -> None:
    text = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    assert "$ seamless-run" in text
    assert "@direct" in text
    assert "@delayed" in text
