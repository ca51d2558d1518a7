"""A target is announced until it is delivered: between the two there is no moment in which nobody knows of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seamless.cli.run_options import parse_options
from seamless.cli.running import command


def test_the_future_stays_until_the_file_is_there(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    deliver = command.deliver

    def watched(run: Any, result: Any) -> int:
        seen.append((work / "b.txt.FUTURE").exists())
        return deliver(run, result)

    monkeypatch.setattr(command, "deliver", watched)
    assert command.run_command(parse_options(["sort a.txt > b.txt"]), "seamless-run") == 0
    assert seen == [True]
    assert not (work / "b.txt.FUTURE").exists()
