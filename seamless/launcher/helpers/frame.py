"""What the helpers share: parsed arguments in, `rhl-NAME: message` on stderr and status 1 for every mistake out.

Rows as JSON lines or as a table.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from seamless.errors import SeamlessError
from seamless.launcher import grammar
from seamless.launcher.grammar import GrammarError, Value
from seamless.launcher.guarded import Guarded, take_guarded
from seamless.version import __version__

OK, FAILURE, USAGE, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 130, 141


class Call(NamedTuple):
    """The arguments of a helper: those of its `Invocation`, and what the guard has said if it was called by that."""

    options: Mapping[str, Value]
    words: tuple[str, ...]
    service: tuple[str, ...]
    guarded: Guarded | None


Action = Callable[[Call], int]


def run_helper(prog: str, argv: Sequence[str] | None, action: Action, *, usage: int = FAILURE) -> int:
    """Parse the arguments (default: those of this process) and call `action`; return the exit status.

    Errors become one line on stderr. `usage`: the status for arguments that cannot be understood.
    """
    try:
        status = _run(prog, sys.argv[1:] if argv is None else argv, action, usage)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return complain(prog, "interrupted", INTERRUPTED)
    except BrokenPipeError:
        silence_stdout()
        return BROKEN_PIPE


def _run(prog: str, argv: Sequence[str], action: Action, usage: int) -> int:
    guarded, words = take_guarded(argv)
    if grammar.wants_help(words):
        write_stdout(grammar.usage(prog).encode())
        return OK
    if grammar.wants_version(words):
        write_stdout(f"{prog} (Seamless) {__version__}\n".encode())
        return OK
    try:
        found = grammar.parse(prog, words)
    except GrammarError as exc:
        sys.stderr.write(exc.complaint(prog) + "\n")
        return FAILURE if exc.shared else usage
    try:
        return action(Call(found.options, found.words, found.service, guarded))
    except SeamlessError as exc:
        return complain(prog, str(exc))
    except BrokenPipeError:
        raise
    except OSError as exc:
        where = f": {exc.filename}" if exc.filename is not None else ""
        return complain(prog, f"{exc.strerror or exc}{where}")


def complain(prog: str, message: str, status: int = FAILURE) -> int:
    """Write `PROG: message` to stderr; return `status`."""
    sys.stderr.write(f"{prog}: {message}\n")
    return status


def write_stdout(data: bytes) -> None:
    """Write exactly these bytes to stdout. Raises OSError."""
    if sys.stdout is None:
        raise OSError(9, "closed", "standard output")
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def silence_stdout() -> None:
    """Point stdout nowhere: its reader has gone, and the last flush of the interpreter is not to complain."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def print_json_lines(rows: Iterable[Mapping[str, Any]]) -> int:
    """Print one object a line."""
    write_stdout("".join(json.dumps(row, sort_keys=True) + "\n" for row in rows).encode())
    return OK


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    """Print left-aligned columns; what is missing is `-`."""
    lines = [list(header)] + [[shown(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    texts = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
    write_stdout("".join(text + "\n" for text in texts).encode("utf-8", "backslashreplace"))
    return OK


def shown(cell: object) -> str:
    """Return a cell of a table as printable text."""
    text = "-" if cell is None or cell == "" else str(cell)
    return text if text.isprintable() else text.encode("unicode_escape").decode()
