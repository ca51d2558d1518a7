"""The environment in which the guard and the helpers run: a few variables, with values that can do no harm."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence

_TEXT = re.compile(r"[^\x00-\x1f\x7f]+")
_LOCALE = re.compile(r"[A-Za-z0-9_.@-]{1,64}")  # no slash: a locale can be a path
_ZONE = re.compile(r"(?!.*\.\.)(?!:?/)[A-Za-z0-9_+:/,.<>-]{1,64}")  # no path of a file that is not a zone
_KEPT = {
    "HOME": _TEXT,
    "USER": _TEXT,
    "LOGNAME": _TEXT,
    "SHELL": _TEXT,
    "LANG": _LOCALE,
    "TZ": _ZONE,
    "REMOTE_HTTP_LAUNCHER_DIR": _TEXT,
}
_FOR_GUARD = ("SSH_ORIGINAL_COMMAND", "SSH_CONNECTION", "SSH_CLIENT", "SSH_USER_AUTH")
_PYTHON = ("-I", "-X", "utf8")  # no PYTHON* variables, no current directory, no user site; UTF-8 whatever the locale
_FROM_ARCHIVE = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from importlib import import_module; "
    "module = import_module(sys.argv.pop(1)); sys.exit(module.main(sys.argv[1:]))"
)


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what the helpers get: nothing that changes which code runs."""
    found = {name: environment[name] for name in _KEPT if _KEPT[name].fullmatch(environment.get(name, ""))}
    for name, value in environment.items():
        if re.fullmatch(r"LC_[A-Z]+", name) and _LOCALE.fullmatch(value):
            found[name] = value
    directories = environment.get("PATH", "").split(os.pathsep)
    path = os.pathsep.join(directory for directory in directories if directory.startswith("/"))
    found["PATH"] = path if _TEXT.fullmatch(path) else os.defpath.lstrip(":")
    return found


def guard_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what the guard itself needs: the clean environment, and what sshd says about the client."""
    return clean_environment(environment) | {name: environment[name] for name in _FOR_GUARD if name in environment}


def is_isolated() -> bool:
    """Tell whether this Python was started so that nothing of the session changes which code it runs."""
    return bool(sys.flags.isolated and sys.flags.utf8_mode)


def program(module: str, arguments: Sequence[str] = ()) -> list[str]:
    """Return the argument list that calls `main` of a module of this very package in an isolated Python."""
    archive = single_file()
    start = ["-m", module] if archive is None else ["-c", _FROM_ARCHIVE, archive, module]
    return [*isolated_python(), *start, *arguments]


def isolated_python() -> list[str]:
    """Return the words that start this Python so that nothing of the session changes which code it runs."""
    return [sys.executable, *_PYTHON]


def single_file() -> str | None:
    """Return the archive that this code was loaded from, or None for an installed package."""
    path = os.path.abspath(__file__)
    while not os.path.lexists(path) and path != "/":
        path = os.path.dirname(path)
    return path if path != os.path.abspath(__file__) and os.path.isfile(path) else None
