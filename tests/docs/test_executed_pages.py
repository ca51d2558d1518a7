"""The examples of the manual do what the pages say, and the executor notices when they do not."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
HOWTO = sorted(path.name for path in (DOCS / "howto").glob("*.md"))
LAB = {"first-cluster.md", "images.md"}  # need another machine, and images; they have tests of their own

RunPage = Callable[[str], list[str]]


@pytest.mark.parametrize("page", [page for page in HOWTO if page not in LAB])
def test_the_examples_of_a_howto_do_what_the_page_says(
    page: str, run_page: RunPage, require: Callable[[object, str], None]
) -> None:
    text = (DOCS / "howto" / page).read_text(encoding="utf-8")
    if "$ curl " in text:
        require("curl", "the command curl is missing")
    assert "\n\n".join(run_page(text)) == ""


def test_the_examples_of_the_readme_do_what_it_says(run_page: RunPage) -> None:
    assert "\n\n".join(run_page((DOCS.parent / "README.md").read_text(encoding="utf-8"))) == ""


@pytest.mark.parametrize("page", HOWTO)
def test_a_howto_has_examples(page: str) -> None:
    text = (DOCS / "howto" / page).read_text(encoding="utf-8")
    assert "```console" in text or "```python" in text


def test_output_that_differs_is_noticed(run_page: RunPage) -> None:
    (problem,) = run_page("```console\n$ echo one\ntwo\n```\n")
    assert "--- shown\ntwo\n--- printed\none" in problem


def test_output_that_is_not_shown_is_noticed(run_page: RunPage) -> None:
    assert len(run_page("```console\n$ echo one\n$ echo two\ntwo\n```\n")) == 1


def test_a_failing_command_is_noticed_unless_the_page_shows_its_status(run_page: RunPage) -> None:
    assert len(run_page("```console\n$ (exit 3)\n```\n")) == 1
    assert run_page("```console\n$ (exit 3)\n$ echo $?\n3\n```\n") == []


def test_a_failing_program_is_noticed(run_page: RunPage) -> None:
    assert len(run_page("```python\nraise SystemExit(1)\n```\n")) == 1


def test_a_titled_block_becomes_a_file_and_the_shell_keeps_its_state(run_page: RunPage) -> None:
    page = '```text title="d/a.txt"\nalpha\n```\n\n```console\n$ cd d\n```\n\n```console\n$ cat a.txt\nalpha\n```\n'
    assert run_page(page) == []


def test_what_a_page_has_started_ends_with_it(run_page: RunPage, tmp_path: Path) -> None:
    assert run_page("```console\n$ sleep 600 & echo $! > pid\n```\n") == []
    pid = int((tmp_path / "work" / "pid").read_text())
    deadline = time.monotonic() + 10
    while (state := process_state(pid)) not in ("", "Z") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert state in ("", "Z")


def process_state(pid: int) -> str:
    """Return the letter of the state of a process, or nothing if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_the_home_of_a_page_is_empty(run_page: RunPage) -> None:
    assert run_page('```console\n$ ls -A ~\n$ echo "[$SEAMLESS_CACHE]"\n[]\n```\n') == []


@pytest.mark.parametrize(
    ("shown", "printed", "expected"),
    [
        (["took ... s"], ["took 1.25 s"], True),
        (["took ... s"], ["took 1.25"], False),
        (["..."], [], True),
        (["first", "..."], ["first", "second", "third"], True),
        (["first"], ["first", "second"], False),
        (["a.c"], ["abc"], False),
    ],
)
def test_three_dots_stand_for_any_text(
    shown: list[str],
    printed: list[str],
    expected: bool,
    output_agrees: Callable[[list[str], list[str]], bool],
) -> None:
    assert output_agrees(shown, printed) is expected
