"""An argument that is no checksum is a mistake of the user, and told so by every command that takes one."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

COMMANDS = {
    "export": ("-o", "archive.tar"),
    "fingertip": (),
    "record": (),
    "resolve": (),
    "run_transformation": (),
    "verify": (),
}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEAMLESS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "text.txt").write_text("some text\n")


@pytest.mark.parametrize(("word", "text"), [("nonsense", "neither a checksum"), ("text.txt", "not hold a checksum")])
@pytest.mark.parametrize("command", COMMANDS)
def test_an_argument_that_is_no_checksum_gives_2(
    command: str, word: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main = importlib.import_module(f"seamless.cli.{command}").main
    assert main([*COMMANDS[command], word]) == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize("word", ["nonsense", "text.txt"])
def test_for_seamless_cancel_2_means_that_nothing_was_under_way(word: str) -> None:
    from seamless.cli import cancel

    assert cancel.main([word]) == 1
    assert cancel.main(["ab" * 32]) == 2
