"""Pages of the manual that are executed: their blocks in order, in one directory, with an empty home.

A fence with a title is saved as that file, below the home if it begins with `~/`. A `console` block is typed into
one bash per page; each command must print exactly what the page shows, where `...` stands for any text in a line, and
alone on a line for any lines. A command may only fail if the next one is `echo $?`. A `python` block without a title
is run as a program.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(?P<language>\w+)?(?: title=\"(?P<title>[^\"]+)\")?\s*$")
MARK = "--8<--end-of-command--8<--"
FOREIGN = (
    *("SEAMLESS_", "HASHSERVER_", "REMOTE_HTTP_LAUNCHER_", "CONDA_", "XDG_"),
    *("PYTHON", "NO_COLOR", "FORCE_COLOR", "COVERAGE", "PYTEST"),
)


class Block(NamedTuple):
    """A fenced block; `line` is that of its first line of text, from 1."""

    line: int
    language: str
    title: str | None
    text: str


class Command(NamedTuple):
    """A command of a console block and the lines it is said to print."""

    line: int
    text: str
    output: list[str]


def blocks_of(page: str) -> list[Block]:
    """Return the fenced blocks of a Markdown text."""
    found: list[Block] = []
    inside: tuple[int, str, str | None] | None = None
    lines: list[str] = []
    for number, line in enumerate(page.splitlines(), 1):
        if inside is None:
            if line.startswith("```"):
                match = FENCE.match(line)
                assert match is not None, f"line {number}: not a fence that is understood: {line}"
                inside, lines = (number + 1, match["language"] or "", match["title"]), []
        elif line == "```":
            found.append(Block(*inside, "\n".join(lines) + "\n"))
            inside = None
        else:
            lines.append(line)
    assert inside is None, f"line {inside and inside[0]}: the fence is never closed"
    return found


def commands_of(block: Block) -> list[Command]:
    """Return the commands of a console block: after `$ `, continued by `> `."""
    commands: list[Command] = []
    for number, line in enumerate(block.text.splitlines(), block.line):
        if line.startswith("$ "):
            commands.append(Command(number, line[2:], []))
        elif line.startswith("> ") and commands and not commands[-1].output:
            commands[-1] = Command(commands[-1].line, f"{commands[-1].text}\n{line[2:]}", [])
        else:
            assert commands, f"line {number}: output before any command"
            commands[-1].output.append(line)
    return commands


def agrees(shown: list[str], printed: list[str]) -> bool:
    """Tell whether the output is what is shown.

    `...` alone on a line stands for any number of lines, elsewhere for any text of one line.
    """
    pattern = ""
    for line in shown:
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*"
        else:
            pattern += ".*".join(re.escape(part) for part in line.rstrip().split("...")) + r"[ ]*\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in printed)) is not None


class Shell:
    """One bash that is given command after command."""

    def __init__(self, directory: Path, home: Path) -> None:
        scripts = Path(sys.executable).parent
        environment = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
        environment |= {"HOME": str(home), "LC_ALL": "C.UTF-8", "PATH": f"{scripts}:{environment['PATH']}"}
        self._bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, command: str) -> tuple[list[str], int]:
        """Run one command; return the lines it prints, on stdout and stderr together, and its exit status."""
        assert self._bash.stdin is not None and self._bash.stdout is not None
        status = f"__status=$?; printf '\\n%s %s\\n' {shlex.quote(MARK)} $__status; (exit $__status)"
        self._bash.stdin.write(f"{{ {command}\n}} </dev/null\n{status}\n")
        self._bash.stdin.flush()
        lines: list[str] = []
        for line in self._bash.stdout:
            if line.startswith(MARK):
                # The mark begins a line: one empty line too much, unless the output lacked its last newline.
                if lines and lines[-1] == "":
                    lines.pop()
                return lines, int(line.split()[1])
            lines.append(line.rstrip("\n"))
        raise AssertionError(f"the shell has ended: {command}\n" + "\n".join(lines))

    def close(self) -> None:
        """End the shell and what it has started."""
        os.killpg(self._bash.pid, signal.SIGKILL)
        self._bash.communicate()


def run_blocks(blocks: list[Block], directory: Path, home: Path) -> list[str]:
    """Run the blocks of a page; return what is not as the page says."""
    problems: list[str] = []
    shell = Shell(directory, home)
    try:
        for block in blocks:
            if block.title is not None:
                path = home / block.title[2:] if block.title.startswith("~/") else directory / block.title
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text, encoding="utf-8")
            elif block.language == "python":
                problems += run_program(block, directory, shell)
            elif block.language == "console":
                problems += run_console(block, shell)
    finally:
        shell.close()
        stop_services(home)
    return problems


def stop_services(home: Path) -> None:
    """Stop the services that a page has left running: they outlive the programs that have started them."""
    from seamless.launcher import stop

    for state in (home / ".remote-http-launcher" / "server").glob("*.json"):
        stop(state.stem)


def run_program(block: Block, directory: Path, shell: Shell) -> list[str]:
    """Run a python block without a title; it must succeed and print nothing."""
    (directory / "fragment.py").write_text(block.text, encoding="utf-8")
    printed, status = shell.run("python fragment.py")
    (directory / "fragment.py").unlink()
    return [] if status == 0 and not printed else [f"line {block.line}: status {status}\n" + "\n".join(printed)]


def run_console(block: Block, shell: Shell) -> list[str]:
    """Type the commands of a console block."""
    problems = []
    commands = commands_of(block)
    for command, following in zip(commands, [*commands[1:], None], strict=True):
        printed, status = shell.run(command.text)
        where = f"line {command.line}: $ {command.text}\n"
        if not agrees(command.output, printed):
            shown = "\n".join(command.output)
            problems.append(f"{where}--- shown\n{shown}\n--- printed\n" + "\n".join(printed))
        if status and (following is None or "$?" not in following.text):
            problems.append(f"{where}ends with status {status}, and the page does not say so")
    return problems


@pytest.fixture
def manual() -> Path:
    """Return the directory of the manual."""
    return ROOT / "docs"


@pytest.fixture
def page_blocks() -> Callable[[str], list[Block]]:
    """Return blocks_of(text)."""
    return blocks_of


@pytest.fixture
def output_agrees() -> Callable[[list[str], list[str]], bool]:
    """Return agrees(shown, printed)."""
    return agrees


@pytest.fixture
def run_page(tmp_path: Path, isolation: Path) -> Iterator[Callable[[str], list[str]]]:
    """Return run_page(text): execute the blocks of a page and return what is not as it says."""
    directory = tmp_path / "work"
    directory.mkdir()

    def run(text: str) -> list[str]:
        return run_blocks(blocks_of(text), directory, isolation)

    yield run
