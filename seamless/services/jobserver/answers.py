"""What clients are told: the outcome of a job, in full for clients of this project, else as the reference tells it."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Mapping
from typing import Any

from seamless.errors import BufferCorruptionError, CacheMissError, StoreError, WorkerLostError
from seamless.transformer.outcome import Outcome, Usage

# What a full record says of the process, and of how it was checked.
_RUNTIME = (
    *("started_at", "finished_at", "hostname", "pid", "process_started_at", "process_create_time_epoch"),
    *("worker_execution_index", "retry_count", "compilation_time_seconds"),
)
_VALIDATION = ("validation_snapshot", "bucket_contract_violations", "job_contract_violations", "contract_violations")

CANCELED = "Transformation was canceled"
# What kind of failure it was, and the status of the answer: the step's own one is nobody's fault here.
STATUS = {"step": 422, "missing": 422, "damaged": 422, "lost": 500, "store": 500}


def kind_of(outcome: Outcome) -> str:
    """Return what kind of failure an outcome is: a key of STATUS."""
    match outcome.original:
        case CacheMissError():
            return "missing"
        case BufferCorruptionError():
            return "damaged"
        case StoreError():
            return "store"
        case WorkerLostError():
            return "lost"
    return "step"


def described(outcome: Outcome, *, kept: bool) -> tuple[int, dict[str, Any]]:
    """Return status and JSON of an outcome. `kept`: whether the result is in a database now."""
    output = {"stdout": _base64(outcome.stdout), "stderr": _base64(outcome.stderr)}
    if outcome.canceled:
        return 410, {"error": {"kind": "canceled", "text": CANCELED}}
    if outcome.result is None:
        kind, original = kind_of(outcome), outcome.original
        error = {
            "kind": kind,
            "text": outcome.error,
            "type": type(original).__name__ if original is not None else None,
            "message": _text(original) if original is not None else None,
            "exit_status": outcome.exit_status,
        }
        if isinstance(original, CacheMissError):
            error["checksum"] = str(original.checksum)
        if isinstance(getattr(original, "written", None), bytes):
            error["written"] = _base64(getattr(original, "written"))  # noqa: B009  the class is not told here
        return STATUS[kind], {"error": error, **output}
    return 200, {
        "result_checksum": outcome.result.hex(),
        "cached": outcome.cached,
        "kept": kept,
        "usage": vars(outcome.usage),
        **output,
    }


def in_the_form_of_the_reference(outcome: Outcome, started: float, finished: float, record: bool) -> dict[str, Any]:
    """Return the JSON of a success as every client understands it; times in seconds since 1970."""
    assert outcome.result is not None
    runtime = record_runtime(outcome.usage, started, finished)
    if not record:
        return {"result_checksum": outcome.result.hex(), "record_runtime": runtime}
    import platform

    return {
        "result_checksum": outcome.result.hex(),
        "record_runtime": {**runtime, "hostname": platform.node(), **_of_record(outcome, _RUNTIME)},
        "probe_context": (outcome.record or {}).get("freshness"),
        "compilation_context": (outcome.record or {}).get("compilation_context"),
        "job_validation": _of_record(outcome, _VALIDATION) or None,
    }


def _of_record(outcome: Outcome, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return a part of the full record; nothing if the step was not executed by this request."""
    record = outcome.record
    return {} if record is None else {key: record[key] for key in keys}


def record_runtime(usage: Usage, started: float, finished: float) -> dict[str, Any]:
    """Return what an execution has used, under the names of the protocol."""
    return {
        "started_at": _time(started),
        "finished_at": _time(finished),
        "wall_time_seconds": round(usage.wall_time_seconds, 6),
        "cpu_user_seconds": round(usage.cpu_time_user_seconds, 6),
        "cpu_system_seconds": round(usage.cpu_time_system_seconds, 6),
        "memory_peak_bytes": usage.memory_peak_bytes,
        "gpu_memory_peak_bytes": usage.gpu_memory_peak_bytes,
    }


def output_of(pieces: list[tuple[str, bytes]], first: int) -> Mapping[str, Any]:
    """Return pieces of output for JSON; `first` is the number of the first one."""
    return {"next": first + len(pieces), "pieces": [[stream, _base64(data)] for stream, data in pieces]}


def _text(exc: BaseException) -> str:
    try:
        return str(exc)
    except Exception:  # noqa: BLE001  a class of the user: anything may happen
        return ""


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _time(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
