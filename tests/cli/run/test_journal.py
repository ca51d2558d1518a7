"""The journal: one line an execution, latest first when read, bounded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seamless.cli.running import journal
from seamless.cli.running.journal import append, entries


def entry(name: str, **more: object) -> dict[str, object]:
    return {"tf_checksum": name, **more}


def names(path: Path, *words: str) -> list[str]:
    return [found["tf_checksum"] for found in entries(str(path), *words)]


def test_entries_are_read_latest_first(tmp_path: Path) -> None:
    path = tmp_path / "new" / "journal"
    for name in "abc":
        append(str(path), entry(name))
    assert names(path) == ["c", "b", "a"]
    assert len(path.read_bytes().splitlines()) == 3


def test_only_lines_with_one_of_the_words_are_read(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    for name, command in (("1", 'say "é"'), ("2", "cat b"), ("3", "ls")):
        append(str(path), entry(name, command=command))
    assert names(path, 'say "é"', "ls") == ["3", "1"]


def test_a_torn_line_and_foreign_json_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    append(str(path), entry("a"))
    with open(path, "a") as f:
        f.write('{"tf_checksum": "to\n[1, 2]\n{"other": 1}\n')
    append(str(path), entry("b"))
    assert names(path) == ["b", "a"]


def test_without_a_journal_there_are_no_entries(tmp_path: Path) -> None:
    assert names(tmp_path / "journal") == []


def test_a_full_journal_is_turned_over_and_still_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal"
    line = len(json.dumps(entry("a"), separators=(",", ":"))) + 1
    monkeypatch.setattr(journal, "MAX_BYTES", 2 * line)
    for name in "abcde":
        append(str(path), entry(name))
    assert path.stat().st_size <= 2 * line
    assert names(path) == ["e", "d", "c"]
