"""`--undo`: forget a cached result; with `--purge` also delete the local files that are that result."""

from __future__ import annotations

import os
import sys

from seamless.checksum import Checksum
from seamless.cli.common import OK, is_terminal
from seamless.errors import SeamlessError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from seamless.cli.running.run_state import Run
    from seamless.cli.running.targets import TargetResult


def undo(run: Run) -> int:
    """Forget the result of the transformation; return the exit status."""
    run.result = run.store.results.get_result(run.checksum)
    files = _own_files(run) if run.options.purge else []
    if files and not _confirmed(run, files):
        run.messages.message(0, "nothing is forgotten or deleted")
        return OK
    if run.result is None or not run.store.results.delete_result(run.checksum):
        run.messages.message(0, f"nothing to forget: transformation {run.checksum} has no cached result")
    else:
        run.messages.message(0, f"forgotten: result {run.result} of transformation {run.checksum}")
    for path in files:
        os.unlink(path)
    for target in run.targets:
        if target.kind == "directory" and os.path.isdir(target.local):
            _remove_empty(target.local)
    return OK


def _own_files(run: Run) -> list[str]:
    """Return the local files that hold exactly what the result says, with their sidecars."""
    from seamless.cli.running.targets import is_content, read_index, target_results

    if run.result is None:
        return []
    data = run.store.buffers.get(run.result)
    if data is None or not run.plan.targets:
        return []
    index = read_index(data)
    run.targets = target_results(run.plan.targets, index, [entry.name for entry in run.inputs])
    found = []
    for target in run.targets:
        for key, checksum in target.files.items():
            path = os.path.join(target.local, key) if key else target.local
            if os.path.isfile(path) and is_content(path, Checksum(checksum)):
                found.append(path)
        found += _own_sidecars(target)
    return found


def _own_sidecars(target: TargetResult) -> list[str]:
    sidecar = target.local + ".CHECKSUM"
    try:
        if Checksum.load(sidecar).hex() != target.checksum:
            return []
    except (OSError, ValueError):
        return []
    index = target.local + ".INDEX"
    return [sidecar, index] if target.kind == "directory" and os.path.isfile(index) else [sidecar]


def _confirmed(run: Run, files: list[str]) -> bool:
    """Say what will go, and ask unless -y or -n has answered."""
    for path in files:
        run.messages.message(0, f"delete {path}")
    if run.options.confirm != "ask":
        return run.options.confirm == "yes"
    if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        raise UsageError(f"--purge would delete {len(files)} files; there is no terminal to ask on: confirm with --yes")
    sys.stderr.write(f"Delete these {len(files)} files (y/[n])? ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _remove_empty(directory: str) -> None:
    """Remove the empty directories at and below `directory`."""
    for path, _, _ in os.walk(directory, topdown=False):
        if not os.listdir(path):
            try:
                os.rmdir(path)
            except OSError as exc:
                raise SeamlessError(f"cannot remove the empty directory '{path}': {exc.strerror}") from exc
