"""`seamless-run --qsubmit`: everything but the execution, then one record in the queue file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from seamless.cli.common import OK
from seamless.cli.queueing import records
from seamless.cli.running.execution import meta_of, require_writable, store_everything
from seamless.cli.running.limits import DownloadLimits
from seamless.errors import UsageError

if TYPE_CHECKING:
    from seamless.cli.running.run_state import Run

_NO_TARGETS = (
    "Submit to a queue, but no capture/download targets. Refuse to print output to screen. "
    "Redirect the output ('... > FILE') or name a result with -cp."
)


def submit(run: Run) -> int:
    """Store what the step needs and append it to the queue file; return the exit status."""
    if not run.plan.targets:
        raise UsageError(_NO_TARGETS)
    require_writable(run)
    store_everything(run)
    queue = records.queue_path()
    records.append(queue, records.encode(make_record(run)))
    run.messages.message(1, f"submitted to {queue}")
    return OK


def make_record(run: Run) -> dict[str, Any]:
    """Return the record of the step.

    With promised inputs it has no checksum yet, and `promised` maps the pin of each to its absolute path.
    """
    promised = {entry.name: os.path.abspath(entry.path or "") for entry in run.inputs if entry.checksum is None}
    record = {
        "queue_command": records.SUBMIT_PROMISED if promised else records.SUBMIT,
        "original_command": " ".join(["seamless-run", *run.options.argv]),
        "transformation_checksum": None if promised else run.checksum.hex(),
        "transformation_dict": _whole_transformation(run),
        "result_targets": {target.name: target.local for target in run.plan.targets},
        "params": _parameters(run),
    }
    if promised:
        record["promised"] = promised
    return record


def _whole_transformation(run: Run) -> dict[str, Any]:
    """Return the transformation with everything that is not its identity: META__ pins, `__env__`, `__meta__`."""
    description = run.description
    whole = {**description.transformation, **description.pins}
    if meta := meta_of(run):
        whole["__meta__"] = meta
    if (environment := description.environment_pin()) is not None:
        whole["__env__"] = environment
    return whole


def _parameters(run: Run) -> dict[str, Any]:
    options = run.options
    limits = DownloadLimits(options.confirm)
    parameters: dict[str, Any] = {
        "undo": False,
        "scratch": options.scratch,
        "workdir": os.getcwd(),
        "download": options.download,
        "auto_confirm": "yes" if options.confirm == "yes" else "no",
        "capture_stdout": run.plan.capture_stdout,
        "max_download_size": limits.max_size,
        "max_download_files": limits.max_files,
    }
    # Only where they are asked for: other programs that read the file do not know them.
    more = {"project": options.project, "stage": options.stage, "timeout": options.timeout}
    more["retry"] = options.retry
    return parameters | {key: value for key, value in more.items() if value}
