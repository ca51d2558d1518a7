"""Ctrl-C and questions: what is half done goes, what is done stays, and the answer counts."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from seamless.stores.directory import BufferDirectory
from tests.cli.transfer.conftest import ALPHA, Command


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Any:
    """answers(text): have the questions of upload and download answered with the lines of the text."""

    def give(text: str) -> None:
        for module in (
            "seamless.cli.transfer.limits",
            "seamless.cli.transfer.downloading",
            "seamless.cli.running.limits",
        ):
            monkeypatch.setattr(f"{module}.is_terminal", lambda stream: True)
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    return give


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(5, "cannot be read")])
def test_an_upload_that_ends_early_leaves_no_part_of_a_file(
    upload: Command, work: Path, store: Path, monkeypatch: pytest.MonkeyPatch, error: Any
) -> None:
    from seamless.cli.transfer.sending import Sender

    def count(self: Any, amount: int) -> None:
        raise error

    (work / "big").write_bytes(b"x" * 6_000_000)
    monkeypatch.setattr(Sender, "count", count)
    assert upload("big").status == (130 if error is KeyboardInterrupt else 1)
    assert [p for p in store.rglob("*") if p.is_file() and p.name not in (".HASHSERVER_PREFIX", "seamless.db")] == []
    assert not (work / "big.CHECKSUM").exists()


def test_an_interrupted_download_leaves_complete_files_only(
    upload: Command, download: Command, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload("--move", "d")
    real = BufferDirectory.copy_to

    def copy_to(self: BufferDirectory, checksum: Any, path: Any) -> bool:
        if str(path).endswith("x.txt"):
            raise KeyboardInterrupt
        return real(self, checksum, path)

    monkeypatch.setattr(BufferDirectory, "copy_to", copy_to)
    assert download("d").status == 130
    assert {p.name for p in (work / "d").rglob("*") if p.is_file()} <= {"y.txt"}
    monkeypatch.setattr(BufferDirectory, "copy_to", real)
    assert download("d").status == 0
    assert (work / "d" / "x.txt").read_bytes() == b"one\n"


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("yes\n", 0), ("n\n", 1), ("\n", 1), ("", 1)])
def test_an_upload_is_asked_about(
    upload: Command, plain_store: Any, answers: Any, monkeypatch: pytest.MonkeyPatch, answer: str, status: int
) -> None:
    monkeypatch.setenv("SEAMLESS_MAX_UPLOAD_FILES", "0")
    answers(answer)
    done = upload("a.txt")
    assert (done.status, done.out) == (status, b"")
    assert "Confirm upload of 1 files, total 11.00 B? (y/[n])? " in done.err
    assert ("Exiting." in done.err) == bool(status)
    assert bool(plain_store.puts) != bool(status)


@pytest.mark.parametrize(("text", "files"), [("y\nn\n", {"a"}), ("all\n", {"a", "b"}), ("n\n\n", {"b"})])
def test_a_download_is_asked_about_target_by_target(
    upload: Command, download: Command, answers: Any, work: Path, monkeypatch: pytest.MonkeyPatch, text: str, files: Any
) -> None:
    upload("a.txt")
    monkeypatch.setenv("SEAMLESS_MAX_DOWNLOAD_SIZE", "1 B")
    answers(text)
    assert download("-o", "a", "-o", "b", ALPHA, ALPHA).status == 0
    assert {name for name in "ab" if (work / name).exists()} == files
