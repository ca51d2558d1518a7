"""From the words of a command to what a login shell of another machine is told, and the words that start ssh.

Every argument that is sent to another machine is quoted by `remote_command`, and nowhere else.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

PREFIX = "PATH=$HOME/miniforge3/bin:$HOME/miniconda3/bin:$PATH"
VARIABLE = "SEAMLESS_SSH"

CONNECT_SECONDS = 10
ALIVE_SECONDS = 3  # a dead connection is given up after three times that; a caller waits for it
# What the configuration of the user may say about interactive sessions is not for these.
_QUIET_OPTIONS = ("BatchMode=yes", "RemoteCommand=none", "PermitLocalCommand=no", "ForwardAgent=no", "ForwardX11=no")


def remote_command(words: Sequence[str], *, prefix_path: bool = True) -> str:
    """Return the text that makes a POSIX shell of another machine run exactly `words`.

    With `prefix_path` commands are also found in a conda installation in the home directory there. A leading `~/` is
    left to that shell (or, where a guard takes its place, to the helper).

    >>> remote_command(["rhl-logs", "a b", "~/x y"], prefix_path=False)
    "rhl-logs 'a b' ~/'x y'"
    """
    text = " ".join(_quoted(word) for word in words)
    return f"{PREFIX} {text}" if prefix_path else text


def _quoted(word: str) -> str:
    if word.startswith("~/"):
        return "~/" + (shlex.quote(word[2:]) if word[2:] else "")
    return shlex.quote(word)


def ssh_program() -> list[str]:
    """Return the words that start ssh: those of SEAMLESS_SSH, else `ssh`. Raises ValueError."""
    try:
        words = shlex.split(os.environ.get(VARIABLE, ""))
    except ValueError as exc:
        raise ValueError(f"{VARIABLE} is no command line: {exc}") from exc
    return words or ["ssh"]


def options(
    *, connect_seconds: int = CONNECT_SECONDS, alive_seconds: int = ALIVE_SECONDS, more: Sequence[str] = ()
) -> list[str]:
    """Return the options of every connection; everything else is up to the configuration of the user."""
    alive = (f"ServerAliveInterval={alive_seconds}", "ServerAliveCountMax=3")
    chosen = (*_QUIET_OPTIONS, f"ConnectTimeout={connect_seconds}", *alive, *more)
    return ["-T", *(word for option in chosen for word in ("-o", option))]
