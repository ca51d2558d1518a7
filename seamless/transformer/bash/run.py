"""`run_bash`: one bash transformation from its pins to its result. Also writes job directories.

Each call has its own directory and process group; calls in several threads do not touch each other.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seamless.celltypes import parse
from seamless.checksum import Checksum
from seamless.transformer.bash.access import BufferAccess
from seamless.transformer.bash.failure import (
    KILLED,
    BashFailure,
    ResultProblem,
    exit_advice,
    exit_reason,
    failure_text,
    starved_advice,
)
from seamless.transformer.bash.pins import PinPlan, plan_pins, write_pins
from seamless.transformer.bash.process import Finished, StartError, run_process
from seamless.transformer.bash.result import collect_result
from seamless.transformer.bash.script import SCRIPT_NAME, Surroundings, check_environment, script_text
from seamless.transformer.bash.workspace import Workspace, write_script
from seamless.transformer.outcome import Envelope, OutputHandler, Usage
from seamless.transformer.workers.oom import out_of_memory

if TYPE_CHECKING:
    import threading

_PARTIAL = 8000  # bytes of an unfinished result that a failure shows
_BASH = "/bin/bash"
_PREAMBLES = ("mkdir -p ", "chmod +x ", "export ")  # of a step with files as its results


@dataclass(frozen=True)
class BashResult:
    """A command that succeeded. `stdout`, `stderr`: what it printed beside the result, first and last part."""

    result: Checksum
    stdout: bytes
    stderr: bytes
    usage: Usage


def run_bash(
    transformation: Mapping[str, Any],
    envelope: Envelope,
    buffers: BufferAccess,
    *,
    on_output: OutputHandler | None = None,
    deadline: float | None = None,
    canceled: threading.Event | None = None,
) -> BashResult:
    """Execute the command in a new directory, which is gone afterwards; block until it has ended.

    `deadline` (time.monotonic(); default: now + envelope.timeout) and `canceled` end it early, as does an exception
    in this thread such as KeyboardInterrupt: SIGTERM to the process group, SIGKILL two seconds later.

    Raises BashFailure (a SeamlessStreamTransformationError) when the command fails or leaves no usable RESULT,
    SeamlessStreamTransformationError for an environment that cannot be had, ValueError or TypeError for pins that
    cannot become files, and what `buffers` raises.
    """
    if deadline is None and envelope.timeout is not None:
        deadline = time.monotonic() + envelope.timeout
    surroundings = check_environment(envelope.env)
    code = _code(transformation, buffers)
    command = envelope.command or code
    plan = plan_pins(transformation, envelope.pins, buffers)
    with _workspace(command) as workspace:
        script = _prepare(workspace, plan, code, surroundings, command, buffers)
        begun = out_of_memory.begin()
        try:
            done = run_process(
                _command(script, workspace.directory, surroundings),
                cwd=workspace.directory,
                on_output=on_output,
                deadline=deadline,
                canceled=canceled,
                environment=_environment(envelope, workspace.directory, surroundings),
            )
        except StartError as exc:
            raise BashFailure(failure_text(str(exc), "", command)) from exc
        if done.stopped or done.exit_status:
            raise _command_failure(done, command, envelope.timeout, _written(workspace), begun)
        result = _collect(workspace, transformation["__output__"][1], done, command, buffers)
    return BashResult(result, done.stdout, done.stderr, done.usage)


def _workspace(command: str) -> Workspace:
    try:
        return Workspace()
    except OSError as exc:
        raise _system_failure(exc, command) from exc


def _prepare(
    workspace: Workspace,
    plan: PinPlan,
    code: str,
    surroundings: Surroundings | None,
    command: str,
    buffers: BufferAccess,
) -> str:
    """Write inputs and script; return the path of the script."""
    try:
        variables = write_pins(plan, workspace.directory, buffers)
        _make_directories(workspace.directory, code)
        text = script_text(code, variables, surroundings)
        return workspace.add_script(text, name=SCRIPT_NAME, taken=SCRIPT_NAME in plan.files)
    except OSError as exc:
        raise _system_failure(exc, command) from exc


def _command(script: str, directory: str, surroundings: Surroundings | None) -> list[str]:
    """Return the argument list that executes the script, in the container image if there is one."""
    image = surroundings.resolved.image if surroundings is not None else None
    if image is None:
        return [_BASH, script]
    from seamless.transformer.environments.container import inside

    beside = [f"{script}:{script}:ro"] if os.path.isabs(script) else []
    return inside(image, [_BASH, script], directory, binds=beside)


def _make_directories(directory: str, code: str) -> None:
    """Make the directories that the redirections of the code need."""
    if not code.startswith(_PREAMBLES):
        return
    from seamless.transformer.bash.redirections import needed_directories

    for relative in needed_directories(code):
        os.makedirs(os.path.join(directory, relative), exist_ok=True)


def _environment(envelope: Envelope, directory: str, surroundings: Surroundings | None) -> dict[str, str] | None:
    """Return what a hermetic command gets of the environment of this process; None for everything.

    Inside an image the environment is clean anyway.
    """
    if not envelope.meta.get("hermetic") or (surroundings is not None and surroundings.resolved.image is not None):
        return None
    environment = {name: value for name, value in os.environ.items() if surroundings and name.startswith("CONDA_")}
    environment |= {"PATH": os.environ.get("PATH", os.defpath), "TMPDIR": os.environ.get("TMPDIR", "/tmp")}
    return environment | {"HOME": directory, "LANG": "C.UTF-8"}


def _collect(workspace: Workspace, celltype: str, done: Finished, command: str, buffers: BufferAccess) -> Checksum:
    """Return the result of a command that succeeded."""
    try:
        return collect_result(workspace.directory, celltype, buffers)
    except ResultProblem as exc:
        raise _failure(done, str(exc), exc.advice, command, exit_status=None) from exc
    except OSError as exc:
        raise _system_failure(exc, command) from exc


def write_job_directory(
    transformation: Mapping[str, Any], envelope: Envelope, buffers: BufferAccess, directory: str
) -> None:
    """Write the inputs and `transform.sh` into `directory` (made if missing), to be executed there by hand.

    Raises as run_bash does before the execution, and FileExistsError if there is a `transform.sh` already.
    """
    surroundings = check_environment(envelope.env)
    code = _code(transformation, buffers)
    plan = plan_pins(transformation, envelope.pins, buffers)
    if SCRIPT_NAME in plan.files:
        raise ValueError(f"pin {SCRIPT_NAME!r}: a job directory has its own file of that name; rename the input")
    os.makedirs(directory, exist_ok=True)
    variables = write_pins(plan, directory, buffers)
    _make_directories(directory, code)
    text = script_text(code, variables, surroundings)
    write_script(os.path.join(directory, SCRIPT_NAME), text)


def _code(transformation: Mapping[str, Any], buffers: BufferAccess) -> str:
    """Return the source text. Raises ValueError if it is not UTF-8."""
    text: str = parse(buffers.read(Checksum(transformation["code"][2])), "text")
    return text


def _written(workspace: Workspace) -> bytes:
    """Return the end of what a failed command has written to RESULT: often it says there what went wrong."""
    try:
        with open(os.path.join(workspace.directory, "RESULT"), "rb") as f:
            f.seek(max(0, os.fstat(f.fileno()).st_size - _PARTIAL))
            return f.read(_PARTIAL)
    except OSError:
        return b""  # there is none, or it is a directory


def _command_failure(done: Finished, command: str, timeout: float | None, written: bytes, begun: float) -> BashFailure:
    """Return the error for a command that was stopped or gave a non-zero status."""
    status = done.exit_status
    if done.stopped == "canceled":
        return _failure(done, "Transformation was canceled", "", command, exit_status=status, canceled=True)
    if done.stopped == "timeout":
        limit = f" of {timeout:g} s" if timeout is not None else ""
        reason = f"Time limit{limit} exceeded, the command was ended after {done.usage.wall_time_seconds:.1f} s"
        advice = "Give the step a longer timeout, or less to do."
    else:
        reason, advice = exit_reason(status), exit_advice(status, done.stderr)
        if status == KILLED and out_of_memory.noticed(begun):
            advice = starved_advice(done.usage.memory_peak_bytes)
    return _failure(done, reason, advice, command, exit_status=status, written=written)


def _failure(
    done: Finished,
    reason: str,
    advice: str,
    command: str,
    *,
    exit_status: int | None,
    canceled: bool = False,
    written: bytes = b"",
) -> BashFailure:
    return BashFailure(
        failure_text(reason, advice, command, done.stdout + written, done.stderr),
        exit_status=exit_status,
        stdout=done.stdout,
        stderr=done.stderr,
        usage=done.usage,
        canceled=canceled,
        written=written,
    )


def _system_failure(exc: OSError, command: str) -> BashFailure:
    """Return the error for the operating system refusing something around the command."""
    where = f": {exc.filename!r}" if exc.filename is not None else ""
    reason = f"The workspace of the step cannot be used: {exc.strerror or exc}{where}"
    advice = "The directory for temporary files (TMPDIR) must be writable and have room for the inputs and results."
    return BashFailure(failure_text(reason, advice, command))
