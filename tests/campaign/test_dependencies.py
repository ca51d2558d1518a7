"""The locked packages: each has one version, the hashes of its files, and a licence that lets it be passed on."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


licences = _script("licences")


@pytest.mark.parametrize("path", licences.locks(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_locked_package_has_one_version_and_hashes(path: Path) -> None:
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    entries = [line for line in text.splitlines() if line.strip()]
    assert entries
    wrong = [e[:80] for e in entries if not re.match(r"[\w.\[\]-]+==[^\s*]+ .*--hash=sha256:[0-9a-f]{64}", e)]
    assert wrong == []


def test_every_locked_package_that_is_installed_has_a_licence_that_lets_it_be_passed_on() -> None:
    found = [licences.licence_of(package) for package in licences.locked_packages()]
    known = [licence for licence in found if licence is not None]
    assert len(known) > 10
    assert [licence for licence in known if not licence.accepted] == []


@pytest.mark.parametrize(
    ("expression", "accepted"),
    [("MIT", True), ("MIT AND Zlib", True), ("GPL-3.0-only", False), ("MIT AND GPL-3.0-only", False), ("", False),
     ("(GPL-2.0-only OR MIT)", True), ("not stated", False)],
)  # fmt: skip
def test_a_licence_is_accepted_by_all_its_parts(expression: str, accepted: bool) -> None:
    assert licences.is_accepted(expression) is accepted
