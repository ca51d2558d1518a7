"""Job directories instead of executions: the inputs and the script of a command, written where it would be executed.

A transformation with `write_remote_job` in its `__meta__` is prepared in that directory and not executed; it has no
result, so the execution ends by RemoteJobWritten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from seamless.errors import SeamlessError, TransformationError

if TYPE_CHECKING:
    from seamless.cache.access import Buffers
    from seamless.checksum import Checksum
    from seamless.transformer.outcome import Envelope

META_KEY = "write_remote_job"
MARKER = "__SEAMLESS_REMOTE_JOB_WRITTEN__:"  # what a server answers in the place of a result, before the directory


class RemoteJobWritten(SeamlessError, RuntimeError):
    """The job directory was written; `directory` is its path on the machine that wrote it."""

    def __init__(self, directory: str):
        self.directory = directory
        super().__init__(f"the job directory {directory} was written; the transformation was not executed")


def write_instead_of_executing(transformation: Mapping[str, Any], envelope: Envelope, buffers: Buffers) -> None:
    """Write the job directory that the envelope names. Ends by raising RemoteJobWritten."""
    from seamless.transformer.bash.run import write_job_directory

    directory = str(envelope.meta[META_KEY])
    if transformation.get("__language__") != "bash":
        raise TransformationError(f"only commands have a job directory, not {transformation.get('__language__')!r}")
    write_job_directory(transformation, envelope, buffers, directory)
    raise RemoteJobWritten(directory)


def write_remote_job(transformation: Mapping[str, Any], tf: Checksum, envelope: Envelope, directory: str) -> str:
    """Have the job directory written where the configuration executes; return its path there.

    Raises what the execution raises; FileExistsError if there is a job in the directory already.
    """
    from seamless.cache.access import Buffers
    from seamless.transformer.execution import ExecutionRequest, seam

    envelope = replace(envelope, meta={**envelope.meta, META_KEY: directory})
    elsewhere = getattr(seam.executor, "remote", False) and not envelope.local
    executor = seam.executor if elsewhere else seam.in_process
    try:
        executor.execute(ExecutionRequest(transformation, tf, envelope, Buffers(fingertip=True)))
    except RemoteJobWritten as written:
        return written.directory
    raise TransformationError(
        f"the job directory {directory} was not written: the place of execution does not know how, and ran the "
        "command instead"
    )
