"""`--json`: one object about the run, on stdout at its end."""

from __future__ import annotations

import json
import sys
import time

from seamless.cli.common import write_stdout
from seamless.errors import SeamlessError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from seamless.cli.running.run_state import Run

_TEXT_LIMIT = 2000  # bytes of a result that is shown as text


def print_report(run: Run, status: int) -> None:
    """Print the object; `status` is the exit status."""
    write_stdout(json.dumps(make_report(run, status)).encode() + b"\n")


def make_report(run: Run, status: int) -> dict[str, Any]:
    """Return what is known: after a refusal the command and the error, after a run everything.

    A result without targets is in `result_text` if it is UTF-8 of at most 2000 bytes.
    """
    report: dict[str, Any] = {
        "command": run.plan.command if hasattr(run, "plan") else " ".join(run.options.command),
        "tf_checksum": None,
        "cached": run.cached,
        "result_checksum": run.result.hex() if run.result is not None else None,
        "exit_status": status,
        "error": run.error if run.error is not None else _present_error(),
        "targets": [_target(run, target) for target in run.targets] or _planned_targets(run),
        "uploaded": {"files": run.uploaded[0], "bytes": run.uploaded[1]},
        "wall_s": round(time.monotonic() - run.started, 3),
    }
    if hasattr(run, "description"):
        report["tf_checksum"] = run.checksum.hex()
        report |= describe_inputs(run)
    if run.result is not None and not run.targets and not run.options.dry:
        report |= _result_text(run)
    return report


def _present_error() -> str | None:
    exc = sys.exc_info()[1]
    return None if exc is None else str(exc) or type(exc).__name__


def describe_inputs(run: Run) -> dict[str, Any]:
    """Return inputs, variables, code and environment."""
    return {
        "inputs": [
            {"name": e.name, "path": e.path, "kind": e.kind, "checksum": e.checksum, "size": e.size} for e in run.inputs
        ],
        "variables": {name: value for name, (_, value) in run.plan.variables.items()},
        "metavars": dict(run.plan.metavars),
        "environment": run.description.environment,
        "code": run.description.code.decode(),
    }


def _planned_targets(run: Run) -> list[dict[str, Any]]:
    """Return the targets of a result that is not there."""
    targets = run.plan.targets if hasattr(run, "plan") else []
    unknown = {"kind": None, "checksum": None, "size": None, "downloaded": False}
    return [{"name": target.name, "local": target.local or target.name, **unknown} for target in targets]


def _target(run: Run, target: Any) -> dict[str, Any]:
    return {
        "name": target.name,
        "local": target.local,
        "kind": target.kind,
        "checksum": target.checksum,
        "size": target.size(run.store) if target.files else None,
        "downloaded": run.downloaded.get(target.local, False),
    }


def _result_text(run: Run) -> dict[str, Any]:
    assert run.result is not None
    found: dict[str, Any] = {"result_size": None, "result_text": None}
    try:
        found["result_size"] = size = run.store.buffers.length(run.result)
        data = run.store.buffers.get(run.result) if size is not None and size <= _TEXT_LIMIT else None
        if data is not None:
            found["result_text"] = data.decode()
    except (UnicodeDecodeError, SeamlessError):
        return found  # no text, or not readable: the checksum tells which result it is
    return found
