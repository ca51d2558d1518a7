"""The journal of executions: `run-journal.jsonl` in the cache directory, one JSON object a line, for `--explain`.

Appended to with a single write; nothing is written on a cache hit. At 5 MB it becomes `run-journal.jsonl.1`.
"""

from __future__ import annotations

import json
import os
import time

from seamless.checksum import Checksum
from seamless.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from seamless.cli.running.run_state import Run
    from seamless.transformer.outcome import Outcome

MAX_BYTES = 5_000_000
_STDERR_LIMIT = 1 << 20  # bytes
_INDEX_LIMIT = 1 << 18  # bytes


def note(run: Run, outcome: Outcome) -> None:
    """Append an entry for an execution. A journal that cannot be written is reported with `-v`, not an error."""
    entry = {
        "time": int(time.time()),
        "host": os.uname().nodename,
        "cwd": os.getcwd(),
        "command": run.plan.command,
        "tf_checksum": run.checksum.hex(),
        "result_checksum": outcome.result.hex() if outcome.result is not None else None,
        "exit_status": 0 if outcome.result is not None else outcome.exit_status,
        "wall_s": round(outcome.usage.wall_time_seconds, 3),
        "code": run.description.code_checksum,
        "inputs": {entry.name: entry.checksum for entry in run.inputs},
        "variables": {name: value for name, (_, value) in run.plan.variables.items()},
        "targets": [target.local or target.name for target in run.plan.targets],
    }
    try:
        if outcome.result is not None and run.options.scratch:
            entry["index"] = _index_of(outcome.result)
        if outcome.result is not None and outcome.stderr:
            stderr = outcome.stderr[:_STDERR_LIMIT]
            entry["stderr"] = Checksum.of(stderr).hex()
            run.store.buffers.put([(Checksum.of(stderr), stderr)])
        append(run.journal_path, entry)
    except (OSError, StoreError) as exc:
        run.messages.message(1, f"the journal is not written: {exc}")


def _index_of(result: Checksum) -> dict[str, str] | None:
    """Return the index of a scratch result, which no store has; None if it is too long for a journal."""
    from seamless.cache.resolve import find
    from seamless.cli.running.targets import read_index

    buffer = find(result)
    return read_index(buffer.content) if buffer is not None and len(buffer.content) <= _INDEX_LIMIT else None


def scratch_index(path: str, tf: Checksum, result: Checksum) -> bytes | None:
    """Return the index buffer of a scratch result as far as the journal knows it."""
    from seamless.util.directory_index import index_bytes

    for entry in entries(path, tf.hex()):
        if entry["tf_checksum"] == tf.hex() and entry.get("index"):
            data = index_bytes(entry["index"])
            if Checksum.of(data) == result:
                return data
    return None


def append(path: str, entry: dict[str, Any]) -> None:
    """Append one entry; turn a full journal over first."""
    line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
    try:
        if os.stat(path).st_size + len(line) > MAX_BYTES:
            os.replace(path, path + ".1")
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        os.write(fd, line)
    finally:
        os.close(fd)


def entries(path: str, *words: str) -> Iterator[dict[str, Any]]:
    """Yield the entries, latest first, whose line contains one of `words` (all, if there are none).

    Lines that are no entries (a crash, a full disk) are skipped.
    """
    wanted = [json.dumps(word)[1:-1].encode() for word in words]
    for name in (path, path + ".1"):
        try:
            with open(name, "rb") as f:
                lines = f.read().splitlines()
        except OSError:
            continue
        for line in reversed(lines):
            if wanted and not any(word in line for word in wanted):
                continue
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(entry, dict) and "tf_checksum" in entry:
                yield entry
