"""The locked packages: each has one version, and the hashes of the files that may be installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = [
    path
    for path in sorted([*ROOT.glob("images/*.lock"), *ROOT.glob("conda/*/requirements.lock")])
    if not path.name.endswith(".packages.lock")
]


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_locked_package_has_one_version_and_hashes(path: Path) -> None:
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    entries = [line for line in text.splitlines() if line.strip()]
    assert entries
    wrong = [e[:80] for e in entries if not re.match(r"[\w.\[\]-]+==[^\s*]+ .*--hash=sha256:[0-9a-f]{64}", e)]
    assert wrong == []
