"""The comparison with other tools: its page says what was measured and what was not, and has the code of each."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.compare.page import SITUATIONS, page, ratio, table
from benchmarks.compare.tools import TASKS, TOOLS

ROOT = Path(__file__).resolve().parents[1]


def measured(value: float, steps: int) -> dict[str, tuple[float, int]]:
    return dict.fromkeys(SITUATIONS, (value, steps))


def test_the_table_shows_multiples_and_executed_steps() -> None:
    text = table({"plain shell": measured(1.0, 11), "make": measured(0.05, 0)})
    assert "| again, nothing changed | 1.0 (11) | 0.05 (0) |" in text


@pytest.mark.parametrize(
    ("value", "text"), [(0.004, "0.00"), (0.05, "0.05"), (1.04, "1.0"), (9.6, "10"), (123.4, "123")]
)
def test_a_ratio_has_two_digits_at_most(value: float, text: str) -> None:
    assert ratio(value)[:3] == text[:3]


def test_a_tool_that_could_not_be_measured_is_named_with_the_reason() -> None:
    text = page({"plain shell": measured(2.0, 11)}, {"redun": "redun could not be installed"}, 3)
    assert "Not measured: redun (redun could not be installed)." in text


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_tool_has_its_code_on_the_page(tool) -> None:
    code = (TASKS / tool.file).read_text(encoding="utf-8")
    assert code.removeprefix("#!/usr/bin/env bash\n").strip() in (ROOT / "docs" / "compare.md").read_text(
        encoding="utf-8"
    )


def test_the_page_was_made_by_a_run_of_these_situations() -> None:
    text = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
    assert [title for title in SITUATIONS.values() if f"\n| {title} |" not in text] == []


@pytest.mark.parametrize("script", ["plain.sh", "seamless.sh"])
def test_the_task_gives_the_same_total_with_and_without_seamless(script: str, tmp_path: Path) -> None:
    import os
    import sys

    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "0.txt").write_text("one two two\n")
    (tmp_path / "texts" / "1.txt").write_text("two three\n")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    # The commands note each execution beside their directory; that of the sources stays as it is.
    commands = tmp_path / "bin"
    commands.mkdir()
    for command in (TASKS / "bin").iterdir():
        (commands / command.name).write_bytes(command.read_bytes())
        (commands / command.name).chmod(0o755)
    env = {**os.environ, "PATH": f"{commands}:{path}", "SEAMLESS_CACHE": str(tmp_path / "cache")}
    for executed in (3, 3 if script == "plain.sh" else 0):
        (tmp_path / "executed").write_text("")
        done = subprocess.run(["bash", TASKS / script], cwd=tmp_path, env=env, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        assert (tmp_path / "total.txt").read_text().split() == ["3", "two", "1", "one", "1", "three"]
        assert len((tmp_path / "executed").read_text().split()) == executed
