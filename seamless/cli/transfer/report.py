"""What is said about the targets of a call: what has failed, and the object that `--json` prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from seamless.cli.common import write_stdout

if TYPE_CHECKING:
    from seamless.cli.common import Messages

_SHOWN = 10  # files of a target that are named


def about(name: str, text: str) -> str:
    """Return `'NAME': text`, with the name once."""
    return f"{name!r}: {text.removeprefix(repr(name) + ': ')}"


def show_problems(messages: Messages, problems: Sequence[str]) -> None:
    """Print an error for each of the first problems of a target, and how many more there are."""
    for text in problems[:_SHOWN]:
        messages.error(text)
    if len(problems) > _SHOWN:
        messages.error(f"... and {len(problems) - _SHOWN} more files")


def print_object(**fields: object) -> None:
    """Print one object on one line; bytes of file names that are not UTF-8 appear as `\\udcXX`."""
    write_stdout(json.dumps(fields).encode() + b"\n")
