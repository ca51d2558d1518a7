"""The pages hang together: the navigation has them all, links lead somewhere, and no block is left out of the tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


def navigated(nav: Any) -> Iterator[str]:
    """Yield the pages of a navigation."""
    for item in nav:
        for value in item.values():
            yield from navigated(value) if isinstance(value, list) else [value]


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), flags=re.M)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def test_the_navigation_and_the_files_agree() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    assert sorted(navigated(nav)) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_page_and_a_heading(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)):
        name, _, anchor = target.partition("#")
        path = (DOCS / page).parent / name if name else DOCS / page
        if name.startswith("https://"):
            continue
        if not path.is_file() or (anchor and anchor not in anchors(path.read_text(encoding="utf-8"))):
            wrong.append(target)
    assert wrong == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_one_title_and_begins_with_it(page: str) -> None:
    text = re.sub(r"^```.*?^```$", "", (DOCS / page).read_text(encoding="utf-8"), flags=re.M | re.S)
    lines = [line for line in text.splitlines() if line and not line.startswith("<!--")]
    assert lines[0].startswith("# ")
    assert sum(line.startswith("# ") for line in lines) == 1


@pytest.mark.parametrize("page", [page for page in PAGES if not page.startswith(("howto/", "tutorial", "index"))])
def test_examples_are_only_on_pages_that_are_executed(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    assert re.findall(r"^```(?:console|python)\b.*$", text, flags=re.M) == []
