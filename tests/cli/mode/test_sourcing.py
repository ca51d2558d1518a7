"""What sourcing the file of seamless mode does, where, and that it is installed."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.mode.conftest import BIND, MODE, PLAIN, Start

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RunCli

BOTH = pytest.mark.parametrize("kind", ["bash", "zsh"])


def test_the_installed_file_is_that_of_the_sources(run_cli: RunCli) -> None:
    done = run_cli(["bash", "-c", 'cat "$(command -v seamless-mode-bind.sh)"'])
    assert done.stdout == BIND.read_bytes()


@BOTH
def test_a_script_that_sources_it_gets_the_functions_and_no_keys(
    kind: str, require: Callable[[object, str], None]
) -> None:
    require(kind, f"{kind} is not installed")
    script = f"source '{BIND}' && seamless-mode-on; echo $?; echo $-"
    done = subprocess.run([kind, "-c", script], capture_output=True, text=True, check=True)
    status, flags = done.stdout.split()
    assert (status, done.stderr) == ("1", "seamless mode needs an interactive shell\n")
    assert "a" not in flags


@BOTH
def test_who_runs_the_file_is_told_to_source_it(kind: str, require: Callable[[object, str], None]) -> None:
    require(kind, f"{kind} is not installed")
    done = subprocess.run([kind, BIND], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "source this file" in done.stderr


def test_another_shell_is_told_which_ones_have_the_mode() -> None:
    done = subprocess.run(["sh", "-c", f". '{BIND}'"], capture_output=True, text=True, check=False)
    if "bash" not in Path("/bin/sh").resolve().name:
        assert (done.returncode, done.stdout) == (2, "")
        assert "only bash and zsh" in done.stderr


@BOTH
def test_sourced_at_the_prompt_it_tells_the_keys_and_from_another_file_it_is_silent(kind: str, start: Start) -> None:
    session = start(kind)  # has sourced it from another file
    assert session.lines() == [f"{PLAIN} source ./rc", PLAIN]
    session.type(f"source '{BIND}'\r")
    session.terminal.wait(lambda _: session.lines()[-1] == PLAIN and len(session.lines()) > 3, "the notice")
    notice = session.lines()[2:-1]
    assert len(notice) == 9
    assert "Ctrl-U U" in notice[0]


@BOTH
def test_sourcing_again_while_the_mode_is_on_changes_nothing(kind: str, start: Start) -> None:
    session = start(kind)
    session.on()
    session.run("source ./rc")
    session.enter("sort a.txt", f"{MODE} sort a.txt", f"{MODE} seamless-run -c 'sort a.txt'")
    session.drop()
    session.enter("seamless-mode-off", f"{MODE} seamless-mode-off", "seamless mode OFF", PLAIN)
    session.run("sort a.txt", "a", "b")


@BOTH
def test_a_shell_within_a_shell_begins_with_the_mode_off(kind: str, start: Start) -> None:
    session = start(kind)
    session.on()
    command = "bash --norc --noprofile -i" if kind == "bash" else "zsh -f -i"
    session.type(f": ; PS1='{PLAIN} ' {command}\r")
    session.terminal.wait(lambda _: session.lines()[-1] == PLAIN, "the inner shell")
    session.enter("source ./rc", f"{PLAIN} source ./rc", PLAIN)
    session.run("sort a.txt", "a", "b")
    session.on()
