"""What the steps of a queue are still to make, as the analysis of the next command line sees it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from seamless.cli.commandline.results import is_pattern
from seamless.cli.queueing import records
from seamless.cli.queueing.journal import DONE, ends, record_digest
from seamless.cli.queueing.paths import PathIndex, overlap, parents
from seamless.cli.running.future import STALE
from seamless.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any


class QueuedTargets:
    """The targets of the steps in a queue file that have not ended; also any file with a `.FUTURE` that is kept alive.

    The queue file is read once, at the first question.
    """

    def __init__(self, queue: str):
        self._queue = queue
        self._index: PathIndex | None = None

    def promised(self, path: str) -> bool:
        """Tell whether the file or directory at this absolute path, or a part of it, is still to be made."""
        index = self._read()
        if is_pattern(os.path.basename(path)):  # the command finds what it stands for
            return any(parent in index for parent in parents(path)) or has_living_future(path)
        return bool(index.touching([path])) or has_living_future(path)

    def matching(self, pattern: str) -> list[str]:
        """Return the promised absolute paths that an absolute pattern (`*`, `?`, `[...]`) stands for.

        Raises UsageError if a step is to make files whose names are not known yet, and the pattern may stand for them.
        """
        if not any(c in pattern for c in "*?["):
            return []
        import re
        from pathlib import PurePosixPath

        found = []
        wildcards = re.sub(r"\[[^]]*\]", "?", pattern)
        for path in self._read():
            if is_pattern(os.path.basename(path)):
                if overlap(wildcards, path):
                    raise UsageError(
                        f"which files '{pattern}' stands for is not known before the step of the queue with the "
                        f"capture '{path}' has ended. Wait for it with 'seamless-queue-finish', or capture a directory"
                    )
            elif PurePosixPath(path).match(pattern):
                found.append(path)
        return sorted(found)

    def _read(self) -> PathIndex:
        if self._index is None:
            self._index = PathIndex()
            for path, number in _unfinished(self._queue).items():
                self._index.add(path, number)
        return self._index


def _unfinished(queue: str) -> dict[str, int]:
    """Return each target that the last step which names it has not delivered, and the number of that step.

    A failed step counts: what needs its result must not take what was there before it.
    """
    ended = ends(records.journal_path(queue))
    found: dict[str, int] = {}
    for number, record, digest in numbered(queue):
        end = ended.get(number, {})
        done = end.get("event") == DONE and end.get("record") == digest
        for path in local_paths(record):
            if done:
                found.pop(path, None)
            else:
                found[path] = number
    return found


def local_paths(record: Mapping[str, Any]) -> list[str]:
    """Return the absolute paths at which the targets of a submitted step are wanted."""
    workdir = record["params"]["workdir"]
    return [local_path(workdir, name, local) for name, local in record["result_targets"].items()]


def numbered(queue: str) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Yield each step of the queue file: number (from 1), record, digest. What is no step has no number."""
    number = 0
    for data in records.read_records(queue):
        try:
            record = records.decode(data)
        except records.BadRecordError:
            continue
        if record["queue_command"] in (records.SUBMIT, records.SUBMIT_PROMISED):
            number += 1
            yield number, record, record_digest(data)


def local_path(workdir: str, name: str, local: str | None) -> str:
    """Return the absolute path at which a target is wanted."""
    return os.path.normpath(os.path.join(workdir, os.path.expanduser(local or name)))


def has_living_future(path: str) -> bool:
    """Tell whether `path.FUTURE` exists and its owner has given a sign of life."""
    try:
        status = os.stat(path + ".FUTURE")
    except OSError:
        return False
    return time.time() - max(status.st_atime, status.st_mtime) <= STALE
