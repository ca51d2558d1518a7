#!/usr/bin/env python3
"""Make the picture of a terminal that the README begins with: docs/assets/first-commands.svg.

The commands of the README's first console block are typed into a real bash with a terminal, in an empty directory, with
an empty home. What comes is kept beside the picture as an asciicast (version 2), from which the picture is drawn. The
names of the machine and of the directory are replaced by made-up ones. The commands of Seamless must be on PATH, or
beside the Python that runs this.

  scripts/make_terminal_picture.py           record, then draw
  scripts/make_terminal_picture.py --draw    only draw again, from what was recorded
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[1]
CAST = ROOT / "docs" / "assets" / "first-commands.cast"
PICTURE = CAST.with_suffix(".svg")
TITLE = "The first commands in a terminal"
COLUMNS, ROWS = 92, 24
PATIENCE = 60.0  # seconds until a prompt that does not come is given up

# The marks of OSC 133, which terminals understand and do not show: here begins a prompt, here what is typed.
PROMPT, TYPED = "\x1b]133;A\x07", "\x1b]133;B\x07"
HIDDEN = re.compile(r"\x1b\](?!133;[AB]\x07)[^\x07]*\x07|\x1b\[[0-9;?]*[A-Za-z]")

MACHINE, HOME = "laptop", "/home/alice"

# Sizes in units of the picture.
ADVANCE, LINE, MARGIN, BAR = 8.0, 20, 16, 32
STYLE = """\
:root { --back: #ffffff; --edge: #d0d7de; --text: #1f2328; --faint: #6e7781; --typed: #0550ae; }
@media (prefers-color-scheme: dark) {
  :root { --back: #0d1117; --edge: #30363d; --text: #e6edf3; --faint: #8d96a0; --typed: #79c0ff; }
}
text { font-family: monospace; font-size: 13px; fill: var(--text); white-space: pre; }
.prompt { fill: var(--faint); }
.typed { fill: var(--typed); font-weight: bold; }
.window { fill: var(--back); stroke: var(--edge); }
.button { fill: var(--edge); }"""


class Line(NamedTuple):
    """A line of the session: what is typed after the prompt, or else what is printed."""

    typed: bool
    text: str

    @property
    def shown(self) -> str:
        """The line as the terminal shows it."""
        return f"$ {self.text}" if self.typed else self.text


def first_commands(readme: str) -> list[str]:
    """Return the commands of the first console block of a page."""
    block = re.search(r"^```console\n(.*?)^```$", readme, flags=re.M | re.S)
    if block is None:
        raise SystemExit("README.md: no console block")
    return re.findall(r"^\$ (.*)$", block[1], flags=re.M)


def record(commands: Sequence[str], directory: Path, home: Path) -> str:
    """Type commands into a bash with a terminal; return all that it writes, with made-up names."""
    kept = {name: os.environ[name] for name in ("TMPDIR",) if name in os.environ}
    environment = {
        **kept,
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PS1": rf"\[{PROMPT}\]$ \[{TYPED}\]",
        "TERM": "xterm-256color",
    }
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 10 * ROWS, 10 * COLUMNS, 0, 0))
    argv = ["bash", "--norc", "--noprofile", "-i"]
    with subprocess.Popen(
        argv, cwd=directory, env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    ) as bash:
        os.close(slave)
        try:
            output = read_until_prompt(master)
            output = output[output.rindex(PROMPT) :]  # without bash's remark that it does not control the terminal
            for command in commands:
                os.write(master, command.encode() + b"\r")
                output += read_until_prompt(master)
        finally:
            os.close(master)
            bash.kill()
    for real, made_up in ((str(directory), f"{HOME}/fruit"), (str(home), HOME), (socket.gethostname(), MACHINE)):
        output = re.sub(rf"(?<![\w.-]){re.escape(real)}(?![\w.-])", made_up, output)
    return output


def read_until_prompt(master: int) -> str:
    """Return what a terminal says up to the next prompt."""
    data, end, deadline = b"", TYPED.encode(), time.monotonic() + PATIENCE
    while end not in data:
        ready, _, _ = select.select([master], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise SystemExit(f"no prompt for {PATIENCE:.0f} s; the terminal says:\n{data.decode(errors='replace')}")
        data += os.read(master, 65536)
    return data.decode()


def write_cast(path: Path, output: str) -> None:
    """Write a recorded session as an asciicast: one event a prompt, each a second after the other."""
    header = {"version": 2, "width": COLUMNS, "height": ROWS, "title": TITLE}
    pieces = [PROMPT + piece for piece in output.split(PROMPT)[1:]]
    events = [[float(second), "o", piece] for second, piece in enumerate(pieces)]
    path.write_text("".join(json.dumps(item) + "\n" for item in (header, *events)), encoding="utf-8")


def read_cast(path: Path) -> str:
    """Return what the terminal has written, from an asciicast."""
    _, *events = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return "".join(text for _, kind, text in events if kind == "o")


def session_lines(output: str) -> list[Line]:
    """Return the lines of a session as they stand in the end, without the last prompt.

    A carriage return brings the next text to the beginning of its line. Colours and other sequences are left out.
    """
    lines = []
    for part in output.split(PROMPT)[1:-1]:
        _, _, rest = HIDDEN.sub("", part).partition(TYPED)
        typed, *printed = rest.replace("\r\n", "\n").split("\n")
        lines.append(Line(True, typed.strip("\r")))
        lines += [Line(False, overwritten(line)) for line in printed[:-1]]
    return lines


def overwritten(line: str) -> str:
    """Return what is seen of a line in which a carriage return goes back to the beginning."""
    seen = ""
    for piece in line.split("\r"):
        seen = piece + seen[len(piece) :]
    return seen.rstrip()


def rows_of(line: Line) -> list[str]:
    """Return a line as a terminal breaks it."""
    text = line.shown
    return [text[start : start + COLUMNS] for start in range(0, len(text), COLUMNS)] or [""]


def draw(lines: Sequence[Line]) -> str:
    """Return the picture as SVG. One element `text` is a line of the session, whatever rows it takes."""
    body, row = [], 0
    for line in lines:
        spans = []
        for number, text in enumerate(rows_of(line)):
            place = f'y="{BAR + MARGIN + LINE * row}"'
            row += 1
            start = MARGIN
            if line.typed and number == 0:
                spans.append(f'<tspan class="prompt" x="{MARGIN}" {place}>$ </tspan>')
                start, text = MARGIN + int(2 * ADVANCE), text[2:]
            if not text:
                continue
            # With its length given, a row fits whichever monospace font is taken.
            length = f'textLength="{len(text) * ADVANCE:g}"'
            kind = ' class="typed"' if line.typed else ""
            spans.append(f'<tspan{kind} x="{start}" {place} {length}>{escape(text)}</tspan>')
        body.append(f"<text>{''.join(spans)}</text>")
    width, height = int(COLUMNS * ADVANCE) + 2 * MARGIN, BAR + 2 * MARGIN + LINE * (row - 1)
    story = escape("\n".join(line.shown for line in lines))
    buttons = "".join(f'<circle class="button" cx="{18 + 18 * n}" cy="16" r="5"/>' for n in range(3))
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' role="img" aria-labelledby="title desc">',
        f'<title id="title">{escape(TITLE)}</title>',
        f'<desc id="desc">{story}</desc>',
        f"<style>\n{STYLE}\n</style>",
        f'<rect class="window" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>{buttons}',
    ]
    return "\n".join([*head, *body, "</svg>"]) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Record if that is wanted, and draw; return 0."""
    parser = argparse.ArgumentParser(description="Make the picture of a terminal with the first commands of README.md.")
    parser.add_argument("--draw", action="store_true", help="only draw again what was recorded")
    if not parser.parse_args(arguments).draw:
        place = Path(tempfile.mkdtemp())
        try:
            (place / "home").mkdir()
            (place / "work").mkdir()
            commands = first_commands((ROOT / "README.md").read_text(encoding="utf-8"))
            write_cast(CAST, record(commands, place / "work", place / "home"))
        finally:
            shutil.rmtree(place)
    PICTURE.write_text(draw(session_lines(read_cast(CAST))), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
