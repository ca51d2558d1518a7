"""The parameters of a service from standard input: unlike a command line, no other user of the machine sees them.

Never reads more than a limited number of bytes. Where they come from is not judged here.
"""

from __future__ import annotations

import json
import os
from typing import Any

from seamless.launcher.grammar_values import GrammarError

MAX_BYTES = 1 << 20
_PIECE = 1 << 16


def read_parameters(fd: int = 0) -> dict[str, Any]:
    """Return the JSON object that is all of the input, which is read to its end. Raises GrammarError. Blocks."""
    try:
        value = json.loads(_read(fd).decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        raise GrammarError(f"--parameters-stdin: standard input must be valid JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise GrammarError("--parameters-stdin: standard input must be a JSON object")
    return value


def given_as_input(data: bytes) -> int:
    """Return the descriptor of an input that holds these bytes; nothing of it is in any directory."""
    fd = os.memfd_create("parameters", os.MFD_CLOEXEC)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _read(fd: int) -> bytes:
    data = bytearray()
    try:
        while piece := os.read(fd, _PIECE):
            data += piece
            if len(data) > MAX_BYTES:
                raise GrammarError(f"--parameters-stdin: standard input has more than {MAX_BYTES} bytes")
    except OSError as exc:
        raise GrammarError(f"--parameters-stdin: standard input cannot be read: {exc.strerror}") from exc
    return bytes(data)


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")
