"""The code text of a bash transformation."""

from __future__ import annotations

import os

from seamless.cli.commandline.quoting import RESERVED, quote, quote_pattern, single_quote
from seamless.cli.commandline.typing import BUILTINS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection


def code_text(
    command: str,
    *,
    executables: list[str],
    metavars: list[str],
    targets: list[str],
    capture_stdout: bool,
    patterns: Collection[str] = (),
) -> str:
    """Return the complete code: what precedes the command, the command, and what collects the results.

    `patterns`: the targets that bash is to expand.
    """
    lines: list[str] = []
    if executables:
        if any("/" not in name for name in executables):
            lines.append("export PATH=./:$PATH")
        lines.append("chmod +x " + " ".join(single_quote(_no_option(name)) for name in executables))
    lines += [f'export {name}="${{META__{name}}}"' for name in sorted(metavars)]
    if not targets:
        lines += ["(", command, ") > RESULT"]
        return "\n".join(lines) + "\n"
    directories = [result_directory(target) for target in targets]
    lines.append("mkdir -p " + " ".join(quote(name) for name in dict.fromkeys(directories)))
    lines += ["(", command, ") > STDOUT"] if capture_stdout else [command]
    for target, directory in zip(targets, directories, strict=True):
        source = _no_option(target)
        lines.append(f"mv {quote_pattern(source) if target in patterns else quote(source)} {quote(directory)}")
    return "\n".join(lines) + "\n"


def result_directory(target: str) -> str:
    """Return the directory below RESULT in which a target is collected."""
    return "RESULT/" + os.path.dirname(target)


def command_word(name: str) -> str:
    """Return how the executable `name` of the workspace is written as the first word of a command.

    A name that bash itself answers to needs its directory, or the file would not be run.
    """
    if "/" not in name and (name in BUILTINS or name in RESERVED):
        return quote("./" + name)
    return quote(_no_option(name))


def _no_option(name: str) -> str:
    return "./" + name if name.startswith("-") else name
