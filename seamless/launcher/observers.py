"""Who watches a launch: its phases, and observers that show them on a terminal or keep them in a file.

An observer never decides anything. Values of parameters that look secret are not shown.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from enum import Enum
from typing import TextIO

_ROTATE_BYTES = 1 << 20
_QUIET_SECONDS = 1.5
_CELLS = 20
_CLEAR_LINE = "\r\x1b[K"


class Phase(str, Enum):
    """The phases of a launch, in their order."""

    LOCAL_CHECK = "local_check"
    CONNECT = "connect"
    REMOTE_CHECK = "remote_check"
    REMOTE_VALIDATE = "remote_validate"
    STALE_CLEANUP = "stale_cleanup"
    CONDA_SETUP = "conda_setup"
    LAUNCH = "launch"
    WAIT_FOR_START = "wait_for_start"
    TUNNEL_SETUP = "tunnel_setup"
    LOCAL_VALIDATE = "local_validate"
    DONE = "done"

    def __str__(self) -> str:
        return self.value


class Observer:
    """Gets what happens during a launch; this one ignores it all. Subclass it to show progress."""

    def begin(self, key: str, service: str) -> None:
        """The launch of `key` begins; `service` is what kind it is, for people."""

    def phase(self, phase: Phase, result: str = "") -> None:
        """A phase has this result; `launch` comes only when a process is started."""

    def detail(self, text: str) -> None:
        """Something that helps to understand what happened."""

    def command(self, where: str, argv: list[str]) -> None:
        """A command is started on `where`."""

    def warning(self, text: str) -> None:
        """Something the user should know, though the launch goes on."""

    def error(self, text: str) -> bool:
        """The launch has failed; return whether the user has been shown the text."""
        return False

    def close(self) -> None:
        """The launch is over."""


class Observers(Observer):
    """Passes everything on to several observers."""

    def __init__(self, members: Iterable[Observer]):
        self.members = list(members)

    def begin(self, key: str, service: str) -> None:
        """Pass it on."""
        for member in self.members:
            member.begin(key, service)

    def phase(self, phase: Phase, result: str = "") -> None:
        """Pass it on."""
        for member in self.members:
            member.phase(phase, result)

    def detail(self, text: str) -> None:
        """Pass it on."""
        for member in self.members:
            member.detail(text)

    def command(self, where: str, argv: list[str]) -> None:
        """Pass it on."""
        for member in self.members:
            member.command(where, argv)

    def warning(self, text: str) -> None:
        """Pass it on."""
        for member in self.members:
            member.warning(text)

    def error(self, text: str) -> bool:
        """Pass it on."""
        shown = [member.error(text) for member in self.members]  # all of them are told
        return any(shown)

    def close(self) -> None:
        """Pass it on."""
        for member in self.members:
            member.close()


class LineObserver(Observer):
    """One line per phase with the seconds since the start; with `debug` also details and commands."""

    def __init__(self, stream: TextIO | None = None, *, debug: bool = False):
        self._stream, self._debug, self._start = stream, debug, time.monotonic()

    def _line(self, text: str) -> None:
        stream = sys.stderr if self._stream is None else self._stream
        if stream is not None:
            stream.write(text + "\n")
            stream.flush()

    def phase(self, phase: Phase, result: str = "") -> None:
        """Write `SECONDSs phase: result`."""
        self._line(f"{time.monotonic() - self._start:6.1f}s {phase}: {result}")

    def detail(self, text: str) -> None:
        """Write the text, at level debug."""
        if self._debug:
            self._line(f"detail: {text}")

    def command(self, where: str, argv: list[str]) -> None:
        """Write the command, shortened and in full, at level debug."""
        if self._debug:
            full = " ".join(redacted(argv))
            short = full if len(full) <= 60 else f"{full[:30]} [...] {full[-24:]}"
            self._line(f"command[{where}]: {short}\nfull-command[{where}]: {full}")

    def warning(self, text: str) -> None:
        """Write the text."""
        self._line(f"warning: {text}")

    def error(self, text: str) -> bool:
        """Write the text."""
        self._line(f"error: {text}")
        return True


class FileObserver(LineObserver):
    """A `LineObserver` that appends to a file with times, and starts a new file at 1 MB (the old one is FILE.1)."""

    def __init__(self, path: str, *, debug: bool = False):
        super().__init__(debug=debug)
        self._path, self._key, self._lines = os.path.expanduser(path), "", list[str]()

    def begin(self, key: str, service: str) -> None:
        """Note the key."""
        self._key = key

    def _line(self, text: str) -> None:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        self._lines += [f"{stamp} {self._key} {line}" for line in text.split("\n")]

    def error(self, text: str) -> bool:
        """Write the text. Nobody has seen it yet."""
        super().error(text)
        return False

    def close(self) -> None:
        """Write what was noted. A log that cannot be written is no reason to fail: it is said on stderr."""
        lines, self._lines = self._lines, []
        try:
            os.makedirs(os.path.dirname(os.path.abspath(self._path)), mode=0o700, exist_ok=True)
            try:
                if os.stat(self._path).st_size > _ROTATE_BYTES:
                    os.replace(self._path, self._path + ".1")
            except FileNotFoundError:
                pass
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace") as f:
                f.write("".join(line + "\n" for line in lines))
        except OSError as exc:
            if sys.stderr is not None:
                sys.stderr.write(f"warning: cannot write {self._path}: {exc.strerror}\n")


class BarObserver(Observer):
    """One line on a terminal after 1.5 s, rewritten in place; silent elsewhere, and when the launch is quick."""

    def __init__(self, stream: TextIO | None = None):
        self._stream = sys.stderr if stream is None else stream
        self._key, self._start, self._shown = "", time.monotonic(), False
        try:
            self._enabled = self._stream is not None and self._stream.isatty()
        except ValueError:  # closed
            self._enabled = False

    def begin(self, key: str, service: str) -> None:
        """Note the key."""
        self._key = key

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def phase(self, phase: Phase, result: str = "") -> None:
        """Redraw the line."""
        seconds = time.monotonic() - self._start
        if not self._enabled or seconds < _QUIET_SECONDS:
            return
        if phase is Phase.DONE:
            self._write(f"{_CLEAR_LINE}  {self._key}: ready ({seconds:.1f}s)\n")
            self._shown = False
            return
        filled = round(_CELLS * list(Phase).index(phase) / (len(Phase) - 1))
        self._write(f"{_CLEAR_LINE}  {self._key} [{'#' * filled}{'·' * (_CELLS - filled)}] {phase}")
        self._shown = True

    def _clear(self) -> None:
        if self._shown:
            self._write(_CLEAR_LINE)
            self._shown = False

    def warning(self, text: str) -> None:
        """Write the text, also where the line is not shown."""
        self._clear()
        if self._stream is not None:
            self._write(f"warning: {text}\n")

    def error(self, text: str) -> bool:
        """Take the line away; the words are left to whoever catches the error."""
        self._clear()
        return False

    def close(self) -> None:
        """Take the line away."""
        self._clear()


def standard_observer(log_level: str, log_file: str | None, debug_log_file: str | None) -> Observer:
    """Return the observer that a launch dict asks for: stderr at that level, and the log files."""
    members: list[Observer] = [BarObserver() if log_level == "minimal" else LineObserver(debug=log_level == "debug")]
    if log_file and log_level == "minimal":
        members.append(FileObserver(log_file))
    if debug_log_file:
        members.append(FileObserver(debug_log_file, debug=True))
    return Observers(members)


def redacted(argv: list[str]) -> list[str]:
    """Return the words of a command, quoted, without values that look secret.

    >>> redacted(["serve", "--token", "abc", "--api-key=xyz", "a b"])
    ['serve', '--token', '***', '--api-key=***', "'a b'"]
    """
    import shlex

    words, hide = [], False
    for word in argv:
        name, equals, _ = word.partition("=")
        secret = name.startswith("-") and any(part in name.lower() for part in ("token", "password", "secret", "key"))
        if hide and not word.startswith("-"):
            words.append("***")
        elif secret and equals:
            words.append(f"{name}=***")
        else:
            words.append(shlex.quote(word))
        hide = secret and not equals
    return words
