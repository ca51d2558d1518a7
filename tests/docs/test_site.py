"""The manual as a site: it is built without a warning, can be searched, and loads nothing from elsewhere."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
ELSEWHERE = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)
PATIENCE = 100  # seconds

# One worker of pytest builds the site; a second copy would only take time.
pytestmark = pytest.mark.xdist_group("site")


class Loads(HTMLParser):
    """The addresses that a browser gets by itself when it shows a page, without those that a reader may follow."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the address of what a tag loads."""
        found = dict(attrs)
        if tag == "link" and found.get("rel") not in ("canonical", "next", "prev"):
            self.addresses.append(found.get("href") or "")
        if tag != "a":
            self.addresses += [found[name] or "" for name in ("src", "srcset", "data", "poster") if name in found]


def loaded(html: str) -> list[str]:
    """Return the addresses that a browser gets by itself when it shows a page."""
    parser = Loads()
    parser.feed(html)
    return parser.addresses


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Build the site, as `make docs` does; return its directory."""
    if importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("material") is None:
        if os.environ.get("SEAMLESS_LAB") == "required":
            pytest.fail("SEAMLESS_LAB=required, but mkdocs-material is missing", pytrace=False)
        pytest.skip("mkdocs-material is missing")
    directory = tmp_path_factory.mktemp("site") / "built"
    argv = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(directory)]
    done = subprocess.run(
        argv, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr
    yield directory


def test_the_site_is_built_without_a_warning_and_has_every_page(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert sorted(str(page) for page in pages if not (site / page).is_file()) == []


def test_a_word_of_a_howto_is_found_without_a_network(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    found = [entry["location"] for entry in index["docs"] if "seamless-gc" in entry["text"]]
    assert any(location.startswith("howto/clean-up.html") for location in found)


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    wrong = [
        f"{page.relative_to(site)}: {address}"
        for page in pages
        for address in loaded(page.read_text(encoding="utf-8"))
        if ELSEWHERE.match(address)
    ]
    assert pages and wrong == []


def test_no_style_sheet_loads_anything_from_elsewhere(site: Path) -> None:
    wrong = []
    for sheet in sorted(site.rglob("*.css")):
        text = sheet.read_text(encoding="utf-8")
        addresses = re.findall(r"url\(\s*[\"']?([^\"')]*)", text) + re.findall(r"@import\s*[\"']([^\"']*)", text)
        wrong += [f"{sheet.name}: {address}" for address in addresses if ELSEWHERE.match(address)]
    assert wrong == []


def test_what_every_page_loads_is_part_of_the_site(site: Path) -> None:
    missing = [
        f"{page.relative_to(site)}: {address}"
        for page in sorted(site.rglob("*.html"))
        for address in loaded(page.read_text(encoding="utf-8"))
        # The page for what is not found is shown at any address, so its own are from the top.
        if page.name != "404.html" and not address.startswith("data:")
        if not (page.parent / address.partition("#")[0].partition("?")[0]).exists()
    ]
    assert missing == []


def test_what_a_page_loads_from_elsewhere_is_noticed() -> None:
    html = '<link rel="stylesheet" href="https://a/b.css"><script src="//c/d.js"></script><a href="https://e/">e</a>'
    assert [address for address in loaded(html) if ELSEWHERE.match(address)] == ["https://a/b.css", "//c/d.js"]


def test_the_manual_has_four_parts_behind_its_first_page() -> None:
    parts = [name for part in CONFIGURATION["nav"] for name in part]
    assert parts == ["Seamless", "Tutorial", "How-to", "Explanation", "Reference"]


def test_fonts_are_those_of_the_reader() -> None:
    assert CONFIGURATION["theme"]["font"] is False
