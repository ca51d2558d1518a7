"""The page about the reference's tests is that of the list."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_up_to_date() -> None:
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        script = importlib.import_module("make_reference_tests_page")
    finally:
        sys.path.remove(str(ROOT / "scripts"))
    assert script.PAGE.read_text(encoding="utf-8") == script.page(), "run scripts/make_reference_tests_page.py"
