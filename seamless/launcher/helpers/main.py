"""The helpers by name: `main(["rhl-ps", "--json"])`. Also what `python -m` and the single file start.

Only the module of the helper that is asked for is loaded.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from seamless.launcher.grammar import HELPERS

GUARD = "rhl-guard"
_NOT_FOUND = 127


def main(argv: Sequence[str]) -> int:
    """Run the helper that is named by the first word with the other words; return its exit status."""
    name = argv[0] if argv else ""
    if name not in HELPERS:
        sys.stderr.write(f"{name[:120]!r} is none of the helpers: {', '.join(HELPERS)}\n")
        return _NOT_FOUND
    module = import_module(f"seamless.launcher.helpers.{name[4:].replace('-', '_')}")
    return int(module.main(argv[1:]))


def main_of_file(argv: Sequence[str]) -> int:
    """Run what the single file was started as, or with: a helper, the guard, or `install --bin DIR`."""
    own = os.path.basename(argv[0])
    words = list(argv[1:]) if not _is_command(own) else [own, *argv[1:]]
    if words and words[0] == GUARD:
        return int(import_module("seamless.launcher.guard.main").main(words[1:]))
    if len(words) == 3 and words[:2] == ["install", "--bin"]:
        return _install(words[2])
    if words and _is_command(words[0]):
        return main(words)
    sys.stderr.write(
        f"usage: {own} HELPER [ARG...]\n       {own} install --bin DIR\n\nhelpers: {', '.join([*HELPERS, GUARD])}\n"
    )
    return 0 if words in (["-h"], ["--help"]) else 2


def _is_command(name: str) -> bool:
    return name in HELPERS or name == GUARD


def _install(directory: str) -> int:
    from seamless.launcher.errors import LauncherError
    from seamless.launcher.single_file import build, compiled, install

    try:
        paths = install(os.path.expanduser(directory), compiled(build()), (*HELPERS, GUARD))
    except (LauncherError, OSError) as exc:
        sys.stderr.write(f"install: {exc}\n")
        return 1
    sys.stdout.write("".join(f"{path}\n" for path in paths))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
