"""What options declare by name: variables, metavars, and the inputs of -i and -I."""

from __future__ import annotations

import os

from seamless.cli.commandline.mapping import reserved
from seamless.cli.commandline.quoting import NAME, NAME_START
from seamless.errors import UsageError

# Variables that bash sets or refuses to set itself, or that decide which programs are run.
SHELL_VARIABLES = frozenset(("BASHOPTS", "BASHPID", "BASH_ENV", "EUID", "PPID", "SHELLOPTS", "UID", "BASH_VERSINFO"))
UNUSABLE_VARIABLES = SHELL_VARIABLES | {"PATH", "PWD", "OLDPWD", "IFS", "_"}


def parse_variables(options: list[str]) -> dict[str, str]:
    """Return name -> value of the --var options."""
    result = _parse("--var", options)
    for name in result:
        problem = reserved(name)
        if name in UNUSABLE_VARIABLES:
            problem = f"the shell needs '{name}' for itself"
        if problem:
            raise UsageError(f"--var {name}: {problem}. Choose another name.")
    return result


def parse_metavars(options: list[str]) -> dict[str, str]:
    """Return name -> value of the --metavar options."""
    result = _parse("--metavar", options)
    for name in result:
        if name.upper().startswith("META__"):
            raise UsageError(f"--metavar {name}: the name may not begin with META__, which is added by itself")
        if name in SHELL_VARIABLES:
            raise UsageError(f"--metavar {name}: the shell needs '{name}' for itself. Choose another name.")
    return result


def _parse(option: str, items: list[str]) -> dict[str, str]:
    result: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals:
            raise UsageError(f"{option} '{item}': expected NAME=VALUE")
        if not name or name[0] not in NAME_START or not NAME.issuperset(name):
            raise UsageError(
                f"{option} '{item}': '{name}' is not a valid name: letters, digits and '_', not beginning with a digit"
            )
        if result.setdefault(name, value) != value:
            raise UsageError(f"{option} {name} is given twice, with the values '{result[name]}' and '{value}'")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise UsageError(f"{option} {name}: the value is not valid UTF-8") from None
    return result


def read_input_files(names: list[str], cwd: str | None) -> list[tuple[str, str]]:
    """Return (name, origin) of each input that the files of -I list; `-` is the standard input."""
    inputs: list[tuple[str, str]] = []
    for listing in names:
        try:
            if listing == "-":
                import sys

                text, directory = sys.stdin.read(), ""
            else:
                path = os.path.expanduser(listing)
                directory = os.path.dirname(path)
                with open(os.path.join(cwd, path) if cwd else path, encoding="utf-8") as file:
                    text = file.read()
        except (OSError, UnicodeDecodeError) as exc:
            reason = getattr(exc, "strerror", None) or str(exc)
            raise UsageError(f"-I '{listing}': cannot read the list of inputs: {reason}") from exc
        for number, entry in enumerate(text.splitlines(), 1):
            if entry.strip():
                inputs.append((os.path.join(directory, entry.strip()), f"{listing}:{number}"))
    return inputs


def expand_pattern(name: str, cwd: str | None) -> list[str]:
    """Return the sorted names that a pattern stands for; just the name if it is none, or is that of a file."""
    if not any(c in name for c in "*?[") or os.path.lexists(os.path.join(cwd, name) if cwd else name):
        return [name]
    import glob

    return sorted(glob.glob(os.path.expanduser(name), root_dir=cwd, recursive=True)) or [name]
