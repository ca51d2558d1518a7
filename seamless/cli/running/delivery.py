"""A result to where it is wanted: bytes to stdout, targets to files and sidecars."""

from __future__ import annotations

import os

from seamless.cli.common import OK, OWN
from seamless.errors import CacheMissError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from seamless.checksum import Checksum
    from seamless.cli.running.run_state import Run

_CHUNK = 1 << 20


def deliver(run: Run, result: Checksum) -> int:
    """Deliver `result` as the options of `run` say; return the exit status.

    Raises CacheMissError or BufferCorruptionError when content that is wanted is not in the store.
    """
    run.result = result
    if run.plan.targets:
        return _deliver_targets(run, result)
    if not run.options.json and (run.detachment is None or not run.detachment.left):
        print_result(run, result)
    elif run.wants_content and run.store.buffers.length(result) is None:
        raise CacheMissError(result)
    return OK


def print_result(run: Run, result: Checksum) -> None:
    """Write exactly the bytes of the result to stdout. Raises BrokenPipeError when its reader is gone."""
    stream = run.store.buffers.open(result)
    if stream is None:
        raise CacheMissError(result)
    with stream:
        while chunk := stream.read(_CHUNK):
            view = memoryview(chunk)
            while view:
                view = view[os.write(1, view) :]


def _deliver_targets(run: Run, result: Checksum) -> int:
    from seamless.cli.running.targets import download, target_results, write_sidecars

    index = _index(run, result)
    run.targets = target_results(run.plan.targets, index, [entry.name for entry in run.inputs])
    if run.wants_content:
        _require_members(run)
    write_sidecars(run.targets, run.store)
    if run.wants_content:
        run.downloaded = download(run.targets, run.store, run.limits, run.messages)
    _remove_orphaned_futures(run)
    absent = [target.local for target in run.targets if target.kind == "absent"]
    for local in absent:
        run.messages.message(0, f"No result for '{local}' was returned (a directory without files is none)")
    return OWN if absent else OK


def _remove_orphaned_futures(run: Run) -> None:
    """Remove the FUTURE files that a killed run of this very step has left: the targets are here now."""
    for target in run.targets:
        path = f"{target.local}.FUTURE"
        try:
            with open(path, "rb") as f:
                same = f.read(65) == run.checksum.hex().encode() + b"."
            if same:
                os.unlink(path)
        except FileNotFoundError:
            continue


def _index(run: Run, result: Checksum) -> dict[str, str]:
    """Return the index of a result, from the store, the memory of this process, or the journal of a scratch run."""
    from seamless.cli.running.targets import read_index

    data = run.store.buffers.get(result)
    if data is None and run.options.scratch:
        from seamless.cache.resolve import find
        from seamless.cli.running.journal import scratch_index

        buffer = find(result)
        data = scratch_index(run.journal_path, run.checksum, result) if buffer is None else buffer.content
    if data is None:
        raise CacheMissError(result)
    return read_index(data)


def _require_members(run: Run) -> None:
    """Raise CacheMissError before anything is written, if a file of the result is not in the store."""
    from seamless.checksum import Checksum

    checksums = [Checksum(value) for target in run.targets for value in target.files.values()]
    for checksum, there in zip(checksums, run.store.buffers.has(checksums), strict=True):
        if not there:
            raise CacheMissError(checksum)
