"""The command `rhl-guard`: judge what an SSH client asked for, log it, and become the helper that does it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence

from seamless.errors import SeamlessError
from seamless.launcher.guard import audit, environment
from seamless.launcher.guard.authorized import NOTE, authorized_line
from seamless.launcher.guard.deciding import Decision, decide, split_command
from seamless.launcher.guard.manual import build_parser, help_text
from seamless.launcher.guard.refusals import BadSetting, Rejected
from seamless.launcher.guard.settings import Settings, parse_settings
from seamless.launcher.standard_input import given_as_input, read_parameters
from seamless.version import __version__

MODULE = "seamless.launcher.guard.main"
HELPERS_MODULE = "seamless.launcher.helpers.main"
_FAILURE = 1

__all__ = ["build_parser", "main"]

Execute = Callable[[Sequence[str], Mapping[str, str]], None]


def main(arguments: Sequence[str] | None = None, *, execute: Execute | None = None) -> int:
    """Run the guard; return its exit status, which is 1 for whatever is refused.

    `arguments`: default those of the process. Starts itself again if this Python is not isolated, unless the caller
    gives `execute`, which gets the argument list and the environment of the helper.
    """
    if arguments is None:
        arguments = sys.argv[1:]
    if execute is None and not environment.is_isolated():
        _execute(environment.program(MODULE, arguments), environment.guard_environment(os.environ))
    if list(arguments) in (["-h"], ["--help"]):
        sys.stdout.write(help_text())
        return 0
    if list(arguments) == ["--version"]:
        sys.stdout.write(f"rhl-guard {__version__}\n")
        return 0
    os.umask(0o077)
    try:
        settings = parse_settings(arguments)
        if settings.key_file is not None:
            line = authorized_line(settings.key_file, settings.arguments, tunnels=settings.tunnels, bind=settings.bind)
            sys.stdout.write(line + "\n")
            sys.stderr.write(f"rhl-guard: note: {NOTE}\n" if settings.tunnels else "")
            return 0
    except BadSetting as exc:
        return _refuse(f"configuration error: {exc}", [os.environ.get("SSH_ORIGINAL_COMMAND", "")])
    command = os.environb.get(b"SSH_ORIGINAL_COMMAND", b"")
    if not command:
        sys.stderr.write(help_text())
        return _FAILURE
    return _guard(command, settings, execute)


def _guard(command: bytes, settings: Settings, execute: Execute | None) -> int:
    """Judge one command and become its helper; return only if it is refused."""
    words = [command.decode("utf-8", "backslashreplace")[:200]]
    try:
        words = split_command(command)
        decision = decide(words, settings, command.decode(), parameters=read_parameters)
    except Rejected as exc:
        return _refuse(f"rejected: {exc}", words)
    except (SeamlessError, OSError, ValueError, RecursionError) as exc:
        return _refuse(f"rejected: the command could not be judged: {exc}", words)
    _record(audit.line("accepted", words, os.environ))
    clean = environment.clean_environment(os.environ)
    try:
        os.chdir(clean.get("HOME", "/"))
        if execute is None:
            _take_input(decision.data)
        (execute or _execute)(helper_argv(decision), clean)
    except OSError as exc:
        return _refuse(f"configuration error: cannot start {decision.helper}: {exc.strerror}", words)
    return 0


def helper_argv(decision: Decision) -> list[str]:
    """Return the argument list of the helper that belongs to this very guard."""
    return environment.program(HELPERS_MODULE, (decision.helper, *decision.arguments))


def _take_input(data: bytes) -> None:
    """Leave the helper nothing to read but `data`."""
    os.dup2(given_as_input(data) if data else os.open(os.devnull, os.O_RDONLY), 0)


def _execute(argv: Sequence[str], clean: Mapping[str, str]) -> None:
    """Become another program."""
    sys.stdout.flush()
    os.execve(argv[0], [word.encode() for word in argv], dict(clean))


def _refuse(text: str, words: Sequence[str]) -> int:
    shown = "".join(character if character.isprintable() else "?" for character in text)
    sys.stderr.write(f"rhl-guard: {shown}\n")
    _record(audit.line("rejected", words, os.environ, reason=text))
    return _FAILURE


def _record(text: str) -> None:
    problem = audit.record(text)
    if problem:
        sys.stderr.write(f"rhl-guard: warning: guard.log cannot be written: {problem}\n")


if __name__ == "__main__":
    raise SystemExit(main())
