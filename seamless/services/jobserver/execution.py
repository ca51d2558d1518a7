"""Where the jobs of a server are executed, and which stores it works with."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from seamless.errors import UsageError
from seamless.session import session
from seamless.transformer.execution import ExecutionAnswer, ExecutionRequest, seam
from seamless.transformer.pool import pool
from seamless.transformer.recording.mode import RecordMode, recording
from seamless.transformer.worker import WorkerPoolExecutor

if TYPE_CHECKING:
    from seamless.transformer.outcome import Envelope

# Steps under way: beside those that are executed, others are looked up, claimed and kept, which threads do together.
_THREADS_A_WORKER, _THREADS = 4, 8


class JobExecutor(WorkerPoolExecutor):
    """A pool of workers whose records name the jobserver. Never the process of the server."""

    def stops(self, envelope: Envelope) -> bool:
        """A worker can be ended."""
        return True

    def execute(self, request: ExecutionRequest) -> ExecutionAnswer:
        """Execute one step in a worker; block until it has ended."""
        answer = self.workers.execute(request)
        answer.mode, answer.remote_target = "remote", "jobserver"
        return answer


def start_workers(count: int) -> JobExecutor:
    """Have the steps of this process executed by as many workers. Raises WorkerLostError."""
    executor = JobExecutor(count)
    executor.workers  # noqa: B018  before there are threads and connections
    seam.executor = executor
    pool.limit = max(pool.limit, _THREADS_A_WORKER * count + _THREADS)
    return executor


def read_parameters(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters in a status file, checked. Raises UsageError."""
    parameters = fields.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise UsageError(f"the status file: parameters is a {type(parameters).__name__}, expected an object")
    if not isinstance(parameters.get("record", False), bool):
        raise UsageError(f"the status file: record is {parameters['record']!r}, expected true or false")
    return parameters


def activate_stores(parameters: Mapping[str, Any]) -> None:
    """Work with the services that the parameters name, else with those of the environment, else without any.

    Raises UsageError, StoreError.
    """
    recording.mode = RecordMode(bool(parameters.get("record")), remote_target="jobserver")
    clients = {kind: parameters[kind] for kind in ("database", "buffer") if parameters.get(kind)}
    if clients:
        from seamless.remote.forwarding import activate_forwarded

        activate_forwarded(clients, in_remote=True)
    else:
        session.ensure_active()
    if not session.buffer_stores:
        print("seamless-jobserver: there is no storage: results stay in the memory of this process", file=sys.stderr)


def keeps_results() -> bool:
    """Tell whether results are written to a store here."""
    return bool(session.writable_result_stores()) and bool(session.writable_buffer_stores())
