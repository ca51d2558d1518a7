"""The last failures of a store, `.failures.jsonl`: one JSON object a line, for people to look at.

Nothing depends on it: a failure is never a result. The last 200 are given; a file that grows is cut to them.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from seamless.util.files import write_atomically

NAME = ".failures.jsonl"
KEPT = 200  # entries
TAIL = 4000  # bytes of stderr and of the message
_LONGEST = 2 << 20  # bytes of the file, from which it is cut


def note_failure(
    directory: str,
    step: str,
    *,
    error: str,
    stderr: bytes,
    exit_status: int | None,
    command: str,
    host: str | None = None,
    pid: int | None = None,
) -> None:
    """Append a failure of a step (hex). `host` and `pid`: where it was executed, if not here. Raises OSError."""
    entry = {
        "time": round(time.time(), 3),
        "host": os.uname().nodename if host is None else host,
        "pid": os.getpid() if host is None else pid,
        "tf_checksum": step,
        "exit_status": exit_status,
        "command": command[:TAIL],
        "error": error[-TAIL:],
        "stderr": stderr[-TAIL:].decode(errors="replace"),
    }
    path = os.path.join(directory, NAME)
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        os.write(fd, json.dumps(entry, separators=(",", ":")).encode() + b"\n")
        size = os.fstat(fd).st_size
    finally:
        os.close(fd)
    if size > _LONGEST:
        lines = [json.dumps(entry, separators=(",", ":")) for entry in reversed(failures(directory))]
        write_atomically(path, ("\n".join(lines) + "\n").encode())


def failures(directory: str) -> list[dict[str, Any]]:
    """Return the last failures, the latest first; none if the file cannot be read. Lines that are none are skipped."""
    try:
        with open(os.path.join(directory, NAME), "rb") as f:
            lines = f.read().splitlines()[-KEPT:]
    except OSError:
        return []
    found = []
    for line in reversed(lines):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and isinstance(entry.get("tf_checksum"), str):
            found.append(entry)
    return found
