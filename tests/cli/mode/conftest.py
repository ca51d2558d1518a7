"""Interactive shells on terminals of their own, with seamless mode at hand."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.terminal import ENTER, Terminal

ROOT = Path(__file__).resolve().parents[3]
BIND = ROOT / "seamless" / "cli" / "mode" / "seamless-mode-bind.sh"
SCRIPTS = Path(sys.executable).parent

COMMANDS = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}
PLAIN = "READY>"
MODE = "[seamless-mode]"
PROMPT = re.compile(r"^\[seamless-mode\] [^@ ]+@\S+:(\S+)\$")


class Session:
    """A shell in a terminal. Lines of the screen are compared without user, host and directory of the prompt."""

    def __init__(self, terminal: Terminal, directory: Path, kind: str) -> None:
        self.terminal, self.directory, self.kind = terminal, directory, kind

    def lines(self) -> list[str]:
        """Return the lines of the screen, with `[seamless-mode]` for the prompt of the mode."""
        return [PROMPT.sub(MODE, line) for line in self.terminal.lines()]

    def shows(self, *tail: str) -> None:
        """Wait until the screen ends with these lines; the last one is where the cursor is."""
        self.terminal.wait(lambda _: self.lines()[-len(tail) :] == list(tail), "\n".join(tail))

    def type(self, keys: str) -> None:
        """Press keys."""
        self.terminal.type(keys)

    def enter(self, line: str, *tail: str) -> None:
        """Type a line and Enter, and wait until the screen ends with `tail`."""
        self.terminal.type(line + ENTER)
        self.shows(*tail)

    def run(self, line: str, *output: str) -> None:
        """Enter a line that runs at once, and wait for its output and the same prompt."""
        prompt = MODE if self.lines()[-1].startswith(MODE) else PLAIN
        self.enter(line, f"{prompt} {line}", *output, prompt)

    def drop(self) -> None:
        """Delete the line that is being edited (Ctrl-A Ctrl-K)."""
        self.terminal.type("\x01\x0b")
        self.shows(MODE)

    def on(self, *options: str) -> None:
        """Switch the mode on."""
        line = " ".join(["seamless-mode-on", *options])
        shown = " ".join(options) or "(none)"
        self.enter(line, f"{PLAIN} {line}", "seamless mode ON", f"seamless mode options: {shown}", MODE)


Start = Callable[..., Session]


@pytest.fixture
def start(tmp_path: Path, require: Callable[[object, str], None]) -> Iterator[Start]:
    """Return start(kind, rc=""): a session of this shell that has sourced `rc` and then seamless mode."""
    terminals: list[Terminal] = []

    def begin(kind: str, rc: str = "", **variables: str) -> Session:
        require(kind, f"{kind} is not installed")
        directory = tmp_path / "place"
        directory.mkdir(exist_ok=True)
        (directory / "a.txt").write_text("b\na\n")
        (directory / "rc").write_text(f"{rc}\nsource '{BIND}'\n")
        environment = {
            **os.environ,
            "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(directory),
            "SEAMLESS_CACHE": str(tmp_path / "cache"),
            "PS1": f"{PLAIN} ",
            "INPUTRC": "/dev/null",
            **variables,
        }
        terminal = Terminal(COMMANDS[kind], directory, environment)
        terminals.append(terminal)
        session = Session(terminal, directory, kind)
        session.shows(PLAIN)
        session.enter("source ./rc", f"{PLAIN} source ./rc", PLAIN)
        return session

    yield begin
    for terminal in terminals:
        terminal.close()


@pytest.fixture(params=["bash", "zsh"])
def session(request: pytest.FixtureRequest, start: Start) -> Session:
    """Return a session of either shell, the mode being off."""
    return start(request.param)
